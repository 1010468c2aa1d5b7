/* internal.h: what the files of ike/ share, by file. Nobody outside includes it, but tests of this room. */
#ifndef IKETCP_IKE_INTERNAL_H
#define IKETCP_IKE_INTERNAL_H

#include "ike/ike.h"

#define OUR_NONCE_LENGTH ((size_t)32) /* >= half the key of every prf (RFC 7296 section 2.10) */
#define MESSAGE_MAX ((size_t)16384) /* a message of ours, before it is cut into fragments */
#define FRAGMENT_OCTETS ((size_t)1200) /* a fragment of ours as a whole; with IPv6 and UDP below 1,280 */
#define FRAGMENTS_OUT_MAX 24
#define FRAGMENTS_IN_MAX 64
#define ASSEMBLY_OCTETS_MAX ((size_t)65535)
#define NAT_HASH_LENGTH ((size_t)20)
#define COOKIE_MAX ((size_t)64)
#define INIT_RETRIES_MAX 6 /* cookies and other groups, together */
#define KE_RETRIES_MAX 3 /* of one CREATE_CHILD_SA */
#define QUEUE_FEW 4
#define QUEUE_MAX (2 * (IKE_CHILDREN_MAX + IKE_CHILDREN_REKEYED_MAX) + IKE_CHILD_CONFIGS_MAX + 8)
#define EVENTS_KEPT_FREE 8 /* for what is not CHILD_DOWN */
#define REKEYED_LINGER (60 * SECOND) /* how long the old SA waits for the peer's DELETE */
#define FAREWELL_PATIENCE (10 * SECOND) /* for the answer to our DELETE of an IKE SA that was rekeyed */
#define TEMPORARY_PATIENCE (180 * SECOND) /* TEMPORARY_FAILURE for longer: the two sides disagree (section 2.25) */
#define REDUNDANT_LINGER (5 * SECOND) /* a winner's wait for the loser's DELETE before it deletes the old Child SA */
#define REDIRECTED_LINGER (10 * SECOND) /* for a client that was sent away in IKE_AUTH and asks for the answer again */
#define RETRY_AFTER (10 * SECOND) /* a rekey that the peer refused, at the earliest */

_Static_assert(2 * FRAGMENTS_OUT_MAX + 4 <= IKE_DATAGRAMS_MAX, "a response and a request fit into one output");
_Static_assert(2 * (MESSAGE_MAX + FRAGMENT_OCTETS) <= IKE_OUTPUT_OCTETS, "so do their octets");
_Static_assert(IKE_EVENTS_MAX >= 2 * EVENTS_KEPT_FREE, "events come out in a few calls");

/* What one public call carries along. */
struct turn {
    uint64_t now;
    struct ike_output *out;
    struct address local, remote; /* of the carrier of the message that is handled, else of the current one */
    bool reliable; /* the same */
    struct span message; /* being handled, as it came; empty: none */
    /* Of a refusal: the group we want, the critical payload we don't know; the Child SA that is not there. */
    uint8_t notify_data[4], notify_spi[4];
    size_t notify_length, notify_spi_length;
};

/* --- exchanges: a file each, declared as data --- */

enum asked { ASKED, NOTHING_TO_ASK, CANNOT_ASK }; /* CANNOT_ASK: *err; ends the SA */
enum answered { ANSWERED, ANSWER_REFUSED, ANSWER_LATER }; /* REFUSED: *err with the notification for the peer */
enum finished {
    FINISHED,
    FINISH_LATER, /* ike_sa_auth continues it */
    FINISH_IGNORED, /* not believed: keep waiting for another response (K4) */
    FINISH_FATAL, /* *err; ends the SA */
};

#define P(type) (UINT32_C(1) << ((type)-32)) /* PAYLOAD_SA (33) to PAYLOAD_SKF (53) */
#define IN(state) (1U << (state))

/* Begins an IKE SA: nothing protects it, SPIr is zero, its octets are covered by AUTH. */
static inline bool exchange_is_first(uint8_t type) {
    return type == IKE_SA_INIT || type == IKE_SESSION_RESUME;
}

