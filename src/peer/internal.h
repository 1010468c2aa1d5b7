/* internal.h: what the files of the control half share. Every public call is peers_begin, work, peers_finish; objects that
 * end in between are put aside and freed by the next peers_begin, so that nobody holds a dead pointer.
 *
 * output.c: actions      table.c, timer.c: finding and waking      configure.c, conn.c: connections
 * life.c: peers and their SAs      exchange.c: what an IKE SA says      initiate.c, respond.c, choose.c: how one begins
 * stream.c, move.c, reconnect.c: what carries it      pulse.c, silence.c: whether it still does
 * children.c, host.c: what it is for      claims.c: which addresses are whose
 * roam.c, follow.c: MOBIKE, as Initiator and as Responder      network.c: this host is somewhere else
 * addresses.c: where else it can be reached      race.c: several tries at once      notice.c, doubt.c, renew.c: one that may have forgotten us
 * loss.c, unique.c, commands.c: how one ends
 *      words.c, status.c: what people see      gateway.c: the peer is somewhere else */
#ifndef IKETCP_PEER_INTERNAL_H
#define IKETCP_PEER_INTERNAL_H

#include "peer/peer.h"
#include "peer/table.h"

#include <stdatomic.h>

#define PEER_SAS_MAX 8 /* of one peer: the present one, predecessors, both of a collision */
#define PEER_OUTPUTS_MAX 6 /* how deep one IKE SA's output may lead to another's */
#define PEER_CLOSING_MS UINT64_C(1500) /* for the answer to our last DELETE */
#define PEER_RETRY_FIRST_MS UINT64_C(5000) /* between attempts, doubles ... */
#define PEER_RETRY_MOST_MS UINT64_C(60000)
#define PEER_YOUNG_MS UINT64_C(60000) /* two SAs that both sides began so close together are one collision */

struct timer {
    uint64_t at; /* NEVER: not in the heap */
    size_t index;
    bool of_stream;
    void *owner;
};
struct timers {
    struct timer **heap;
    size_t count, capacity;
};
bool timer_set(struct timers *, struct timer *, uint64_t at); /* NEVER: takes it out; false: no memory */
struct timer *timer_first(const struct timers *);
void timers_free(struct timers *);

/* One configured connection. Outlives its configuration while a peer of it lives. */
struct conn {
    struct conn *next;
    struct peer_config config;
    char *child_name[IKE_CHILD_CONFIGS_MAX];
    struct path_memory memory;
    size_t peers; /* that point here */
    size_t up; /* of them are established */
    bool gone; /* no longer configured */
    bool shown; /* in the walk of peers_status_next that goes on */
    bool on_demand; /* a packet begins it */
    uint64_t demand_after; /* but not before */
    uint64_t redirected_since; /* redirects are counted from then on, against loops */
    uint32_t redirects;
    struct ike_ticket *ticket; /* to resume the last IKE SA with; NULL: none */
    peer_id ticket_of; /* that peer's */
};

/* What pulse.c knows of what went out and came in. */
struct pulse {
    uint64_t at; /* when it looks again; NEVER */
    uint64_t looked_at; /* at the ESP counters */
    uint64_t sent_at; /* something of ours passed the NAT then, or later */
};

/* What doubt.c knows of a peer that may have forgotten us. */
struct doubt {
    uint64_t hinted_at; /* the first notice of this test; NEVER: nothing is tested */
    uint64_t no_test_before; /* notices are passed over until then */
    uint32_t hints; /* since hinted_at */
};

/* What silence.c knows of traffic that nobody answers. */
struct silence {
    uint64_t look_at, looked_at; /* at the counters */
    uint64_t packets; /* of ESP that had left then */
    uint64_t heard_at; /* something authentic and fresh came last */
    bool left; /* something did before the last look too */
    uint64_t since; /* nothing has been answered; NEVER: all well */
    uint64_t due_at; /* the peer is asked, by the next look; while since is not NEVER */
    uint64_t asked_at; /* the early question; NEVER: none waits */
    uint64_t calm_until; /* no other question before */
    bool told; /* what carries it is silent */
};

