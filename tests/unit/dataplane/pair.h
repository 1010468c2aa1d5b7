/* pair.h: two workers with stand-ins for their TUN devices (datagram socket pairs: one write is one packet there as well),
 * one SA with fixed keys between them, and streams over the loopback interface. */
#ifndef TEST_DATAPLANE_PAIR_H
#define TEST_DATAPLANE_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail /* base/error.h has another one */

#include "dataplane/dataplane.h"
#include "dataplane/offload.h"
#include "packets.h"

#define ANCHOR 7u
#define SPI_WEST 0x1000u /* inbound at west */
#define SPI_EAST 0x2000u

struct side {
    struct worker *worker;
    int tun; /* our end: what we write comes out of the "TUN" */
    struct esp_sa *sa;
};
struct pair {
    struct side west, east;
};

struct pair_mode {
    uint32_t tun_mtu;
    bool aggfrag, whole_only; /* as in struct esp_config, with aggfrag_mtu */
    uint32_t aggfrag_mtu;
};
struct pair pair_open_as(struct pair_mode);
struct pair pair_open(void); /* workers, anchors without a carrier, the SA on both */
void pair_close(struct pair *);
struct esp_sa *pair_sa(uint32_t in, uint32_t out); /* one more, with the same keys; the caller's */
/* Another device of the same workers, with an anchor (`carrier`) and an SA of its own. The ends' TUNs are the caller's. */
struct pair pair_device(const struct pair *, uint32_t device, uint32_t anchor, struct carrier carrier);
void post(struct side *, struct worker_command);
/* Connects both over a new TCP connection of that number; west is Originator. Moves nothing. */
void pair_stream(struct pair *, uint32_t stream);
struct carrier stream_carrier(uint32_t stream);
int udp_bound(struct address *bound); /* on 127.0.0.1 */
struct carrier udp_carrier(const struct address *local, const struct address *remote);
void side_move(struct side *, struct carrier);
int listening(struct address *bound); /* on 127.0.0.1 */
void tcp_pair(int *originator, int *responder);
/* The next report of that kind; others are passed over (and freed). Fails the test when none comes within seconds. */
struct worker_report report_of(struct side *, enum worker_report_kind);
struct worker_report traffic_report_of(struct side *, enum traffic_report_kind);
void tun_put(struct side *, const struct packet *); /* with the header for the TUN */
void tun_get(struct side *, struct packet *); /* waits some seconds */
bool tun_silent(struct side *, int ms);
/* A burst by chance goes in at `from`; its packets must come out at `to`, however they were joined. */
void burst_passes(struct random_source *, struct side *from, struct side *to);
void send_ike(struct side *, struct carrier, const void *message, size_t length);

#endif