struct exchange {
    const char *name;
    uint8_t type;
    unsigned states; /* in which a request of the peer's is taken */
    uint32_t must, may; /* payloads of a request; NOTIFY and VENDOR may always be there, others are passed over */
    uint32_t must_back, may_back; /* of a response that does not refuse */
    bool (*takes)(const struct payload_list *); /* NULL: all requests of this type */
    enum asked (*ask)(struct ike_sa *, struct turn *, struct message_writer *, struct error *);
    enum answered (*answer)(
        struct ike_sa *, struct turn *, const struct payload_list *, struct message_writer *, struct error *);
    /* refusal: the first error notification in the response, NOTIFY_NONE: none */
    enum finished (*finish)(
        struct ike_sa *, struct turn *, const struct payload_list *, uint16_t refusal, struct error *);
};

extern const struct exchange sa_init_exchange, resume_exchange, auth_exchange, child_new_exchange, child_rekey_exchange,
    ike_rekey_exchange, delete_exchange, redirect_exchange, update_exchange, routability_exchange, addresses_exchange,
    liveness_exchange;

/* --- keys.c --- */
struct ike_keys {
    uint16_t prf, ke;
    struct cipher_suite suite;
    uint8_t sk_d[PRF_MAX], sk_pi[PRF_MAX], sk_pr[PRF_MAX];
    struct {
        uint8_t encr[CIPHER_KEY_MAX], integ[INTEG_KEY_MAX]; /* lengths by suite */
    } ours, theirs; /* what we seal with, and the peer */
    uint64_t next_iv; /* explicit IV of AEADs */
};
struct key_inputs {
    struct span ni, nr, shared; /* shared: g^ir */
    uint64_t spi_i, spi_r;
    struct ike_secrets *disclose; /* gets the keys too; NULL: nobody does */
};
/* SKEYSEED and what follows from it, RFC 7296 section 2.14; with `old` the rekey derivation of section 2.18. prf and
 * suite are chosen already in *keys. */
MUST_USE bool keys_derive(
    struct ike_keys *, const struct key_inputs *, const struct ike_keys *old, bool initiator, struct error *);
/* SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr as octets, for keys_derive and its tests; the length or 0. */
#define SK_MAX (5 * PRF_MAX + 2 * CIPHER_KEY_MAX)
size_t keys_material(uint16_t prf, struct cipher_suite, const struct key_inputs *, const struct ike_keys *old,
    uint8_t skeyseed[PRF_MAX], uint8_t out[SK_MAX]);
/* KEYMAT of a Child SA into child->key_* and integ_*, section 2.17; shared empty without PFS. */
MUST_USE bool keys_child(
    const struct ike_keys *, struct span ni, struct span nr, struct span shared, struct ike_child *, struct error *);
/* prf(SK_pi or SK_pr, body of an ID payload): MACedID of section 2.15. */
MUST_USE bool keys_id_mac(const struct ike_keys *, bool initiators, struct span id_body, uint8_t out[PRF_MAX]);
/* Made for a message and freed after it: an IKE SA is silent for minutes, and there are many. NULL: no memory. */
struct cipher *keys_cipher(const struct ike_keys *, bool seal);
void keys_wipe(struct ike_keys *);
struct key_exchange *ke_make(struct ike_sa *, uint16_t group, struct error *); /* NULL: *err */

/* --- proposal.c --- */
struct chosen {
    struct cipher_suite suite;
    uint16_t prf, ke;
    bool esn;
    uint64_t spi; /* the peer's */
    struct proposal answer; /* without SPI */
};
enum ke_rule {
    KE_ABSENT, /* IKE_AUTH, and PFS not wanted */
    KE_WELCOME, /* Responder without pfs: taken when the peer offers it */
    KE_REQUIRED,
};
/* What we offer or accept as it goes on the wire: AEADs apart from others, numbered from 1. `group`: taken for PFS when
 * the configuration lists none. */
void proposals_ours(const struct proposal_list *config, uint8_t protocol, enum ke_rule, uint16_t group, uint64_t spi,
    struct proposal_list *out);
/* Responder: ours by preference; a proposal with the group `guess` first (saves a round). NO_PROPOSAL_CHOSEN. */
MUST_USE bool proposal_choose(const struct proposal_list *ours, const struct proposal_list *theirs, bool any_ke,
    uint16_t guess, struct chosen *, struct error *);