/* What MOBIKE tries. */
struct roam {
    struct carrier trial; /* what requests of the present SA take instead of peer.carrier; NONE: nothing is tried */
    bool probing; /* Initiator: a question over UDP, while a stream carries all */
    bool proving; /* Responder: COOKIE2, to who said that the peer is there now */
    bool asked; /* which address of ours leads to the peer now */
    uint64_t probe_ends; /* of either */
    uint64_t at; /* of the next question over UDP; NEVER */
    struct carrier udp; /* that this move was tried with */
    char host[ADDRESS_TEXT_MAX];
};

struct allowance { /* so many a second */
    uint64_t since;
    uint32_t count;
};
#define NOTICE_SLOTS 256
struct notice_slot {
    uint64_t key, at;
};

struct redirect { /* of an Initiator's attempt */
    char to[GATEWAY_MAX]; /* dialled instead of the configured host; empty: none */
    char from[GATEWAY_MAX]; /* who said so */
    bool pending; /* the attempt begins anew when its IKE SA is closed */
    struct error refused; /* or ends with that; ORIGIN_NONE: neither */
};

enum phase {
    PHASE_RESOLVING,
    PHASE_CONNECTING, /* the first stream */
    PHASE_INIT, /* IKE_SA_INIT */
    PHASE_AUTH, /* IKE_AUTH */
    PHASE_UP,
    PHASE_WAITING, /* for the next attempt */
    PHASE_CLOSING, /* our DELETE is out */
    PHASE_OVER,
};

struct sa {
    struct sa *next;
    struct ike_sa *ike;
    struct peer *peer;
    uint64_t spi; /* ours */
    uint64_t init_key; /* in peers.by_init; 0: not there */
    bool extra; /* lost a simultaneous rekey: never the present one */
    bool closed;
};

struct child {
    struct child *next;
    struct peer_child ike;
    struct esp_counters *counters; /* of the SA that the worker has */
    struct peer *peer;
    struct child *claim_next, *claim_previous; /* claims.c: others with that key */
    uint64_t claim_key;
    uint64_t packets_seen; /* that went out, when pulse.c looked last */
    uint64_t since;
    uint64_t retire_at; /* of one that drains */
    size_t overhead;
};

struct stream {
    struct stream *next, *previous;
    struct carrier carrier;
    struct peer *owner; /* whose SAs it carries, NULL: nobody's (yet, or any more): stream_own */
    struct stream *owner_next;
    uint64_t source; /* counted in peers.sources; 0: not */
    uint64_t valid_at; /* something fresh and authentic came last */
    uint32_t strikes; /* L10 */
    bool ours; /* we opened it */
    bool valid; /* L12: something fresh and authentic came */
    struct timer timer;
};

