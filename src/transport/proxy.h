/* proxy.h: private to transport/: what is said to a proxy before it lets octets through. Pure: its octets go in, ours come
 * out, however they are cut; bounded. */
#ifndef IKETCP_TRANSPORT_PROXY_H
#define IKETCP_TRANSPORT_PROXY_H

#include "transport/transport.h"

#define PROXY_SAY_MAX 1400 /* octets of the longest request: two names of 255 octets in base64, and the host twice */
#define PROXY_LINE_MAX 200 /* of an answer's first line; the rest of a longer one is passed over */
#define PROXY_ANSWER_MAX ((size_t)16384) /* octets of all headers */

enum proxy_verdict {
    PROXY_MORE, /* send say[0..said), if there is any, then read */
    PROXY_OPEN, /* what follows is the peer's */
    PROXY_REFUSED, /* *err says why, beginning with what the proxy did: "refused: 403 Filtered" */
};

struct proxy_talk {
    struct proxy_wanted wanted;
    uint8_t say[PROXY_SAY_MAX]; /* to be sent now; its sender sets `said` to 0 */
    size_t said;
    int state;
    size_t taken; /* octets of the present answer */
    char line[PROXY_LINE_MAX + 1]; /* HTTP: the first line */
    size_t line_length;
    bool in_first_line, blank; /* HTTP: `blank`: nothing yet on the present line */
    uint8_t answer[4 + 1 + 255 + 2]; /* SOCKS: the present answer */
};

/* The first words are in `say`. False: what is wanted does not fit. */
MUST_USE bool proxy_begin(struct proxy_talk *, const struct proxy_wanted *, struct error *);
/* Takes octets of the proxy's, *used of them: fewer than `length` only with PROXY_OPEN. */
enum proxy_verdict proxy_take(struct proxy_talk *, const uint8_t *octets, size_t length, size_t *used, struct error *);

/* proxy_http.c, proxy_socks.c */
bool http_begin(struct proxy_talk *, struct error *);
enum proxy_verdict http_take(struct proxy_talk *, uint8_t octet, struct error *);
bool socks_begin(struct proxy_talk *, struct error *);
enum proxy_verdict socks_take(struct proxy_talk *, uint8_t octet, struct error *);

#endif