/* Initiator: the response must be one of ours with one transform of each type. */
MUST_USE bool proposal_confirm(
    const struct proposal_list *ours, const struct proposal_list *answer, struct chosen *, struct error *);
/* The SA payload of a response: what was chosen, with our SPI (0: none). */
void chosen_add(struct message_writer *, const struct chosen *, uint64_t spi);
/* Refuses with INVALID_KE_PAYLOAD, which names the group that is wanted; false. */
bool group_refuse(struct turn *, uint16_t theirs, uint16_t wanted, struct error *);
uint16_t proposals_first_ke(const struct proposal_list *);
bool proposals_have_ke(const struct proposal_list *, uint16_t group);
#define PROPOSALS_TEXT_MAX ((size_t)120)
const char *proposals_text(const struct proposal_list *, char out[PROPOSALS_TEXT_MAX]);

/* --- selectors.c --- */
/* A configured list, or the address itself when it is empty. */
void selectors_effective(const struct selector_list *configured, const struct address *, struct selector_list *out);
/* What both lists contain, RFC 7296 section 2.9; false: nothing. */
MUST_USE bool selectors_narrow(
    const struct selector_list *offered, const struct selector_list *ours, struct selector_list *out);
/* The one address that all of them are of; false: there is none. And puts another one there. */
bool selectors_host(const struct selector_list *, struct address *out);
void selectors_rehost(struct selector_list *, const struct address *);
bool selectors_within(const struct selector_list *inner, const struct selector_list *outer);

/* --- nat.c --- */
MUST_USE bool nat_write(const struct ike_sa *, const struct turn *, uint64_t spi_r, struct message_writer *);
void nat_read(const struct ike_sa *, const struct turn *, const struct payload_list *, uint64_t spi_r, bool *nat_local,
    bool *nat_remote);
/* Whether both payloads of NAT detection are wanted in an answer: they are in the request. */
bool nat_asked(const struct payload_list *);
/* Keeps how the peer sees us. True: not as it did last (RFC 4555 section 3.8). */
bool nat_seen(struct ike_sa *, const struct payload_list *);

/* --- seal.c --- */
struct sealed { /* a message of ours, kept for sending again; octets are the whole one, then its fragments */
    uint8_t *octets;
    size_t whole, fragment[FRAGMENTS_OUT_MAX], fragments;
};
MUST_USE bool seal(
    struct ike_sa *, const struct ike_header *, uint8_t first, struct span chain, struct sealed *, struct error *);
void sealed_send(const struct ike_sa *, const struct sealed *, struct ike_output *, bool reply);
void sealed_free(struct sealed *);

/* --- open.c --- */
struct inbound { /* a message of the peer's; `list` points into octets and joined */
    struct ike_header header;
    uint8_t *octets, *joined; /* ours; decrypted in place, or put together from fragments */
    size_t length, joined_length;
    struct payload_list list;
    uint8_t first; /* type of the first inner payload */
    struct span inner; /* the chain inside SK */
    uint16_t fragment, fragments; /* of SKF, else 0 */
};
struct inbound *inbound_new(struct span message); /* NULL: no memory */
void inbound_free(struct inbound *); /* wipes */
enum opened { OPENED, OPEN_UNPROTECTED, OPEN_CORRUPT };
enum opened inbound_open(struct ike_sa *, struct inbound *); /* decrypts; the inner chain is not parsed yet */

/* --- fragment.c --- */
struct assembly;
/* Takes an authentic fragment; true when the message is whole: inner and first are the message's then. */
MUST_USE bool assembly_add(struct assembly **, struct inbound *);
void assembly_free(struct assembly **);

