/* netlink.c: talk with the kernel's routing by libnl: a message and its answer, a dump, addresses in attributes. */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/internal.h"

#define DUMP_TRIES 4
#define BUFFER_OCTETS (1 << 20)

bool netlink_open(struct nl_sock **out, int protocol, struct error *err) {
    struct nl_sock *socket = nl_socket_alloc();
    int failed = socket != NULL ? nl_connect(socket, protocol) : -NLE_NOMEM;
    if (failed != 0) {
        nl_socket_free(socket);
        return fail(err, HOST, 0, "netlink: %s", nl_geterror(failed));
    }
    (void)nl_socket_set_buffer_size(socket, BUFFER_OCTETS, BUFFER_OCTETS);
    nl_socket_disable_auto_ack(socket);
    *out = socket;
    return true;
}

struct nl_msg *netlink_message(int type, int flags, const void *header, size_t length) {
    struct nl_msg *message = nlmsg_alloc_simple(type, flags);
    if (message != NULL && nlmsg_append(message, (void *)(uintptr_t)header, length, NLMSG_ALIGNTO) != 0) {
        nlmsg_free(message);
        return NULL;
    }
    return message;
}

int netlink_send_on(struct nl_sock *socket, struct nl_msg *message) {
    if (message == NULL)
        return -NLE_NOMEM;
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    int result = nl_send_auto(socket, message);
    wipe(nlmsg_hdr(message), nlmsg_hdr(message)->nlmsg_len); /* a state's has keys */
    nlmsg_free(message);
    return result < 0 ? result : nl_wait_for_ack(socket);
}

int netlink_send(struct host *h, struct nl_msg *message) {
    return netlink_send_on(h->netlink, message);
}

struct listener {
    netlink_each *each;
    void *context;
};

static int on_message(struct nl_msg *message, void *context) {
    const struct listener *listener = context;
    listener->each(nlmsg_hdr(message), listener->context);
    return NL_OK;
}

static int receive(struct nl_sock *socket, netlink_each *each, void *context) {
    struct listener listener = {each, context};
    struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
    if (callbacks == NULL)
        return -NLE_NOMEM;
    nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_message, &listener);
    int result = nl_recvmsgs(socket, callbacks);
    nl_cb_put(callbacks);
    return result;
}

int netlink_dump_on(
    struct nl_sock *socket, int type, const void *header, size_t length, netlink_each *each, void *context) {
    int result = -NLE_FAILURE;
    for (int i = 0; i < DUMP_TRIES; i++) { /* callbacks may see things twice: they collect sets */
        result = nl_send_simple(socket, type, NLM_F_DUMP, (void *)(uintptr_t)header, length);
        if (result >= 0)
            result = receive(socket, each, context);
        if (result != -NLE_DUMP_INTR)
            break;
    }
    return result < 0 ? result : 0;
}

int netlink_dump(struct host *h, int type, const void *header, size_t length, netlink_each *each, void *context) {
    return netlink_dump_on(h->netlink, type, header, length, each, context);
}

int netlink_ask_on(struct nl_sock *socket, struct nl_msg *message, netlink_each *each, void *context) {
    if (message == NULL)
        return -NLE_NOMEM;
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_REQUEST;
    int result = nl_send_auto(socket, message);
    nlmsg_free(message);
    return result < 0 ? result : receive(socket, each, context);
}

int netlink_ask(struct host *h, struct nl_msg *message, netlink_each *each, void *context) {
    return netlink_ask_on(h->netlink, message, each, context);
}

int family_of(const struct address *address) {
    return address->family == 6 ? AF_INET6 : AF_INET;
}

bool put_address(struct nl_msg *message, int attribute, const struct address *address) {
    return nla_put(message, attribute, (int)address_octets(address), address->octets) == 0;
}

struct address get_address(const struct nlattr *attribute, int family) {
    struct address address = {.family = family == AF_INET6 ? 6 : 4};
    if (attribute == NULL || (size_t)nla_len(attribute) != address_octets(&address))
        return (struct address){0};
    memcpy(address.octets, nla_data(attribute), address_octets(&address));
    return address;
}
