/* pace.h: how much of a stream may lie where nothing can overtake it: in the socket, unsent, and in queues of the network. Both
 * are held to a few milliseconds, whatever the congestion control does: the first by a bound that follows the rate, the
 * second by pacing at the rate at which octets arrive, a little below while round trips are longer than they need be and
 * a little above while they are not. Pure. */
#ifndef IKETCP_DATAPLANE_PACE_H
#define IKETCP_DATAPLANE_PACE_H

#include "base/base.h"

#define PACE_EVERY_MS 10u /* between two samples */
#define PACE_NOTSENT_MAX ((size_t)131072)
#define PACE_QUANTUM_MAX ((size_t)65536)

struct pace_sample { /* of TCP_INFO */
    uint64_t now; /* us */
    uint32_t rtt, rtt_min; /* us */
    uint32_t delivered; /* segments that arrived since the stream began; begins anew at 2^32 */
    uint32_t segment; /* octets of one, which a path may change at any time */
    bool waits; /* there is more than the socket takes; else whoever sends is what is slow */
};
struct pace {
    uint64_t rate; /* octets a second to pace at; 0: not at all */
    size_t notsent; /* octets that may wait in the socket */
    size_t quantum; /* octets of one write */
    uint64_t arrives; /* smoothed octets a second, 0: not known yet */
    struct pace_sample last;
    bool stood; /* a queue, and more for it, when that was taken */
    uint64_t long_since; /* us: since when round trips are too long although we hold back; 0: they are not */
    uint64_t yields_until; /* us: others fill the queue, which no restraint of ours can help */
};
void pace_init(struct pace *);
void pace_update(struct pace *, const struct pace_sample *);

#endif