struct peer {
    struct peer *next, *previous;
    struct peer *same; /* the next one with the same identities */
    struct peer *dirty_next;
    peer_id id;
    uint32_t anchor; /* 0: none */
    struct conn *conn;
    struct conn *chosen; /* by the identities, until PEER_AUTH is answered; counted in its peers; NULL: conn */
    enum phase phase;
    bool initiator;
    bool dirty;
    bool persistent; /* auto=start or restarted: attempts are repeated as keyingtries says */
    bool half_open; /* counted: a Responder's that is not authenticated */
    bool initial_contact;
    bool losing; /* another SA of the same two peers stays instead: deleted as soon as what is due was sent */
    bool quiet; /* its end is nobody's news: another peer of the connection is up */
    bool delete_due; /* our DELETE goes out when this call has said all that comes before it */
    bool beside; /* its stream is silent and stays open, while another one is opened and asked (L6): roam.trial */
    uint32_t unheard; /* connections in a row that ended without an authentic answer */
    bool hello_due; /* L2, behind the request that was outstanding */
    bool greeted; /* by predecessors: the peer may know the present IKE SA only after their answer */
    bool over_stream; /* C5: it runs over TCP, so over UDP only when MOBIKE moves it */
    bool addresses_due; /* this host's, or the one in use, may be others than the peer was told */
    bool mobike; /* negotiated: UPDATE_SA_ADDRESSES moves it, over UDP nothing else */
    bool behind_nat; /* we are: the peer's address stays as it is (RFC 7296 section 2.23) */
    bool host_wanted, host_done, told_up;
    uint32_t host_asked; /* PEER_HOST_UPs that are not answered yet */
    uint64_t source; /* half-open per source */
    uint64_t identity_key; /* in peers.by_identity; 0: not there */
    uint64_t due_at; /* of the phase: resolving, waiting, half-open, closing; NEVER */
    uint64_t up_since, heard_at, lost_at;
    struct pulse pulse;
    struct doubt doubt;
    struct silence silence;
    struct roam roam;
    uint64_t gateway_asked_at; /* about its name, while it can't be reached; NEVER */
    peer_id renewal; /* the peer that may take its place, 0: none */
    peer_id renews; /* whose place it may take, 0: nobody's */
    peer_id races_for; /* whose attempt it is a try of (race.c), 0: nobody's */
    uint32_t rivals; /* tries beside its own */
    peer_id leaves; /* whose gateway redirected us to this one's, 0: nobody's */
    uint32_t tries; /* attempts that failed in a row */
    uint32_t attempt; /* of PEER_CONNECT, 0: none */
    uint32_t flow_label; /* 0: none was needed yet */
    uint32_t auths_stale; /* answers to PEER_AUTH that are not for the present SA */
    uint32_t auths; /* answers that are */
    uint32_t asked; /* bit n: child config n was made, refused or is being made */
    uint64_t rekeys, reconnects;
    struct sa *sas; /* the present one first */
    struct sa *auth_sa; /* waits for PEER_AUTH's answer */
    struct child *children;
    size_t child_count;
    struct child *drained; /* that were replaced and deleted, until what was under way has come; newest first */
    struct stream *streams; /* that it owns */
    struct carrier carrier;
    struct path *path; /* an Initiator's own; a Responder has no choice: peers.no_path, which stays as it is, until it
                        * begins itself (peer_own_path) */
    struct redirect redirect;
    struct error why; /* of the end */
    struct timer timer;
};

struct peers {
    struct peers_limits limits;
    uint8_t worker;
    struct random_source random;
    uint64_t now, network;
    bool shutting_down;
    struct address address[PEERS_ADDRESSES_MAX]; /* of this host */
    size_t addresses;
    enum peer_redirect redirect; /* whom we send away */
    char redirect_to[512];
    size_t redirect_next; /* octet of the list where the next gateway begins */
    struct conn *conns;
    struct peer *peer_list;
    struct stream *stream_list;
    struct table by_id, by_spi, by_init, by_anchor, by_stream, by_attempt, by_identity, by_child, by_address, sources;
    struct child *claims_wide; /* those that have more than one address behind them */
    struct timers timers;
    size_t peer_count, stream_count, half_open, unproven_streams;
    uint32_t next_peer, next_anchor, next_attempt;
    struct ike_cookie_jar jar;
    struct ike_ticket_jar *tickets; /* that we gave; NULL: no connection has session-resumption */
    uint64_t complaints_since; /* of strangers: at most a few sentences a second */
    uint32_t complaints;
    struct allowance notices_sent, notices_taken;
    struct notice_slot notice_slot[NOTICE_SLOTS]; /* to whom one was sent a moment ago */
    struct peer *dirty;
    struct peer *dead_peers;
    struct path no_path;
    struct sa *dead_sas;
    struct stream *dead_streams;
    struct peer_action *action;
    size_t actions, action_capacity;
    uint8_t *arena; /* octets of actions, by offset until peers_finish */
    size_t arena_used, arena_capacity;
    struct ike_output *output[PEER_OUTPUTS_MAX];
    size_t outputs; /* in use */
};

