/* internal.h: what the files of the worker share. All of it runs on the worker's own thread but worker_post, worker_take
 * and the ends of a worker's life.
 *
 * Nothing of size is made per packet: buffers, jobs and frames live here and are used again for every burst. */
#ifndef IKETCP_DATAPLANE_INTERNAL_H
#define IKETCP_DATAPLANE_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "dataplane/dataplane.h"
#include "dataplane/pace.h"
#include "dataplane/queue.h"
#include "dataplane/ring.h"
#include "transport/transport.h"

struct event;
struct event_base;

#define COMMAND_SLOTS 1024u
#define REPORT_SLOTS 1024u
#define REPORT_RESERVE 128u /* slots that only reports take which must not be lost: SAs given back, streams gone */
#define REPORT_ROOM (sizeof(((struct traffic_reports *)0)->report) / sizeof(struct traffic_report))
#define COMMANDS_PER_WAKE 64
#define READS_PER_WAKE 64 /* of the TUN */
#define READ_PER_WAKE ((size_t)1048576) /* octets */
#define OCTETS_PER_WAKE ((size_t)262144) /* that leave */
#define WRITE_QUEUE_MAX ((size_t)262144) /* of ours, behind a full socket */
#define UDP_SOCKETS_MAX 64
#define LINK_BUCKETS 8192
#define RETRY_MS 2
#define ENDINGS_MS 1
#define ENDINGS_AT_ONCE 8 /* connections that are closed in one turn: the kernel takes its time with each */
#define SEND_AT ((size_t)65536) /* so many octets of frames leave in one write */
#define AGGREGATE_MAX ((size_t)32768) /* of a payload in AGGFRAG mode, on a stream: longer ones measure no better */
#define FRAMES_MAX (SEND_AT + 2 * (FRAME_MAX + 256))
#define UDP_PAYLOAD_MAX ((size_t)65487) /* 65,535 less the largest headers of IPv4 and UDP, options included */

/* So many a second, and at most a burst of as many at once. */
struct allowance {
    uint32_t per_second, left;
    uint64_t filled; /* ms */
};
bool allowance_take(struct allowance *, uint64_t now);

/* What waits for one carrier. */
struct outlet {
    TAILQ_ENTRY(outlet) next;
    struct link *link; /* NULL: UDP, all of it */
    bool ready; /* something waits, and the carrier takes it: it is in worker->ready */
    struct queue_line line;
};
TAILQ_HEAD(outlet_list, outlet);

/* A device that inner packets come out of and go into. */
struct tun {
    LIST_ENTRY(tun) next;
    struct worker *worker;
    uint32_t device;
    uint32_t mtu;
    int fd;
    bool paused;
    struct event *readable, *again;
    struct joiner joiner;
};
LIST_HEAD(tun_list, tun);
/* On its way to the kernel (lend.c). */
enum lending {
    LEND_OURS,
    LEND_ENDING, /* read to the border of two frames, written until nothing waits */
    LEND_RESTS, /* neither: the control thread decides */
    LEND_KERNEL,
};

/* A stream of this worker's. */
struct link {
    LIST_ENTRY(link) next, held_next;
    struct worker *worker;
    struct carrier carrier;
    struct stream *stream; /* NULL: gone, its report waits for room */
    struct event *readable, *writable;
    uint32_t strikes; /* see traffic_receive */
    bool full; /* its socket takes no more: `writable` is on */
    bool held; /* what it brought waits for room in the ring of reports; it is not read */
    enum lending lending;
    uint32_t anchor, round; /* that is being lent; and in which try of the control thread */
    bool asked; /* for its SAs, by LEND_KERNEL: they wait for room in the ring of reports */
    bool retried; /* it is in worker->retried_links */
    LIST_ENTRY(link) retry_next;
    struct outlet outlet;
    struct pace pace;
    uint64_t paced_at; /* ms */
    uint64_t rate; /* what the socket was told last, as `notsent` */
    int notsent;
    struct error error; /* why it is gone */
};
LIST_HEAD(link_list, link);

