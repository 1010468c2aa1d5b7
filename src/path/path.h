/* path.h: the face of path/: which transport an Initiator's IKE SA takes, in which order, when it falls back, how a lost
 * stream is opened again, what MOBIKE tries. Pure: times and facts come in, one step comes out. Rows C1 to C7, L1, K8,
 * T4. A Responder has no path: it never connects (L14).
 *
 * A path is told what happened and answers with what to do next. It never keeps sockets or SAs: a step that says
 * PATH_TRY always means a *new* IKE SA over that transport (C2), PATH_RECONNECT means the SAs are kept (L1, K3).
 *
 * Staggered (C8, after RFC 8305), an attempt is several tries at once, each an IKE SA of its own with a path of its own: the
 * path of the attempt says PATH_BESIDE when it is time for another one, path_beside makes its path. The first one that is
 * answered becomes the attempt (path_take), and its owner ends the others. */
#ifndef IKETCP_PATH_PATH_H
#define IKETCP_PATH_PATH_H

#include "base/base.h"

enum transport { TRANSPORT_NONE, TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS };
const char *transport_text(enum transport); /* "udp", "tcp", "tls", "none" */

enum path_choice { PATH_NO, PATH_YES, PATH_FALLBACK }; /* enable-tcp=, enable-tls=no|yes|fallback */

#define PATH_TARGETS_MAX 8
#define PATH_TRANSPORTS 3

struct path_target {
    struct address local; /* no port; unspecified: the kernel chooses */
    struct address remote; /* no port; unspecified: a proxy knows it, only streams can be opened */
};

struct path_config {
    enum path_choice tcp, tls; /* yes: it alone; fallback: after UDP, TLS after TCP (T4); not both yes */
    uint16_t udp_port; /* 500 */
    uint16_t udp_nat_port; /* 4500 */
    uint16_t tcp_port; /* tcp-remoteport, 4500 */
    uint16_t tls_port; /* tls-remoteport, 443 */
    uint32_t sends_before_fallback; /* 2: IKE_SA_INIT was sent so often and not answered (C1) */
    uint64_t fallback_after_ms; /* 1,500: since the first send over UDP; both must be reached */
    uint64_t attempt_timeout_ms; /* retransmit-timeout: bounds the whole attempt over all transports and targets */
    uint64_t connect_timeout_ms; /* of one TCP connect: next target after that */
    uint64_t try_tls_after_ms; /* the same of a TCP stream behind which TLS is tried */
    uint64_t reconnect_first_ms; /* backoff before the 2nd reconnect (the 1st is at once), doubles ... */
    uint64_t reconnect_most_ms; /* ... up to this; jitter of a quarter each way */
    uint64_t better_after_ms; /* over a stream, UDP is tried again so often while the SA runs (MOBIKE); NEVER: not */
    uint64_t udp_again_after_ms; /* a remembered fallback is forgotten after that (C4); NEVER: only with the network */
    bool staggered; /* what is next begins while those before may still answer (C8) */
    uint64_t stagger_ms; /* 250: so long after the one before (RFC 8305, section 5) */
};
void path_config_defaults(struct path_config *);

/* What worked on which network: outlives a path, belongs to the connection (C4). Zero it to forget. */
#define PATH_NETWORKS_MAX 8
struct path_worked {
    uint64_t network; /* of the owner's choosing: a hash of the default gateway; 0: unknown, stands for all */
    enum transport worked; /* NONE: nothing is known */
    uint64_t since;
};
struct path_memory {
    struct path_worked at[PATH_NETWORKS_MAX]; /* the oldest one makes room */
};

enum path_verb {
    PATH_WAIT, /* nothing now; path_wake at path_deadline */
    PATH_TRY, /* drop the IKE SA in progress, if any; begin a new one over `transport` to `remote` */
    PATH_BESIDE, /* keep it, and begin another one beside it: path_beside, at once */
    PATH_MOVE, /* take the request that waits over `transport` to `remote`; the SAs are kept (K8) */
    PATH_RECONNECT, /* open `transport` to `remote` for the SAs that are there */
    PATH_GIVE_UP, /* *why says it for a person */
};
struct path_step {
    enum path_verb verb;
    enum transport transport;
    struct address local, remote; /* with ports; local.port 0: any */
    struct error why; /* TRY: why the last one was given up (ORIGIN_NONE at the first); GIVE_UP: the sentence */
};