/* --- children.c --- */
enum child_state {
    CHILD_LIVE,
    CHILD_REPLACED, /* a successor is there; whoever rekeyed it deletes it */
    CHILD_DELETING, /* our DELETE is on its way */
};
struct child {
    struct child *next;
    struct { /* what stays of struct ike_child */
        const struct ike_child_config *config;
        uint32_t spi_in, spi_out;
        uint16_t ke;
        bool transport;
        const struct selector_list *local, *remote; /* ours */
    } about;
    enum child_state state;
    bool announced; /* CHILD_UP was said, so CHILD_DOWN must be */
    bool down, down_by_peer, again; /* to be reported and freed */
    bool redundant; /* the loser's Child SA of a simultaneous rekey; its maker deletes it */
    uint64_t rekey_at, expire_at;
};
struct child *child_by_spi_in(const struct ike_sa *, uint32_t spi_in); /* NULL: none, or down */
struct child *child_by_spi_out(const struct ike_sa *, uint32_t spi_out);
uint32_t child_new_spi(struct ike_sa *);
size_t children_count(const struct ike_sa *);
void child_free(struct child *);
void child_replaced(struct child *); /* a successor is there */
void child_down(struct child *, bool by_peer, bool again); /* reported by the next sa_settle */
void children_report(struct ike_sa *, struct turn *);
void children_timers(struct ike_sa *, struct turn *);
uint64_t children_deadline(const struct ike_sa *);
void children_free(struct ike_sa *);

/* --- child_aggfrag.c: USE_AGGFRAG, RFC 9347 section 5.1; below, struct deal --- */
struct deal;
void aggfrag_add(struct message_writer *); /* we require nothing of the peer */
/* Initiator, after the mode is known: whether the peer agrees, and to what. */
MUST_USE bool aggfrag_confirm(const struct payload_list *, struct deal *, struct error *);
void aggfrag_accept(const struct payload_list *, struct deal *); /* Responder, likewise */

/* --- child_deal.c: shared by IKE_AUTH, new Child SAs and rekeys --- */
struct deal {
    const struct ike_child_config *config;
    const struct child *old; /* being rekeyed, else NULL */
    bool initiator, transport, in_auth;
    bool aggfrag, aggfrag_whole_only; /* as in struct ike_child */
    uint32_t spi_in, spi_out;
    struct chosen chosen;
    struct selector_list local, remote;
    struct address peer_local, peer_remote; /* transport: as in struct ike_child */
    struct span ni, nr;
    uint8_t secret[KE_SECRET_MAX];
    size_t secret_length; /* 0: no PFS */
};
/* Initiator: SA, [Ni, KE], TSi, TSr and notifications; fills sa->request. */
MUST_USE bool child_write_request(struct ike_sa *, struct turn *, const struct ike_child_config *,
    const struct child *old, bool in_auth, struct message_writer *, struct error *);
/* Responder: reads the offer, chooses; then child_write_response, then child_install. */
MUST_USE bool child_accept(struct ike_sa *, struct turn *, const struct payload_list *, const struct child *old,
    bool in_auth, struct deal *, struct error *);
/* ... the KE and nonce of CREATE_CHILD_SA; `nonce` OUR_NONCE_LENGTH octets that live as long as *deal. */
MUST_USE bool child_accept_keys(struct ike_sa *, struct turn *, const struct payload_list *, struct deal *,
    uint8_t *nonce, struct key_exchange **, struct error *);
void child_write_response(const struct deal *, struct key_exchange *, struct message_writer *);
/* Initiator: reads the response; ni and nr are set by the caller in IKE_AUTH only. */
MUST_USE bool child_read_response(
    struct ike_sa *, struct turn *, const struct payload_list *, bool in_auth, struct deal *, struct error *);
MUST_USE bool child_install(struct ike_sa *, struct turn *, struct deal *, struct child **made, struct error *);
void child_failed(struct ike_sa *, struct turn *, const struct ike_child_config *, const struct error *);
void child_refused(
    const struct ike_sa *, const struct ike_child_config *, uint16_t refusal, struct error *); /* says so */
/* The peer made a Child SA that we can't take (or that lost): asks it to delete that again. Nothing was reported. */
void child_disown(struct ike_sa *, const struct deal *);
/* False, and *err with TEMPORARY_FAILURE while we rekey the IKE SA (section 2.25.2), NO_ADDITIONAL_SAS when it has as many
 * as it may: some more for rekeys, so that a full one can have them. */
MUST_USE bool child_allowed(const struct ike_sa *, bool rekey, struct error *);
bool child_has_room(const struct ike_sa *, bool rekey);
/* The lower nonce of an exchange decides simultaneous rekeys, section 2.8.1. */
struct span nonce_lower(struct span a, struct span b);
bool nonce_is_lower(struct span a, struct span b); /* a below b */