/* output.c */
void peers_begin(struct peers *, uint64_t now);
struct peer_output peers_finish(struct peers *);
struct peer_action *action_add(struct peers *, enum peer_action_kind, const struct peer *); /* never NULL */
struct span keep_octets(struct peers *, const void *, size_t length); /* NULL octets: room only; fixed by finish */
uint8_t *kept_octets(struct peers *, struct span); /* where they are until the next keep_octets */
struct ike_output *output_take(struct peers *); /* NULL: no memory, or too deep */
void output_give(struct peers *, struct ike_output *);
void action_say(struct peers *, const struct peer *, enum peer_step, const char *format, ...) PRINTF_LIKE(4, 5);
/* NULL: nothing carries it, or no memory. */
struct peer_action *action_send(struct peers *, const struct peer *, const struct carrier *, struct span message);
struct traffic_command *action_traffic(struct peers *, const struct peer *, enum traffic_verb);

/* conn.c */
struct conn *conn_new(const struct peer_config *);
void conn_free(struct conn *);
struct conn *conn_find(const struct peers *, const char *name);
void conn_reap(struct peers *); /* those that are gone and have no peer */

/* claims.c */
void claim_enter(struct peers *, struct peer *, struct child *);
void claim_leave(struct peers *, struct child *);
bool claim_taken(const void *peers, const struct ike_config *, const struct identity *remote_id,
    const struct selector_list *remote); /* see ike_selectors_taken */

/* life.c */
struct peer *peer_new(struct peers *, struct conn *, bool initiator);
void peer_free(struct peers *, struct peer *); /* what is left of it after peer_over */
bool peer_own_path(struct peers *, struct peer *); /* for a Responder that begins now; false: no memory */
void peer_touch(struct peers *, struct peer *);
void peer_over(struct peers *, struct peer *); /* unlinks it from everything; freed by the next call */
void peer_settle(struct peers *, struct peer *); /* sets its timer */
void peer_choose(struct peer *, struct conn *); /* NULL: forgets the choice */
void peer_take_chosen(struct peer *);
void peer_not_half_open(struct peers *, struct peer *);
uint64_t peers_new_spi(struct peers *);
bool peer_sa_add(struct peers *, struct peer *, struct ike_sa *, uint64_t spi); /* takes ike; frees it on failure */
void peer_sa_close(struct peers *, struct sa *);
void peer_sas_drop(struct peers *, struct peer *); /* all, silently */
struct sa *peer_sa(const struct peer *); /* the present one that lives, or NULL */
uint64_t source_key(const struct peers *, const struct address *);

/* exchange.c: runs one call into ike/ and all that follows from it. `from`: what the message came on, or NULL. */
void exchange_follow(struct peers *, struct sa *, struct ike_output *, const struct carrier *from);
void exchange_start(struct peers *, struct sa *);
void exchange_receive(struct peers *, struct sa *, const struct carrier *from, struct stream *, struct span message);
void exchange_wake(struct peers *, struct peer *);
void exchange_carried(struct peers *, struct peer *, const struct sa *knows); /* it was told already; or NULL */
void exchange_try(struct peers *, struct peer *); /* the present one goes over peer.roam.trial */
void exchange_update(struct peers *, struct peer *);
void exchange_routability(struct peers *, struct peer *);
void exchange_liveness(struct peers *, struct peer *);
void exchange_greet_predecessors(struct peers *, struct peer *);
void exchange_delete(struct peers *, struct peer *);
void exchange_rekey(struct peers *, struct peer *);
void exchange_rekey_child(struct peers *, struct peer *, uint32_t spi_in);
void exchange_next_child(struct peers *, struct peer *);