struct udp_entry {
    struct worker *worker;
    struct udp_socket *socket;
    struct event *readable;
    struct address bound;
    uint16_t port;
};

/* What left the TUN and is on its way to one carrier. */
struct outbound {
    struct traffic_route route; /* sa NULL: nothing is here */
    struct link *link; /* NULL: UDP */
    size_t field, offset; /* octets in front: of the frame's length, and of ESP header and IV */
    struct esp_seal_job job[ESP_BATCH_MAX];
    struct udp_datagram datagram[ESP_BATCH_MAX];
    size_t jobs; /* not yet sealed */
    size_t used; /* octets of frames, sealed or not */
    size_t packets; /* in frames */
    struct aggfrag_fill fill; /* behind them: a payload of an SA in AGGFRAG mode */
    uint8_t whole[TUN_READ_MAX]; /* a packet that goes in pieces */
    uint8_t frames[FRAMES_MAX];
};

/* A first packet of an on-demand tunnel. */
#define HOLD_PACKETS_MAX ((size_t)32)
#define HOLD_OCTETS_MAX ((size_t)131072)
struct held {
    uint32_t device;
    uint8_t *octets; /* as read from the TUN */
    size_t length;
    uint64_t at; /* ms */
};

struct worker {
    struct worker_options options;
    pthread_t thread;
    atomic_bool stop;
    struct ring commands, reports;
    struct event_base *base;
    struct event *on_command, *on_retry, *on_ending, *on_serve;
    struct worker_command command; /* taken, and waiting for room for its reports */
    bool command_waits;
    struct traffic *traffic;
    struct traffic_reports traffic_reports;
    struct link_list bucket[LINK_BUCKETS], ending, gone, held_links, retried_links;
    struct stream_memory stream_memory;
    struct udp_entry udp[UDP_SOCKETS_MAX];
    size_t udps;
    bool udp_held;

    struct tun_list tuns; /* the one that was used last first */
    struct queue *queue;
    uint64_t queue_drops; /* of its own that are counted */
    struct outlet_list ready;
    struct outlet udp_outlet;
    uint64_t generation; /* of routes: one more whenever SAs or anchors changed */
    struct outbound out;
    struct traffic_frame frame[ESP_BATCH_MAX];
    struct span payload[ESP_BATCH_MAX];

    struct allowance icmp, ondemand;
    struct worker_demand *demand; /* see WORKER_DEMAND */
    size_t demands;
    struct held held[HOLD_PACKETS_MAX]; /* oldest first */
    size_t helds, held_octets;
    struct worker_counters counters;
};

