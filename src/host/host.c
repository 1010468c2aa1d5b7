/* host.c: opening, which takes back what an earlier run left, and closing, which takes back everything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"

/* What a killed run left. The file stays until it is undone, and undoing twice does no harm. */
static void undo_leftovers(struct host *h) {
    struct state *state = malloc(sizeof *state);
    if (state != NULL && state_read(h->state_path, state)) {
        for (size_t i = state->rule_count; i-- > 0;)
            mark_rules_remove(h, state->mark, &state->rules[i], i == 0);
        rules_undo(h, state->mark, state->table, state->table_default);
        esp_undo(state->table);
    }
    free(state);
    state_remove(h);
}

struct host *host_open(const char *state_path, uint32_t mark, struct error *err) {
    struct host *h = calloc(1, sizeof *h);
    if (h == NULL || strlen(state_path) >= sizeof h->state_path || mark == 0) {
        free(h);
        fail(err, OURS, 0, "the host can't be managed: %s",
            mark == 0 ? "outer sockets need a mark" : "no memory, or too long a path of the clean-up file");
        return NULL;
    }
    snprintf(h->state_path, sizeof h->state_path, "%s", state_path);
    h->mark = mark;
    if (!netlink_open(&h->netlink, NETLINK_ROUTE, err)) {
        free(h);
        return NULL;
    }
    undo_leftovers(h);
    return h;
}

const char *host_warning(const struct host *h) {
    return h->warning;
}

void host_close(struct host *h) {
    if (h == NULL)
        return;
    esp_remove_all(h);
    if (h->table != 0)
        rules_undo(h, h->mark, h->table, h->table_default);
    own_addresses_remove(h);
    devices_remove(h);
    if (h->tun_index != 0)
        link_remove(h, h->tun_index);
    state_remove(h);
    for (size_t i = 0; i < h->entries; i++)
        free(h->entry[i]);
    free(h->entry);
    nl_socket_free(h->watch);
    nl_socket_free(h->filter); /* and the kernel takes our filter's table away */
    nl_socket_free(h->xfrm);
    free(h->esp);
    nl_socket_free(h->netlink);
    free(h);
}