/* addresses.c: before IKE_AUTH, and later when they are due. One call on `sa` that takes no more than itself. */
void addresses_tell(struct peers *, struct peer *, struct sa *);

/* events.c: in three turns: who it is, what must be ready before the messages go out, what ends after them */
void event_first(struct peers *, struct sa *, const struct ike_event *);
void event_before(struct peers *, struct sa *, struct ike_event *, const struct carrier *from);
void event_after(struct peers *, struct sa *, struct ike_event *);

/* initiate.c */
struct peer *initiate(struct peers *, struct conn *, bool persistent);
struct peer *initiate_to(
    struct peers *, struct conn *, bool persistent, const struct redirect *); /* NULL: as configured */
void initiate_attempt(struct peers *, struct peer *);
void initiate_step(struct peers *, struct peer *, const struct path_step *);
void initiate_float(struct peers *, struct peer *, const struct carrier *from);

/* race.c: tries beside that of a peer, each a peer of its own with one IKE SA, that nobody is told of and nothing but the
 * race knows. Only the peer itself does IKE_AUTH. */
void race_begin(struct peers *, struct peer *); /* another try: PATH_BESIDE */
void race_decide(
    struct peers *, struct sa *, const struct ike_output *); /* sa->peer is the attempt behind it, if it was a try */
bool race_goes_on(
    struct peers *, struct peer *, const struct error *why); /* its try failed; true: others are seen to */
void race_over(struct peers *, struct peer *); /* ends all tries beside it */
void race_wake(struct peers *, struct peer *); /* tries whose time is up, before their attempt's is */

/* respond.c, choose.c, auth.c */
void respond_first(struct peers *, const struct carrier *, struct stream *, const struct ike_header *, struct span);
struct conn *choose_by_address(const struct peers *, const struct carrier *);
struct conn *choose_by_identity(const struct peers *, const struct peer *, const struct carrier *,
    const struct identity *local, const struct identity *remote);
void auth_wanted(struct peers *, struct sa *, const struct ike_event *, const struct carrier *from);

/* stream.c, move.c, reconnect.c */
struct stream *stream_find(const struct peers *, const struct carrier *);
struct stream *stream_add(struct peers *, const struct carrier *, bool ours, struct peer *owner);
void stream_own(struct stream *, struct peer *owner); /* NULL: nobody */
void stream_proved(struct peers *, struct stream *, struct peer *owner); /* or only owned, before it is known who */
bool stream_strike(struct peers *, struct stream *, const char *why); /* true: it was closed */
void stream_close(struct peers *, struct stream *, const char *why); /* ours to decide; its owner learns that too */
void stream_forget(struct peers *, struct stream *);
void streams_release(struct peers *, struct peer *); /* its owner is gone (L9) */
void streams_superseded(struct peers *, struct peer *, const struct stream *by);
void stream_wake(struct peers *, struct stream *);
void carrier_gone(struct peers *, struct peer *, const struct error *why);
enum move_by { MOVE_BY_IKE, MOVE_BY_ESP };
bool may_move(const struct peer *, const struct carrier *, enum move_by);
void move_to(struct peers *, struct peer *, const struct carrier *, const struct sa *knows); /* see exchange_carried */
void anchor_command(struct peers *, const struct peer *, enum traffic_verb); /* ADD or MOVE, to where it is */
void tell_anchor(struct peers *, struct peer *);
void reconnect_lost(struct peers *, struct peer *, const struct error *why);
void reconnect_connected(struct peers *, struct peer *, const struct carrier *);
void reconnect_heard(struct peers *, struct peer *);
void reconnect_beside(struct peers *, struct peer *); /* what carries it is silent */
void reconnect_not_needed(struct peers *, struct peer *); /* it was heard of: the old stream lives */
bool reconnect_answered(struct peers *, struct peer *, const struct carrier *from); /* true: that carries it now */
void reconnect_unheard(struct peers *, struct peer *); /* a connection ended without an answer */
void connect_cancel(struct peers *, struct peer *);
void connect_ask(struct peers *, struct peer *, const struct path_step *);

