/* monitor_wire.h: the records between monitor and engine as octets; private to daemon/. Numbers in network order.
 *
 *   request  kind u16 | serial u32 | body by kind
 *   answer   kind u16 | serial u32 | origin u8 | notify u16 | sentence u16+ | fields | text (the rest)
 *   notice   MONITOR_NOTICE u16 | notice u16
 *
 * A descriptor travels as ancillary data of its answer. Both readers refuse everything that a writer would not write. */
#ifndef IKETCP_DAEMON_MONITOR_WIRE_H
#define IKETCP_DAEMON_MONITOR_WIRE_H

#include "daemon/monitor.h"

#define MONITOR_NOTICE 200 /* a kind that is no request */
#define MONITOR_CONNECTION_MAX 64 /* octets of a connection's name, with the final NUL */
#define MONITOR_TUN_NAME_MAX 16
#define MONITOR_MTU_MIN 576

struct monitor_request {
    enum monitor_request_kind kind;
    uint32_t serial;
    struct {
        char connection[MONITOR_CONNECTION_MAX];
        uint16_t prf;
        struct identity local_id, remote_id;
        struct span local_octets, remote_octets; /* in the record */
    } auth;
    enum host_socket_kind socket;
    char connection[MONITOR_CONNECTION_MAX]; /* SOCKET, HOST_TCP: for which; empty: for a name server; else empty */
    struct address address; /* SOCKET: local; SOURCE: remote; ADDRESSES */
    char name[MONITOR_TUN_NAME_MAX]; /* TUN, TUN_CLOSE */
    uint32_t mtu; /* TUN */
    struct host_route_set routes; /* ROUTES_SET */
    uint32_t owner; /* ROUTES_DROP */
    enum monitor_keylog keylog; /* KEYLOG */
    struct {
        char connection[MONITOR_CONNECTION_MAX];
        struct host_esp sa;
    } esp; /* ESP_SET */
    uint32_t spi_in; /* ESP_READ */
    bool remove; /* ESP_READ */
};

/* False: malformed or unknown, and *err says how. */
MUST_USE bool monitor_request_read(struct span record, struct monitor_request *, struct error *);
void monitor_request_write(struct writer *, const struct monitor_request *);
bool monitor_request_has_answer(enum monitor_request_kind);
const char *monitor_request_name(enum monitor_request_kind);

/* `fd` is not part of it; `octets` come from the descriptor of a RELOAD answer, whose length is in `length`. */
void monitor_answer_write(struct writer *, enum monitor_request_kind, uint32_t serial, const struct monitor_answer *);
/* *text_storage (MONITOR_RECORD_MAX octets) holds answer.text. */
MUST_USE bool monitor_answer_read(
    struct span record, enum monitor_request_kind *, uint32_t *serial, struct monitor_answer *, char *text_storage);

void monitor_notice_write(struct writer *, enum monitor_notice);
MUST_USE bool monitor_notice_read(struct span record, enum monitor_notice *); /* false: it is none */

#endif