static inline void counter_add(
    _Atomic uint64_t *counter, uint64_t more) { /* one writer: no locked instruction needed */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

/* ---- worker.c ---- */
void worker_retry_soon(struct worker *); /* something waits for room in the ring of reports */

/* ---- commands.c ---- */
void commands_run(struct worker *);
void command_discard(const struct worker_command *); /* frees what it owns */

/* ---- reports.c ---- */
/* Room for all that one call into `traffic` can report, and for `ike` IKE messages. */
bool reports_have_room(struct worker *, size_t ike);
bool report_ike(struct worker *, const struct carrier *, struct span message); /* false: dropped */
void report_gone(struct worker *, struct link *); /* takes the link, whose stream is closed */
void report_udp_error(struct worker *, const struct address *remote, const struct error *);
void report_ondemand(struct worker *, uint32_t device, const uint8_t *packet, size_t length);
bool report_lent(struct worker *, const struct link *, const struct esp_numbers *, size_t count); /* false: no room */
/* Sends up what the last call into `traffic` reported, and empties the list. *corrupt (may be NULL) gets the error of
 * TRAFFIC_CORRUPT. */
void report_traffic(struct worker *, struct error *corrupt);
void report_discard(const struct worker_report *); /* frees what it owns */

/* ---- links.c ---- */
struct link *link_find(struct worker *, uint32_t stream);
void link_add(struct worker *, const struct worker_command *);
void link_close(struct link *); /* without a report */
void link_lost(struct link *, enum stream_result, const struct error *); /* closes and reports */
void link_after_write(struct link *); /* waits for writability if something stayed behind */
void link_hold(struct link *); /* until the ring of reports has room again */
void link_pace_begin(struct link *); /* link_pace.c */
void link_pace(struct link *, uint64_t now); /* after a write; link_pace.c */
void links_end(struct worker *); /* some of those that were lost are closed and reported */
void links_retry(struct worker *); /* held ones go on, gone ones are reported */
void links_free(struct worker *);

/* ---- lend.c ---- */
void lend_begin(struct link *, uint32_t anchor, uint32_t round);
void lend_decided(struct link *);
void lend_over(struct link *); /* ours again, unless it is the kernel's */
/* After reading and writing: takes the next step if it can be taken. False: the link is gone. */
bool lend_on(struct link *);
void lend_retry(struct link *); /* it waits for what tells nobody when it comes */
void lends_retry(struct worker *);

/* ---- inbound.c ---- */
/* What came over one carrier, in order, worker->frame[0..count). False: the carrier is corrupt, *err says why. */
bool inbound_frames(
    struct worker *, const struct carrier *, bool marker, uint32_t *strikes, size_t count, struct error *err);
/* Works off what is read and not yet done with; false: the link is gone or held. */
bool inbound_link(struct link *);
void inbound_readable(int fd, short what, void *link);

/* ---- udp.c ---- */
void udp_add(struct worker *, int fd, uint16_t port);
void udp_clear(struct worker *);
void udp_retry(struct worker *);
void udp_send_ike(struct worker *, const struct carrier *, struct span message, bool bare);
size_t udp_send_packets(struct worker *, const struct udp_datagram *, size_t count); /* all over one carrier */

/* ---- tun.c ---- */
void tun_set(struct worker *, uint32_t device, int fd, uint32_t mtu, bool offload); /* replaces it; -1: none */
struct tun *tun_find(struct worker *, uint32_t device); /* NULL: none */
void tun_pause(struct tun *, uint64_t most_ms);
void tuns_flush(struct worker *); /* what was joined leaves */
void tuns_free(struct worker *);

/* ---- outbound.c ---- */
void outbound_readable(int fd, short what, void *tun);
void outbound_serve(struct worker *); /* what waits and may go, goes */
void outlet_init(struct outlet *, struct link *, uint32_t number);
void outlet_ready(struct worker *, struct outlet *); /* if it is */
void outlet_rest(struct worker *, struct outlet *); /* its carrier takes no more */
void outlet_clear(struct worker *, struct outlet *); /* drops what waits */
/* What one read of a device gave, once more. */
void outbound_again(struct worker *, uint32_t device, const uint8_t *octets, size_t length);

void outbound_seal_if_full(struct worker *);
/* Octets of frames, and of the payload that is being filled. */
static inline size_t outbound_gathered(const struct outbound *out) {
    return out->used + (out->fill.payload == NULL ? 0 : out->field + out->offset + out->fill.used);
}

/* ---- aggregate.c ---- */
/* Cuts up to `most` octets of packets into payloads. Returns how many octets. */
size_t aggregate_pack(struct worker *, struct cut *, size_t most);
void aggregate_close(struct worker *); /* the payload that is being filled, if any, is to be sealed as it is */

/* ---- hold.c ---- */
void hold_add(struct worker *, uint32_t device, const uint8_t *octets, size_t length); /* as read; copied */
void hold_release(struct worker *); /* those that an SA takes now */
void hold_clear(struct worker *);

/* ---- icmp.c ---- */
void icmp_demand_set(struct worker *, struct worker_demand *, size_t count); /* takes them over */
/* True: one is on demand for it, and was asked for. */
bool icmp_no_tunnel(struct worker *, uint32_t device, const uint8_t *packet, size_t length);
void icmp_too_big(struct worker *, uint32_t device, const uint8_t *packet, size_t length, size_t mtu);

#endif