/* --- again.c --- */
/* A refusal of CREATE_CHILD_SA that says "not now" or "another group" queues the outstanding task again. */
enum again { AGAIN_NO, AGAIN_QUEUED, AGAIN_HOPELESS }; /* HOPELESS: *err; the IKE SA should end (section 2.25) */
enum again task_again(struct ike_sa *, struct turn *, const struct payload_list *, uint16_t refusal,
    const struct proposal_list *offered, struct error *);

/* --- mobike.c --- */
void mobike_offer(const struct ike_sa *, struct message_writer *); /* in IKE_AUTH: MOBIKE_SUPPORTED, our addresses */
void mobike_carried(struct ike_sa *, const struct address *local, const struct address *remote, bool reliable);
void mobike_accept(struct ike_sa *, const struct payload_list *); /* what the peer says of it there */

/* --- request.c: our exchanges: queue, window of one, retransmission --- */
struct task {
    const struct exchange *exchange;
    const struct ike_child_config *config; /* a new Child SA's */
    uint32_t spi_in; /* the Child SA to rekey or delete; 0 with delete_exchange: the IKE SA */
    uint64_t not_before;
    uint64_t patience_ends; /* set by the first TEMPORARY_FAILURE, 0: none yet */
    uint16_t group; /* the peer asked for it */
    uint8_t ke_retries;
};
struct rival { /* the peer's own rekey of what our outstanding request rekeys */
    bool there;
    uint8_t lowest[NONCE_MAX];
    size_t lowest_length;
    struct ike_sa *sa; /* of an IKE SA: ours until it is handed over */
    uint32_t spi_in; /* of a Child SA */
};
struct request {
    bool active, answered; /* answered: waits for ike_sa_auth */
    struct task task;
    struct sealed sealed;
    uint32_t message_id, sends;
    uint64_t give_up_at, resend_at, interval;
    uint8_t nonce[OUR_NONCE_LENGTH];
    struct key_exchange *ke;
    uint64_t spi; /* that we offered: ESP or IKE */
    struct rival rival;
};
void queue_add(struct ike_sa *, const struct task *, bool first);
void task_queue_init(struct ike_sa *);
void task_queue_free(struct ike_sa *);
void queue_clear(struct ike_sa *);
void queue_run(struct ike_sa *, struct turn *); /* begins what is due, when nothing is outstanding */
bool queue_has(const struct ike_sa *, const struct exchange *);
uint64_t queue_deadline(const struct ike_sa *);
void queue_hurry(struct ike_sa *, const struct exchange *); /* what waits for its time need not any more */
void request_timers(struct ike_sa *, struct turn *);
void request_resend(struct ike_sa *, struct turn *); /* on a new carrier */
void request_anew(
    struct ike_sa *, struct turn *); /* the same, written again: IKE_SA_INIT, with the new addresses' hashes */
void request_carried(struct ike_sa *, uint64_t now); /* the carrier became reliable, or stopped being so */
void request_end(struct ike_sa *); /* frees and wipes; a rival's SA must be taken before */
bool request_is(const struct ike_sa *, const struct exchange *);
/* An INFORMATIONAL that says why this SA ends; no answer is waited for (section 2.21.2). */
void request_farewell(struct ike_sa *, struct turn *, uint16_t notify);
void request_leave(struct ike_sa *, struct turn *); /* the same with a DELETE of the IKE SA */

/* --- message.c --- */
void message_continue(struct ike_sa *, struct turn *); /* with sa->held, after ike_sa_auth */
void notify_add(struct message_writer *, uint16_t type, struct span data);
void payload_add(struct message_writer *, uint8_t type, struct span body);
void sa_add(struct message_writer *, const struct proposal_list *);
void ke_add(struct message_writer *, const struct key_exchange *);

