/* esp.c: Child SAs whose ESP the kernel does, over streams that it reads itself. Two may have the same selectors while one
 * replaces the other: the policies then stay, and the newest that may send is the one they name. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/internal.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static bool has_espintcp(struct error *err) {
    static const char name[] = "espintcp";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, name, sizeof name - 1) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return has || fail(err, HOST, 0, "this kernel has no ESP in TCP (CONFIG_INET_ESPINTCP): %s", strerror(why));
}

bool host_esp_probe(struct host *h, struct error *err) {
    if (h->xfrm != NULL)
        return true;
    if (!has_espintcp(err))
        return false;
    if (!netlink_open(&h->xfrm, NETLINK_XFRM, err)) {
        h->xfrm = NULL;
        return fail_context(err, "this kernel takes no IPsec states (CONFIG_XFRM_USER): ");
    }
    return true;
}

/* ---------------------------------------------------------------- what there is ---- */

static struct esp_entry *find(struct host *h, uint32_t spi_in) {
    for (size_t i = 0; i < h->esps; i++)
        if (h->esp[i].spi_in == spi_in)
            return &h->esp[i];
    return NULL;
}

static bool same_selectors(const struct esp_entry *a, const struct esp_entry *b) {
    return selector_equal(&a->inner_local, &b->inner_local) && selector_equal(&a->inner_remote, &b->inner_remote);
}

/* Another one for the same packets, the newest; NULL: none. */
static struct esp_entry *other_of(struct host *h, const struct esp_entry *entry) {
    for (size_t i = h->esps; i-- > 0;)
        if (&h->esp[i] != entry && same_selectors(&h->esp[i], entry))
            return &h->esp[i];
    return NULL;
}

static bool make_room(struct host *h) {
    if (h->esps < h->esp_capacity)
        return true;
    size_t capacity = h->esp_capacity != 0 ? 2 * h->esp_capacity : 16;
    struct esp_entry *longer = realloc(h->esp, capacity * sizeof *longer);
    if (longer == NULL)
        return false;
    h->esp = longer;
    h->esp_capacity = capacity;
    return true;
}

/* Its packets are another's from now on, or nobody's. */
static void take_policies(struct host *h, struct esp_entry *entry) {
    struct esp_entry *other = other_of(h, entry);
    if (other == NULL) {
        (void)xfrm_policy_out(h, entry, false);
        (void)xfrm_policies_in(h, entry, false);
    } else if (entry->outbound) {
        other->outbound = true;
        (void)xfrm_policy_out(h, other, true);
        (void)xfrm_policies_in(h, other, true); /* it may be another stream's */
    }
    entry->outbound = false;
}

static void forget(struct host *h, struct esp_entry *entry) {
    size_t at = (size_t)(entry - h->esp);
    memmove(entry, entry + 1, (h->esps - at - 1) * sizeof *entry);
    h->esps--;
}

static void remove_entry(struct host *h, struct esp_entry *entry) {
    (void)xfrm_state_delete(h, entry, true);
    (void)xfrm_state_delete(h, entry, false);
    forget(h, entry);
}

/* ---------------------------------------------------------------- the face ---- */

/* In first: the other side may send as soon as it is told. On failure what was made is taken back and nothing else: a state
 * that was there before is another's, who may have chosen the same SPI behind the same address. */
static int put(struct host *h, const struct host_esp *esp, struct esp_entry *entry, struct esp_entry *old) {
    int result = xfrm_state_add(h, esp, false);
    if (result != 0)
        return result;
    result = xfrm_state_add(h, esp, true);
    if (result != 0) {
        (void)xfrm_state_delete(h, entry, false);
        return result;
    }
    result = xfrm_policies_in(h, entry, true);
    if (result == 0 && entry->outbound)
        result = xfrm_policy_out(h, entry, true);
    if (result == 0)
        return 0;
    (void)xfrm_policies_in(h, old != NULL ? old : entry, old != NULL);
    (void)xfrm_state_delete(h, entry, true);
    (void)xfrm_state_delete(h, entry, false);
    return result;
}

bool host_esp_set(struct host *h, const struct host_esp *esp, struct error *err) {
    if (!host_esp_probe(h, err) || !xfrm_expressible(&esp->inner_local, err) ||
        !xfrm_expressible(&esp->inner_remote, err) || !tables_choose(h, err))
        return false;
    if (esp->esn && esp->replay_window == 0)
        return fail(err, HOST, 0, "the kernel has no extended sequence numbers without replay protection");
    if (find(h, esp->spi_in) != NULL)
        return fail(err, OURS, 0, "the kernel has the SPI %08x already", (unsigned)esp->spi_in);
    if (h->esps == HOST_ESP_MAX || !make_room(h))
        return fail(err, OURS, 0, "more than %d Child SAs in the kernel, or no memory for one", HOST_ESP_MAX);
    if (h->reqid == 0)
        h->reqid = xfrm_reqid(h->table);
    struct esp_entry *entry = &h->esp[h->esps++];
    *entry = (struct esp_entry){.spi_in = esp->spi_in,
        .spi_out = esp->spi_out,
        .local = esp->local,
        .remote = esp->remote,
        .inner_local = esp->inner_local,
        .inner_remote = esp->inner_remote};
    struct esp_entry *old = other_of(h, entry);
    entry->outbound = esp->outbound || old == NULL;
    int result = put(h, esp, entry, old);
    if (result != 0) {
        forget(h, entry);
        return fail(err, HOST, 0, "the kernel does not take the Child SA (%s): %s",
            esp->encr == ENCR_AES_CBC      ? "AES-CBC with HMAC"
            : esp->encr == ENCR_AES_GCM_16 ? "AES-GCM"
                                           : "ChaCha20-Poly1305",
            nl_geterror(result));
    }
    if (old != NULL && entry->outbound)
        old->outbound = false;
    return true;
}

bool host_esp_read(struct host *h, uint32_t spi_in, bool remove, struct host_esp_state *state, struct error *err) {
    struct esp_entry *entry = h->xfrm != NULL ? find(h, spi_in) : NULL;
    *state = (struct host_esp_state){0};
    if (entry == NULL)
        return fail(err, OURS, 0, "the kernel does not have the SPI %08x", (unsigned)spi_in);
    if (remove)
        take_policies(h, entry);
    int result = xfrm_state_read(h, entry, true, state);
    if (result == 0)
        result = xfrm_state_read(h, entry, false, state);
    if (remove)
        remove_entry(h, entry);
    return result == 0 || fail(err, HOST, 0, "the kernel lost the SPI %08x: %s", (unsigned)spi_in, nl_geterror(result));
}

void esp_remove_all(struct host *h) {
    for (size_t i = 0; i < h->esps; i++) {
        (void)xfrm_policy_out(h, &h->esp[i], false);
        (void)xfrm_policies_in(h, &h->esp[i], false);
    }
    while (h->esps > 0)
        remove_entry(h, &h->esp[h->esps - 1]);
}

void esp_undo(uint32_t table) {
    struct nl_sock *socket = NULL;
    struct error ignored; /* no IPsec in this kernel: nothing can be there */
    if (!netlink_open(&socket, NETLINK_XFRM, &ignored))
        return;
    xfrm_undo(socket, xfrm_reqid(table));
    nl_socket_free(socket);
}