struct path {
    const struct path_config *config;
    struct path_memory *memory;
    struct path_target target[PATH_TARGETS_MAX];
    size_t targets, current; /* which target is tried */
    enum transport transport; /* which is tried or was used last */
    bool answered, established;
    bool connected; /* the stream that was asked for last is open */
    bool reconnecting; /* the stream of the established SA is gone; a new one is opened or waited for */
    enum transport order[PATH_TRANSPORTS]; /* what is tried, one after the other; what is remembered is the first */
    size_t transports, nth; /* in `order`; which is tried */
    bool moving; /* MOBIKE: an UPDATE_SA_ADDRESSES looks for its way */
    bool hurried; /* moving: UDP did not pass on this network the last time */
    bool waiting; /* for the backoff to pass */
    bool retried; /* stream: the peer wanted IKE_SA_INIT again; the stream may be replaced once for that (K3) */
    bool refused; /* UDP: an error came for the present try; waits until IKE_SA_INIT was sent often enough */
    uint64_t network; /* on which this attempt is made */
    bool beside; /* one try of a staggered attempt: it knows of no other */
    uint32_t begun,
        failed; /* staggered, a bit for each transport and target: tried, or being tried; known not to work */
    uint64_t beside_from; /* staggered: the next one may begin */
    uint64_t answer_ms; /* staggered: what UDP took to answer IKE_SA_INIT, from the first send */
    bool silent; /* somebody in this round did not answer at all: a UDP-only path begins another round */
    uint64_t began_at, tried_at, deadline, backoff_ms;
    uint64_t first_sent_at; /* over the present transport and target; NEVER: not yet */
    uint32_t attempts; /* that failed in a row: each doubles the patience with UDP */
    uint32_t rounds; /* over all targets, of this attempt */
    uint32_t sends; /* of IKE_SA_INIT, then of IKE_AUTH, over the present transport and target */
    uint32_t reconnects; /* successful ones, for status */
    uint32_t failures; /* of reconnecting since the last success */
    struct error last; /* why the last try failed */
    struct error doubt; /* an unauthenticated refusal came for the present try (K4); ORIGIN_NONE: none */
    struct error last_over[PATH_TRANSPORTS + 1]; /* the same by transport, for the sentence at the end */
    struct random_source random;
};

/* `config` and `memory` outlive the path. `network` as in path_memory. */
void path_init(struct path *, const struct path_config *, struct path_memory *memory, uint64_t network,
    struct random_source random);
struct path_step path_begin(struct path *, uint64_t now, const struct path_target *, size_t targets);
/* IKE_SA_INIT or, once that was answered, IKE_AUTH went out (again), over what was said last (C1, C7). */
void path_sent(struct path *, uint64_t now);
/* The peer wants IKE_SA_INIT again (a cookie, another group): its sends are counted anew. */
void path_retried(struct path *, uint64_t now);
/* A refusal of IKE_SA_INIT that anybody may have written: not believed over UDP (K4), but said when nothing better came. */
void path_doubted(struct path *, const struct error *why);
void path_connected(struct path *, uint64_t now); /* the stream is open; the exchange's own timers run now */
void path_answered(
    struct path *, uint64_t now); /* the peer answered IKE_SA_INIT: over a stream no falling back from here */
void path_established(struct path *, uint64_t now); /* the IKE SA is up: remember the transport */
/* Refused, unreachable, closed before the answer, an IKE error that another address might not give. PATH_WAIT over UDP
 * before IKE_SA_INIT was sent often enough: one ICMP message, which anybody may write, ends nothing (C1). PATH_RECONNECT at
 * once where the peer wanted IKE_SA_INIT again and closed: the same IKE SA goes on over a new stream (K3). While a stream of
 * an established SA is opened again: the next one comes after the backoff. */
struct path_step path_failed(struct path *, uint64_t now, const struct error *why);
/* The stream of an established SA is gone: PATH_RECONNECT at once, or PATH_WAIT when the last one did not live long. */
struct path_step path_lost(struct path *, uint64_t now, const struct error *why);
/* MOBIKE: the IKE SA is to be carried by something else. `targets`: as in path_begin, the peer's present address first.
 * udp_died: UDP comes last. PATH_MOVE, or PATH_WAIT where nothing can be tried. path_sent, path_connected, path_failed,
 * path_lost (of the stream being tried) and path_wake say how it goes; path_moved ends it. */
struct path_step path_move(
    struct path *, uint64_t now, const struct path_target *, size_t targets, uint64_t network, bool udp_died);
void path_moved(
    struct path *, uint64_t now, enum transport, const struct address *remote); /* the answer came over it */
bool path_better(const struct path *, struct path_step *out); /* a stream carries it, and this would be better */
/* Without MOBIKE: this host is `local` now, on that network; and a backoff that runs ends at once. */
void path_from(struct path *, const struct address *local, uint64_t network);
void path_to(struct path *, const struct path_target *); /* the peer is there now, not where it was tried */
struct path_step path_hurry(struct path *, uint64_t now);
bool path_has_streams(const struct path_config *);
/* The reconnected stream carried an authentic answer: backoff starts anew, counted. */
void path_recovered(struct path *, uint64_t now);
void path_kept(struct path *); /* the stream that was given up lives after all: as if nothing had been lost */
struct path_step path_wake(struct path *, uint64_t now);
/* After PATH_BESIDE: *beside is the path of the next try, and PATH_TRY says over what. That one is told what happens to it as
 * any other path is, and says PATH_GIVE_UP when its try failed, which path_beside_failed hands on. */
struct path_step path_beside(struct path *, uint64_t now, struct path *beside);
/* PATH_BESIDE at once where another one is left (RFC 8305, section 5), else PATH_WAIT. */
struct path_step path_beside_failed(struct path *, uint64_t now, const struct path *beside, const struct error *why);
/* The try goes on as the attempt itself: it was answered first, or is among those that are left. */
void path_take(struct path *, uint64_t now, const struct path *beside);
void path_say_silence(const struct path *, uint64_t now, struct error *); /* "UDP 192.0.2.1:500 did not answer ..." */
uint64_t path_deadline(const struct path *);

#endif