void connect_ask_beside(struct peers *, struct peer *, const struct path_step *); /* what there is stays */

/* roam.c: the Initiator's */
const struct carrier *peer_way(const struct peer *, const struct sa *); /* what its requests take */
void roam_begin(struct peers *, struct peer *); /* it is up, or has moved */
void roam_step(struct peers *, struct peer *, const struct path_step *);
void roam_connected(struct peers *, struct peer *, const struct carrier *);
void roam_move(struct peers *, struct peer *, const struct path_target *); /* MOBIKE: from there */
bool roam_instead(struct peers *, struct peer *); /* true: it does not wait for a connection any more */
void roam_watch(struct peers *, struct peer *);
void roam_updated(struct peers *, struct sa *, const struct ike_event *, const struct carrier *from);
void roam_heard(struct peers *, struct peer *, const struct carrier *from); /* something authentic */
void roam_lost(struct peers *, struct peer *, const struct error *why); /* the stream that was tried */
void roam_drop_trial(struct peers *, struct peer *);
uint64_t roam_deadline(const struct peer *);
void roam_wake(struct peers *, struct peer *);

/* follow.c: the Responder's */
void follow_update(struct peers *, struct sa *, const struct ike_event *, const struct carrier *from);
void follow_proved(struct peers *, struct sa *, const struct carrier *from);
void follow_not(struct peers *, struct peer *); /* in time */

/* network.c */
void network_resolved(
    struct peers *, struct peer *, const struct path_target *, size_t count, const struct error *failed);

/* gateway.c */
void gateway_doubted(struct peers *, struct peer *); /* it can't be reached */
void gateway_resolved(struct peers *, struct peer *, const struct path_target *, size_t count);

/* pulse.c */
void pulse_begin(struct peers *, struct peer *); /* it is up */
void pulse_sent(struct peers *, struct peer *); /* an IKE message left over what carries it */
void pulse_wake(struct peers *, struct peer *);
uint64_t pulse_deadline(const struct peer *);

/* silence.c. Silent: packets or a request left over what carries the peer now, nothing authentic came back for 2 to 3 s,
 * and the question that was then asked was not answered within 2 s. It may come back. */
void silence_begin(struct peers *, struct peer *); /* it is up, or something else carries it now */
void silence_heard(struct peers *, struct peer *, uint64_t at); /* something authentic and fresh came then */
void silence_wake(struct peers *, struct peer *);
uint64_t silence_deadline(const struct peer *);

/* notice.c */
void notice_send(struct peers *, const struct carrier *, const struct ike_header *, uint16_t type, struct span data);
void notice_unknown_ike(struct peers *, const struct carrier *, const struct ike_header *request, size_t length);
void notice_unknown_esp(struct peers *, const struct carrier *, uint32_t spi);
/* True: it was a message outside of any IKE SA that says what somebody does not know, and is done with. */
bool notice_receive(
    struct peers *, const struct carrier *, const struct stream *, const struct ike_header *, struct span);

/* doubt.c */
void doubt_begin(struct peer *); /* it is up */
void doubt_hint(struct peers *, struct peer *);
void doubt_heard(struct peers *, struct peer *, uint64_t at);
void doubt_again(struct peers *, struct peer *);
void doubt_wake(struct peers *, struct peer *);
uint64_t doubt_deadline(const struct peers *, const struct peer *);

/* redirect.c */
const char *redirect_host(const struct peer *); /* whom the present attempt dials */
void redirect_taken(struct peers *, struct peer *, const struct ike_event *);
bool redirect_follow(struct peers *, struct peer *); /* the IKE SA is closed; true: that was why, and is seen to */
void redirect_forget(struct peer *); /* the next attempt begins where it is configured */
bool redirect_first(struct peers *, const struct carrier *, bool under_load, struct span message); /* true: sent away */
bool gateway_next(const char *list, size_t *at, char out[GATEWAY_MAX]); /* false: the list is over */