/* --- handshake: what IKE_SA_INIT and IKE_AUTH need and nobody later --- */
struct octets {
    uint8_t *at;
    size_t length;
};
MUST_USE bool octets_keep(struct octets *, struct span);
static inline struct span octets_span(const struct octets *o) {
    return span_of(o->at, o->length);
}
struct handshake {
    struct octets message_i, message_r; /* RealMessage1, RealMessage2 */
    uint8_t ni[NONCE_MAX], nr[NONCE_MAX];
    size_t ni_length, nr_length;
    struct key_exchange *ke;
    uint16_t group; /* of KE; 0: the first we offer */
    uint8_t cookie[COOKIE_MAX];
    size_t cookie_length;
    unsigned retries;
    uint64_t give_up_at; /* of all retries; the Responder's patience */
    struct error doubt; /* an unauthenticated error over UDP (K4) */
    bool asked; /* AUTH_WANTED is out */
    bool answered, have_expected; /* ike_sa_auth was called; with what the peer's AUTH must be */
    bool delete_after;
    char redirected_from[GATEWAY_MAX];
    struct ike_ticket *resume; /* begun with it; NULL: with IKE_SA_INIT */
    uint64_t resumed_serial; /* Responder: of that ticket */
    bool ticket_wanted; /* Responder: the peer asks for another */
    uint8_t local_auth[PRF_MAX], expected[PRF_MAX];
    char refusal[160];
    struct octets octets_local, octets_remote;
};
void handshake_free(struct ike_sa *);

/* --- sa_init.c --- */
/* K4: an unauthenticated error ends the attempt over TCP; over UDP it is kept in mind while a better answer may come. */
enum finished sa_init_doubt(struct ike_sa *, const struct error *);
void sa_init_other_version(struct ike_sa *, const struct ike_header *);

enum finished sa_init_cookie(struct ike_sa *, struct turn *, struct span cookie, struct error *);
/* Both sides have nonces and keys: NAT detection, what the peer can, KEYS. */
void sa_init_have_keys(struct ike_sa *, struct turn *, const struct payload_list *, uint64_t hashed_spi_r);

/* --- resume.c --- */
void resume_request_ticket(const struct ike_sa *, struct message_writer *); /* Initiator, in IKE_AUTH */
void resume_take_ticket(struct ike_sa *, const struct turn *, const struct payload_list *);
void resume_give_ticket(struct ike_sa *, const struct turn *, const struct payload_list *, struct message_writer *);
void resume_auth(struct ike_sa *); /* both AUTH values, from SK_pi and SK_pr */

/* --- ticket.c --- */
/* The ticket as octets; 0: it could not be made. */
size_t ticket_seal(struct ike_ticket_jar *, const struct ike_ticket *, uint64_t *serial, uint8_t out[IKE_TICKET_MAX]);
/* False: forged, of another key, used, forgotten or out of date. */
bool ticket_open(struct ike_ticket_jar *, uint64_t now, struct span octets, struct ike_ticket *out, uint64_t *serial);
bool ticket_spend(struct ike_ticket_jar *, uint64_t serial); /* false: somebody did already */

/* --- redirect.c --- */
void redirect_offer(const struct ike_sa *, struct message_writer *); /* Initiator, in IKE_SA_INIT */
bool redirect_offered(const struct payload_list *); /* Responder: the peer may be redirected */
/* What a response to IKE_SA_INIT or IKE_AUTH says of another gateway; false: nothing that is believed. With *err set the
 * attempt is over; for `nonce`, an IKE_SA_INIT, what does not prove that our request was seen is passed over. */
enum redirected { REDIRECT_NONE, REDIRECT_TAKEN, REDIRECT_FORGED, REDIRECT_REFUSED };
enum redirected redirect_take(
    struct ike_sa *, struct turn *, const struct payload_list *, struct span nonce, struct error *);
void redirect_add(struct message_writer *, uint16_t type, const char *gateway, struct span nonce);
void redirect_away(struct ike_sa *, struct turn *, struct message_writer *); /* Responder, in IKE_AUTH */

/* --- cookie.c --- */
void answer_bare(const struct ike_header *request, uint16_t type, struct span data, struct ike_output *);

/* --- auth.c --- */
/* Emits AUTH_WANTED. The payloads are the peer's; NULL: not there (yet). */
void auth_want(
    struct ike_sa *, struct turn *, const struct payload *remote_id, const struct payload *wanted_id, uint8_t method);
void auth_local_identity(const struct ike_sa *, struct identity *); /* configured, else the carrier's address */

