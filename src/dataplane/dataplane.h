/* dataplane.h: the face of dataplane/: worker threads, each with an event loop, a TUN queue, streams, UDP sockets and the
 * worker's half of peer/ (struct traffic). Bursts from the TUN are cut, sealed in place and leave in one write; what
 * comes in one read is opened in place, joined and goes to the TUN in few writes. No system call, allocation or lock
 * per packet. The control thread talks to a worker over two bounded rings (single producer, single consumer) with an
 * eventfd each; nothing is shared but ESP counters. */
#ifndef IKETCP_DATAPLANE_DATAPLANE_H
#define IKETCP_DATAPLANE_DATAPLANE_H

#include "base/base.h"
#include "peer/peer.h"
#include <time.h>

struct tls;

/* The clock of the control thread and of the workers alike, in ms: it counts while the machine sleeps, as the other
 * side's does. */
static inline uint64_t dataplane_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000000;
}

struct worker;

struct worker_options {
    uint8_t number;
    int tun_fd; /* of device 0: IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, non-blocking; taken over on success. -1: none yet */
    uint32_t tun_mtu;
    bool tun_offload; /* TUNSETOFFLOAD was taken: bursts come and may go back */
    uint32_t corrupt_tolerance;
};
struct worker *worker_new(const struct worker_options *, struct error *); /* starts the thread */
/* Stops the thread and frees all; SAs included. Bounded: at most a second. */
void worker_free(struct worker *);

/* --- control thread to worker; all return false when the ring is full (try again later) --- */
enum worker_command_kind {
    WORKER_TRAFFIC, /* traffic */
    WORKER_STREAM_ADD, /* stream number, fd and tls (the worker's from now on), originator, octets (malloc'd, freed by the
                        * worker) */
    WORKER_STREAM_CLOSE,
    WORKER_SEND_IKE, /* carrier, octets (malloc'd, freed by the worker), bare: over UDP port 500 without marker */
    WORKER_UDP_ADD, /* fd, port */
    WORKER_UDP_CLEAR, /* all of them */
    WORKER_TUN, /* device, fd, mtu, offload: its TUN queue from now on; fd -1: it has none any more */
    WORKER_DEMAND, /* octets: an array of struct worker_demand (malloc'd, the worker's from now on); replaces the one before.
                    * Packets to one of these that no SA takes are reported as WORKER_ONDEMAND; others get an ICMP answer */
    WORKER_LEND, /* carrier.stream, traffic.anchor, round: the kernel is to have the stream and the SAs of its anchor; both rest from
                  * the next border of two frames on, and WORKER_LENT says so. Nothing, if the stream is gone */
    WORKER_KERNEL, /* carrier.stream, which rests: it is the kernel's. One that can't be is gone (WORKER_STREAM_GONE) */
    WORKER_RETURN, /* carrier.stream: is read again if it rests; octets: an array of struct esp_numbers (malloc'd, freed by the
                    * worker) of SAs that are ours again */
};
struct worker_demand {
    struct prefix to;
    uint32_t device; /* out of which they come */
};
struct worker_command {
    enum worker_command_kind kind;
    struct traffic_command traffic;
    struct carrier carrier;
    int fd;
    struct tls *tls; /* NULL: plain TCP */
    uint16_t port;
    bool originator;
    bool bare; /* no IKE message but a whole datagram for UDP: a NAT keepalive */
    uint8_t *octets;
    size_t length;
    uint32_t device, mtu;
    bool offload;
    uint32_t round; /* LEND */
};
MUST_USE bool worker_post(struct worker *, const struct worker_command *);

/* --- worker to control thread --- */
enum worker_report_kind {
    WORKER_IKE, /* carrier, octets (malloc'd; the reader frees): an IKE message came */
    WORKER_TRAFFIC_REPORT, /* traffic */
    WORKER_STREAM_GONE, /* carrier.stream, error: closed by the other side (ORIGIN_NONE: orderly FIN), or corrupt */
    WORKER_UDP_ERROR, /* carrier.remote, error */
    WORKER_ONDEMAND, /* device, octets: an inner packet to a WORKER_DEMAND prefix that no SA takes */
    WORKER_LENT, /* carrier, traffic.anchor, round, octets: an array of struct esp_numbers, one for each SA of the anchor */
};
#define WORKER_LENT_MAX ((size_t)64) /* SAs of one anchor that can be lent */
struct worker_report {
    enum worker_report_kind kind;
    struct carrier carrier;
    struct traffic_report traffic;
    uint32_t device;
    uint8_t *octets;
    size_t length;
    struct error error;
    uint32_t round; /* LENT: as in the LEND that it answers */
};
int worker_report_fd(const struct worker *); /* readable when reports wait; level-triggered */
size_t worker_take(struct worker *, struct worker_report *, size_t max);

struct worker_counters { /* relaxed atomics: the worker writes, any thread may read */
    _Atomic uint64_t tun_reads, tun_writes, stream_reads, stream_writes; /* system calls */
    _Atomic uint64_t drops_no_sa; /* packets from the TUN that no SA takes */
    _Atomic uint64_t drops_queue; /* that found their stream or socket full or gone, or the TUN's queue full */
    _Atomic uint64_t drops_policy; /* too big for their tunnel, or malformed */
    _Atomic uint64_t ike_dropped; /* IKE messages over UDP for which the ring of reports had no room */
};
const struct worker_counters *worker_counters(const struct worker *);

#endif