/* resume.c */
void resume_configure(struct peers *); /* connections were set: tickets from before are worth nothing */
const struct ike_ticket *resume_ticket(const struct peers *, const struct peer *); /* NULL: none that is of use */
/* An attempt that ended for good and was made with a ticket begins anew without; false: it was made without. */
bool resume_refused(struct peers *, struct peer *, const struct error *why);
void resume_keep(struct peer *, const struct ike_sa *); /* established: what the peer gave, or nothing */
void resume_forget(struct conn *);
void resume_over(struct peer *); /* it was ended on purpose: its ticket is not used again */

/* renew.c */
struct peer *renewal_of(const struct peers *, const struct peer *); /* NULL: none */
void renew(struct peers *, struct peer *, const char *why);
void renew_not_needed(struct peers *, struct peer *);
void renew_done(struct peers *, struct peer *renewal); /* it is established */
void renew_leave(struct peers *, struct peer *redirected); /* it has an anchor: the one before may go */
bool renew_failed(struct peers *, struct peer *renewal, const struct error *why); /* true: the old one stays */
bool renew_takes_over(struct peers *, struct peer *old, bool for_good); /* old is lost; false: there is no renewal */

/* children.c, host.c */
/* keylog.c: keys for who may read captures */
void secrets_tell(struct peers *, const struct peer *, const struct ike_secrets *);
void secrets_tell_child(struct peers *, const struct peer *, const struct ike_child *);

void install_child(struct peers *, struct peer *, struct ike_child *);
void retire_child(struct peers *, struct sa *, const struct ike_event *);
void children_want(struct peers *, struct peer *); /* asks for those that are configured and not there */
void children_forget(struct peers *, struct peer *);
void drained_wake(struct peers *, struct peer *); /* those whose time to drain is over */
uint64_t drained_deadline(const struct peer *);
void host_check(struct peers *, struct peer *); /* sets up, renews or takes back, and tells who waits */
void host_down(struct peers *, struct peer *);
void host_tell_up(struct peers *, struct peer *); /* once, when all that was asked for is there */

/* loss.c, unique.c, commands.c */
void established(struct peers *, struct peer *);
void peer_sa_ended(struct peers *, struct sa *, const struct ike_event *);
void attempt_failed(struct peers *, struct peer *, const struct error *why);
bool ends_attempt(const struct ike_event *); /* its IKE SA closed, and no other transport would help */
void peer_down(struct peers *, struct peer *, const struct error *why, const char *text); /* tells, and ends it */
void peer_take_back(struct peers *, struct peer *); /* host, anchor, Child SAs */
void peer_delete(struct peers *, struct peer *, const char *why); /* politely */
void peer_wake(struct peers *, struct peer *);
void complain_of(struct peers *, const struct peer *, const char *format, ...) PRINTF_LIKE(3, 4); /* of strangers */
void unique_enter(struct peers *, struct peer *);
void unique_leave(struct peers *, struct peer *);
void unique_check(struct peers *, struct peer *); /* before its first Child SA: ends others, or marks it as losing */
void peer_superseded(struct peers *, struct peer *); /* ends it: another one of the connection is up */

/* words.c */
const char *carrier_text(const struct carrier *, char *out); /* "TCP 192.0.2.1:4500": ADDRESS_TEXT_MAX + 8 */
#define CARRIER_TEXT_MAX (ADDRESS_TEXT_MAX + 8)
#define SELECTORS_TEXT_MAX 160
const char *selectors_text(const struct selector_list *, char *out);
#define SUITE_TEXT_MAX 160
const char *suite_text(const struct ike_info *, char *out);

#endif