/* --- sa.c --- */
struct ike_sa {
    const struct ike_config *config;
    struct random_source random;
    enum ike_role role;
    enum ike_state state;
    uint64_t spi_i, spi_r;
    uint8_t worker;
    bool (*spi_taken)(const void *context, uint32_t spi_in); /* by another IKE SA of the owner's; NULL: nobody to ask */
    const void *spi_context;
    ike_selectors_taken *selectors_taken; /* NULL: nobody to ask */
    struct address local, remote; /* of the current carrier */
    bool reliable;
    bool mobike, fragmentation; /* negotiated */
    bool mobile; /* we began the first IKE SA of the line: with MOBIKE we may move it */
    bool nat_local, nat_remote; /* found last */
    struct {
        struct address local, remote;
        bool reliable;
        bool elsewhere; /* it was sent over something else as well */
    } asked; /* what our UPDATE_SA_ADDRESSES was written for */
    unsigned stale; /* how many in a row were answered another way */
    uint8_t cookie2[16];
    uint8_t seen_as[NAT_HASH_LENGTH]; /* the peer's NAT_DETECTION_DESTINATION_IP */
    bool has_seen_as;
    struct address peer_address[IKE_ADDRESSES_MAX];
    size_t peer_addresses;
    struct address own_address[IKE_ADDRESSES_MAX]; /* that the peer was told of, or will be */
    size_t own_addresses;
    struct ike_ticket_jar *tickets; /* NULL: none are given or taken */
    struct ike_ticket *ticket; /* Initiator: what the peer gave */
    uint64_t ticket_serial; /* Responder: what the peer has of us; 0: nothing */
    bool resumed;
    bool redirectable; /* as Responder: the peer takes REDIRECT */
    char redirect_to[GATEWAY_MAX]; /* of the INFORMATIONAL that says so; empty: none is to be sent */
    struct identity remote_id;

    bool has_keys;
    struct ike_keys keys;
    struct handshake *handshake; /* NULL once IKE_AUTH is done */

    uint32_t next_id; /* of our next request */
    uint32_t expected_id; /* of the peer's next request */
    struct request request;
    struct task *queue, few[QUEUE_FEW]; /* `few`, or memory of its own: most SAs never have more to ask */
    size_t queued, queue_room;
    struct sealed response; /* to expected_id - 1 (K2) */
    struct inbound *held; /* waits for ike_sa_auth */
    struct assembly *assembly;

    struct child *children;
    uint64_t established_at, rekey_at, expire_at, heard_at, drop_at;

    bool over; /* closing; CLOSED follows when all CHILD_DOWN are out */
    bool over_by_peer, over_timed_out;
    bool expired; /* being deleted because its hard lifetime ended */
    struct error over_error;
};

struct turn turn_of(const struct ike_sa *, uint64_t now, struct ike_output *);
struct ike_event *emit(struct turn *, enum ike_event_kind);
struct ike_secrets *secrets_wanted(const struct ike_sa *, struct turn *); /* emits SECRETS; NULL: nobody wants them */
void sa_close(struct ike_sa *, const struct error *why, bool by_peer, bool timed_out); /* why NULL: as asked */
void sa_settle(struct ike_sa *, struct turn *); /* end of every call: events, next request */
void sa_established(struct ike_sa *, struct turn *);
void sa_begin_life(struct ike_sa *, uint64_t now); /* established from now on: lifetimes */
void sa_delete(struct ike_sa *); /* queues the DELETE; children go with it */
uint64_t soft_lifetime(struct ike_sa *, uint64_t lifetime); /* ms from now, NEVER */
/* When a rekey that was refused is tried again: some times until the hard lifetime; NEVER where that is NEVER. */
uint64_t retry_at(uint64_t now, uint64_t expire_at);
uint64_t sa_random_below(struct ike_sa *, uint64_t bound); /* 0..bound-1 */
struct ike_sa *sa_new(const struct ike_config *, enum ike_role, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source);
static inline bool sa_is_initiator(const struct ike_sa *sa) {
    return sa->role == IKE_INITIATOR;
}

/* --- rekey.c --- */
uint64_t ike_new_spi(struct ike_sa *);
void ike_rekey_lost(struct ike_sa *, struct turn *); /* ours came to nothing: the rival is the successor */

#endif
