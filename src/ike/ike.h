/* ike.h: the face of ike/: IKEv2 (RFC 7296) as a pure state machine. No I/O, no clock, no globals, no callbacks.
 *
 * One `struct ike_sa` is one IKE SA with its Child SAs' bookkeeping (their keys leave in events and are forgotten). It
 * does not know what carries it: its owner (peer/) brings each message with the carrier's two addresses, takes what is
 * to be sent, and says when the carrier is reliable, replaced or gone. Every call takes the time, and returns through a
 * `struct ike_output` what is to be sent, what happened, and when to call ike_sa_wake next. One thread per SA at a time.
 *
 * Times are milliseconds (base.h). All memory given is the caller's; spans in events point into the SA or the output's
 * buffer and are valid until the next call on that SA. Give every call an emptied *out (ike_output_wipe), and read all
 * of it before the next. Events are in order. When there are more CHILD_DOWN than fit, the rest and CLOSED come from
 * ike_sa_wake, which is then due at once.
 *
 * Who proves what, and when (IKE_EVENT_AUTH_WANTED). The Responder asks once, when IKE_AUTH came: auth.remote_octets is
 * complete. The Initiator asks before it sends IKE_AUTH. When its config names the peer (remote_id), auth.remote_octets
 * is complete already and nothing is asked again; when remote_id is ID_NONE, auth.remote_octets is empty, `expected`
 * in the answer is ignored, and a second AUTH_WANTED comes with the peer's IDr and complete octets, in whose answer
 * local_auth is ignored. Compute both values each time and leave `expected` alone where remote_octets is empty. Until
 * ike_sa_auth is called the exchange waits; retransmit_timeout bounds the wait. */
#ifndef IKETCP_IKE_IKE_H
#define IKETCP_IKE_IKE_H

#include "crypto/crypto.h"
#include "wire/wire.h"

#define IKE_DATAGRAMS_MAX 64 /* fragments of a response and of a request (RFC 7383) */
#define IKE_EVENTS_MAX 16
#define IKE_CHILD_CONFIGS_MAX 16
#define IKE_CHILDREN_MAX 64
#define IKE_CHILDREN_REKEYED_MAX 16 /* beyond those, while old ones wait for their DELETE */
#define IKE_ADDRESSES_MAX 8 /* of one side, beside the one in use (RFC 4555) */
#define IKE_OUTPUT_OCTETS ((size_t)65536)

/* --- what is configured --- */

struct ike_child_config {
    const char *name; /* for messages; outlives the SA */
    /* As configured; the Responder narrows to them. An empty list, and a selector whose addresses have no family: the
     * address of that side of the carrier. */
    struct selector_list local, remote;
    bool transport; /* type=transport: asks for USE_TRANSPORT_MODE */
    bool aggfrag; /* asks for USE_AGGFRAG, and takes it (RFC 9347); not in transport mode */
    bool pfs; /* CREATE_CHILD_SA carries KE */
    uint32_t replay_window; /* packets; passed through into ike_child */
    uint64_t lifetime_ms; /* hard; rekeyed earlier, by rekey_margin_ms and fuzz */
};

struct ike_config {
    const char *name; /* of the connection, for messages; outlives the SA */
    struct identity local_id, remote_id; /* remote_id.type ID_NONE: any that authenticates, or as remote_name says */
    const char *remote_name; /* with ID_NONE, not NULL: it must be this FQDN, or the address that the carrier has */
    /* Transforms in order of preference; a proposal is what is chosen from each list. AEADs and non-AEADs are separate
     * proposals on the wire (RFC 7296 section 3.3). */
    struct proposal_list proposals; /* PROTOCOL_IKE; the first KE transform is the group we guess */
    struct proposal_list
        child_proposals; /* PROTOCOL_ESP, SPIs empty; KE transforms only for PFS and new Childs: without
                                           * any, PFS takes the IKE SA's group */
    struct ike_child_config child[IKE_CHILD_CONFIGS_MAX];
    size_t children;
    uint64_t lifetime_ms; /* hard, of the IKE SA */
    uint64_t rekey_margin_ms; /* soft = hard - margin - random part of margin * fuzz_percent / 100 */
    uint32_t rekey_fuzz_percent;
    uint64_t dpd_delay_ms; /* nothing valid heard for so long: a liveness check; 0: none */
    uint64_t retransmit_interval_ms; /* first, doubles; over an unreliable carrier only (K1) */
    uint64_t retransmit_timeout_ms; /* of a whole exchange, over any carrier */
    bool mobike; /* offered or accepted (RFC 4555) */
    bool refuse_nats; /* NO_NATS_ALLOWED: moves over UDP through a NAT are not wanted */
    bool refuse_reliable, refuse_unreliable; /* the peer may not move to such a carrier: UNACCEPTABLE_ADDRESSES */
    bool fragmentation; /* negotiated (K7), RFC 7383 */
    bool force_encapsulation; /* NAT_DETECTION_SOURCE_IP that cannot match, so that the peer encapsulates */
    bool initial_contact; /* send INITIAL_CONTACT in IKE_AUTH */
    bool session_resumption; /* asks for tickets, and gives and takes them (RFC 5723) */
    bool accept_redirect; /* Initiator: says so, and takes REDIRECT (RFC 5685) */
    char redirect_to[GATEWAY_MAX]; /* Responder: whoever can is sent there in IKE_AUTH; empty: nobody is */
    bool keylog; /* tell the keys of IKE SAs, for who looks at a capture: IKE_EVENT_SECRETS */
};

/* --- identity of one --- */
enum ike_role { IKE_INITIATOR, IKE_RESPONDER }; /* original, of this IKE SA; a rekey may swap it */

enum ike_state {
    IKE_STATE_INIT, /* IKE_SA_INIT in progress */
    IKE_STATE_AUTH, /* keys are there, identities are not proved */
    IKE_STATE_ESTABLISHED,
    IKE_STATE_REKEYED, /* has a successor that carries the Child SAs; waits for its DELETE */
    IKE_STATE_DELETING,
    IKE_STATE_CLOSED, /* only ike_sa_free is left */
};

struct ike_sa;

/* One Child SA as it leaves the state machine. */
struct ike_child {
    const struct ike_child_config *config; /* of ike_config */
    uint32_t spi_in, spi_out;
    uint32_t replaces; /* spi_in of the Child SA that this one rekeys, else 0 */
    bool initiator; /* we began the exchange: the new outbound SA may be used at once; else only when the peer
                              * was seen to use its own, or deletes the old one (RFC 7296 section 2.8) */
    struct cipher_suite suite;
    uint16_t ke; /* group of a PFS exchange, KE_NONE without */
    bool esn, transport;
    bool aggfrag; /* USE_AGGFRAG was agreed on (RFC 9347) */
    bool aggfrag_whole_only; /* the peer puts no pieces of packets together */
    struct selector_list local, remote; /* narrowed */
    struct address peer_local,
        peer_remote; /* transport: what the peer calls us and itself, where a NAT between makes that
                                             * differ (RFC 7296 section 2.23.1); family 0: not known */
    uint8_t key_in[CIPHER_KEY_MAX], key_out[CIPHER_KEY_MAX]; /* lengths by suite; wiped after the event is read: */
    uint8_t integ_in[INTEG_KEY_MAX], integ_out[INTEG_KEY_MAX]; /* the owner calls ike_output_wipe */
};

/* The keys that protect the messages of an IKE SA: what a person needs to read a capture, and nobody else may have. */
struct ike_secrets {
    uint64_t spi_i, spi_r;
    struct cipher_suite suite;
    uint8_t encr_i[CIPHER_KEY_MAX], encr_r[CIPHER_KEY_MAX]; /* SK_ei, SK_er; AEADs: with salt */
    uint8_t integ_i[INTEG_KEY_MAX], integ_r[INTEG_KEY_MAX]; /* SK_ai, SK_ar */
};

/* --- what comes out --- */
enum ike_event_kind {
    IKE_EVENT_KEYS, /* IKE_SA_INIT is done: the peer answers, NAT detection is known (init) */
    IKE_EVENT_SECRETS, /* (secrets): only with config->keylog; spi_r 0: they could not be derived */
    IKE_EVENT_RETRY, /* IKE_SA_INIT begins again with a cookie, another group (error says); same SPI */
    IKE_EVENT_AUTH_WANTED, /* compute both AUTH values where the keys are, answer with ike_sa_auth (auth) */
    IKE_EVENT_ESTABLISHED, /* the IKE SA is up */
    IKE_EVENT_INITIAL_CONTACT, /* the peer says this is its only IKE SA: others of the same identities are dead */
    IKE_EVENT_CHILD_UP, /* (child) */
    IKE_EVENT_CHILD_DOWN, /* (spi_in): deleted by either side, or its IKE SA is going */
    IKE_EVENT_CHILD_FAILED, /* a Child SA could not be made; the IKE SA lives on (child_config, error) */
    /* (successor): owns the Child SAs now; the owner takes it, looks at its ike_sa_deadline (it may be due at once), and
     * this SA ends by itself. */
    IKE_EVENT_REKEYED,
    /* (successor): both sides rekeyed at once and this is the IKE SA that lost (RFC 7296 section 2.8.2). It has no Child
     * SAs and is nobody's successor; the owner takes it, passes messages to it by its SPIs and calls ike_sa_wake, as for
     * any other, until its CLOSED. */
    IKE_EVENT_EXTRA,
    /* MOBIKE, who moves: the answer to ike_sa_update. It came over the carrier of this message, which carries the SA from
     * now on (K8). `stale`: that is not what was asked for, another exchange follows at once, and (init) is what was known
     * before (K14). error: the peer refuses (UNACCEPTABLE_ADDRESSES, UNEXPECTED_NAT_DETECTED), nothing has moved. */
    IKE_EVENT_UPDATED,
    /* MOBIKE, who follows: the peer wants to be found where this message came from (init). Over UDP the owner may ask there
     * first whether it is (ike_sa_routability). */
    IKE_EVENT_PEER_MOVED,
    IKE_EVENT_ROUTABLE, /* it answered there: with the COOKIE2 that only went there */
    /* (gateway): as Initiator, the peer sends us there; in IKE_SA_INIT and IKE_AUTH, CLOSED follows; an established IKE SA
     * lives on until its owner has another. As Responder: we sent the peer there, and CLOSED comes when it has left. */
    IKE_EVENT_REDIRECT,
    /* Over; error says why (ORIGIN_NONE: deleted as asked, by us or by the peer: by_peer). A Responder's with
     * error.notify NOTIFY_INVALID_KE_PAYLOAD is harmless: the peer begins again on the same connection (K12). */
    IKE_EVENT_CLOSED,
};

struct ike_event {
    enum ike_event_kind kind;
    struct ike_child child; /* CHILD_UP */
    struct ike_secrets secrets; /* SECRETS */
    uint32_t spi_in; /* CHILD_DOWN */
    const struct ike_child_config *child_config; /* CHILD_FAILED */
    struct ike_sa *successor; /* REKEYED, EXTRA: ownership passes to the reader of the event */
    bool by_peer; /* CLOSED, CHILD_DOWN: the peer deleted */
    bool timed_out; /* CLOSED: the peer stopped answering, or the lifetime ended before a rekey worked; a new IKE SA may
                     * be worth a try */
    bool rekey_again; /* CHILD_DOWN, never set for a rekeyed one: its owner should make a new one */
    bool stale; /* UPDATED */
    char gateway[GATEWAY_MAX]; /* REDIRECT: an address or a name */
    struct error error;
    struct {
        bool nat_local, nat_remote; /* a NAT in front of us, of the peer */
    } init;
    struct {
        uint16_t prf;
        struct identity local_id,
            remote_id; /* Responder: local_id is what the peer asked for in IDr, ID_NONE if nothing;
                                              * Initiator: remote_id is what the peer said it is */
        uint8_t remote_method; /* AUTH_METHOD_* of the peer's AUTH payload */
        struct span local_octets_without_id; /* RealMessage | nonce: prf(SK_p, ID) is appended by ike_auth_octets */
        struct span remote_octets; /* complete: what the peer's AUTH covers */
        bool resumed; /* nobody needs to compute anything: answer at once, with the Responder's config or a refusal */
    } auth;
};

struct ike_datagram {
    size_t at, length; /* in ike_output.octets: an IKE message, no marker, no length field */
    bool reply; /* goes back on the carrier of the message that was just received (K2); else on the current one */
};

struct ike_output {
    uint8_t *octets; /* caller's, IKE_OUTPUT_OCTETS */
    size_t used;
    struct ike_datagram datagram[IKE_DATAGRAMS_MAX];
    size_t datagrams;
    struct ike_event event[IKE_EVENTS_MAX];
    size_t events;
    bool fresh; /* the message received was authenticated and new: its carrier becomes current (L5) */
    bool authentic; /* it was at least authenticated (a retransmission is authentic and not fresh) */
    bool corrupt; /* it failed authentication or could not be parsed: counts against its carrier (L10) */
};

/* Empties *out for the next call (`octets` stays). Keys in events are wiped. */
void ike_output_wipe(struct ike_output *out);

/* --- life --- */

/* Both copy *config's pointer: it must outlive the SA and its successors. `spi` is ours and not zero. NULL: no memory.
 * local and remote are the carrier's addresses, for NAT detection (K13: TCP's ports over TCP). */
struct ike_sa *ike_sa_new_initiator(const struct ike_config *config, uint64_t spi_i, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source random);
/* The Responder starts with a config that fits the peer's address; ike_sa_auth may exchange it for one that fits its
 * identity. The first message is then given to ike_sa_receive. */
struct ike_sa *ike_sa_new_responder(const struct ike_config *config, uint64_t spi_r, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source random);
void ike_sa_free(struct ike_sa *); /* wipes; says nothing to the peer; NULL is fine */

/* --- calls; each may add to *out, none keeps it --- */
void ike_sa_start(struct ike_sa *, uint64_t now, struct ike_output *out); /* Initiator: sends IKE_SA_INIT */
void ike_sa_redirected_from(struct ike_sa *, const char *gateway); /* before the start: who sent us to this peer */
/* A whole IKE message that belongs to this SA by its SPIs. Anything may come; *out says what it was. `local`/`remote`:
 * and `reliable` of the carrier on which it came. */
void ike_sa_receive(struct ike_sa *, uint64_t now, struct span message, const struct address *local,
    const struct address *remote, bool reliable, struct ike_output *out);
/* What an unauthenticated refusal of IKE_SA_INIT said, which is not believed over UDP (K4). False: none came. */
bool ike_sa_doubt(const struct ike_sa *, struct error *why);
void ike_sa_wake(struct ike_sa *, uint64_t now, struct ike_output *out); /* at or after ike_sa_deadline */
uint64_t ike_sa_deadline(const struct ike_sa *); /* NEVER: nothing is due */

/* Answer to IKE_EVENT_AUTH_WANTED. `config` NULL: the one it has. local_auth: our AUTH value; expected: what the peer's
 * must be, prf_length octets each (copied, wiped). refusal not NULL: no key for it, end with AUTHENTICATION_FAILED. */
struct ike_auth_values {
    const struct ike_config *config;
    uint8_t local_auth[PRF_MAX], expected[PRF_MAX];
    const char *refusal;
};
void ike_sa_auth(struct ike_sa *, uint64_t now, const struct ike_auth_values *, struct ike_output *out);
/* The octets that our own AUTH covers, for the identity that the chosen config gives us; `out` takes
 * local_octets_without_id.length + PRF_MAX octets; returns the length. */
size_t ike_sa_local_octets(const struct ike_sa *, const struct identity *local_id, uint8_t *out, size_t capacity);

/* Now carried by something else (a new connection, another path). Outstanding requests are sent again when `replaced`
 * (K1, K2), IKE_SA_INIT with the same SPI and nonce and with NAT detection of the new addresses (K3, K13); NAT detection of later exchanges uses the new addresses. */
void ike_sa_carried(struct ike_sa *, uint64_t now, const struct address *local, const struct address *remote,
    bool reliable, bool replaced, struct ike_output *out);
void ike_sa_liveness(struct ike_sa *, uint64_t now, struct ike_output *out); /* an empty INFORMATIONAL (L2), unless a
                                                                              * request of ours is outstanding */
/* MOBIKE: "find me where this comes from", over what ike_sa_carried said last. It is the next request, behind the one that
 * is outstanding; nothing when it is outstanding itself (ike_sa_carried sends it again, with the same Message ID: K8), or
 * when this side may not move. */
void ike_sa_update(struct ike_sa *, uint64_t now, struct ike_output *out);
void ike_sa_routability(struct ike_sa *, uint64_t now, struct ike_output *out); /* see IKE_EVENT_PEER_MOVED */
bool ike_sa_may_move(
    const struct ike_sa *); /* MOBIKE was negotiated, and this side began the first IKE SA of the line */
bool ike_sa_mobike(const struct ike_sa *); /* negotiated */
bool ike_sa_updates(const struct ike_sa *); /* an UPDATE_SA_ADDRESSES is outstanding or waits for its turn */
size_t ike_sa_peer_addresses(const struct ike_sa *, struct address out[IKE_ADDRESSES_MAX]); /* it told of; no ports */
/* MOBIKE, either side: where else this host can be reached, besides the address in use; no ports; those beyond
 * IKE_ADDRESSES_MAX are passed over. Before IKE_AUTH: to be told in it (RFC 4555 section 3.4). Later: told in an INFORMATIONAL
 * if they are not what the peer knows (section 3.6); nothing happens where MOBIKE was not negotiated. */
void ike_sa_addresses(struct ike_sa *, uint64_t now, const struct address *, size_t count, struct ike_output *out);
void ike_sa_heard(struct ike_sa *, uint64_t now); /* authentic ESP came: the peer is alive */
void ike_sa_rekey(struct ike_sa *, uint64_t now, struct ike_output *out);
void ike_sa_rekey_child(struct ike_sa *, uint64_t now, uint32_t spi_in, struct ike_output *out); /* soft expiry */
void ike_sa_new_child(struct ike_sa *, uint64_t now, const struct ike_child_config *, struct ike_output *out);
/* As Responder of an established IKE SA: asks the peer to go to another gateway. Nothing happens where it cannot. */
void ike_sa_redirect(struct ike_sa *, uint64_t now, const char *gateway, struct ike_output *out);
void ike_sa_delete_child(struct ike_sa *, uint64_t now, uint32_t spi_in, struct ike_output *out);
/* Asks the peer to delete all; IKE_EVENT_CLOSED comes with the answer, or when the exchange timed out. A request that is
 * outstanding is answered first. Before IKE_AUTH was sent the peer has nothing to delete: CLOSED comes at once. */
void ike_sa_delete(struct ike_sa *, uint64_t now, struct ike_output *out);

/* --- questions --- */
uint64_t ike_sa_spi_i(const struct ike_sa *);
uint64_t ike_sa_spi_r(const struct ike_sa *); /* 0 while unknown */
uint64_t ike_sa_spi_local(const struct ike_sa *);
enum ike_role ike_sa_role(const struct ike_sa *);
enum ike_state ike_sa_state(const struct ike_sa *);
const struct ike_config *ike_sa_config(const struct ike_sa *);
bool ike_sa_awaits_answer(const struct ike_sa *); /* a request of ours is outstanding */
uint32_t ike_sa_sends(const struct ike_sa *); /* how often the outstanding request was sent (C1) */

struct ike_info { /* for status */
    uint64_t spi_i, spi_r;
    enum ike_role role;
    struct identity local_id, remote_id;
    struct cipher_suite suite;
    uint16_t prf, ke;
    uint64_t established_at, rekey_at; /* ms; NEVER */
    bool mobike, fragmentation;
    bool resumed; /* from a ticket */
    struct address peer_address[IKE_ADDRESSES_MAX]; /* where else it can be reached (MOBIKE) */
    size_t peer_addresses;
};
void ike_sa_info(const struct ike_sa *, struct ike_info *);

/* For tests/sim: the negotiated keys agree when both sides' fingerprints (prf of SK_d, not reversible) are equal. */
void ike_sa_fingerprint(const struct ike_sa *, uint8_t out[32]);

/* The SPIs that we choose carry the worker's number in their top 8 bits (design: any packet finds its owner). The owner
 * of the SA says the number; ESP SPIs are chosen here, at random below it. */
void ike_sa_set_worker(struct ike_sa *, uint8_t worker);
/* ESP SPIs are unique in one IKE SA by themselves; `taken` says whether another one of the owner's has this one. It and
 * its context outlive the SA and its successors. */
void ike_sa_set_spi_check(struct ike_sa *, bool (*taken)(const void *context, uint32_t spi_in), const void *context);

/* What a peer asks for as its own end of a new Child SA may be somebody else's already: then `taken` says so, and the answer
 * is TS_UNACCEPTABLE. Lives as long as the SPI check, whose context it gets. */
typedef bool ike_selectors_taken(const void *context, const struct ike_config *config, const struct identity *remote_id,
    const struct selector_list *remote);
void ike_sa_set_selector_check(struct ike_sa *, ike_selectors_taken *taken);
/* --- session resumption, RFC 5723 --- */

#define IKE_TICKET_MAX ((size_t)2048)
/* What an Initiator keeps of an IKE SA, to begin another one without its credentials. A secret: wipe it. */
struct ike_ticket {
    uint8_t octets[IKE_TICKET_MAX]; /* the Responder's words; nothing is known of them */
    size_t length;
    uint64_t until; /* ms */
    uint16_t prf, ke;
    struct cipher_suite suite;
    uint8_t sk_d[PRF_MAX];
    struct identity local_id, remote_id;
};
/* After ESTABLISHED as Initiator; false: the peer gave none. */
bool ike_sa_ticket(const struct ike_sa *, struct ike_ticket *out);
/* Before the start: IKE_SESSION_RESUME instead of IKE_SA_INIT. A ticket that is refused gives RETRY (error.notify
 * TICKET_NACK), and IKE_SA_INIT follows. False: no memory. */
bool ike_sa_resume(struct ike_sa *, const struct ike_ticket *);

/* A Responder's tickets: sealed by value under a key that lives and ends in this memory. What is in them (SK_d and who the
 * peers are) is the engine's already; nothing of it is a credential, so that the monitor, which keeps those, has no part
 * in it. Each is taken once: when its IKE SA is authenticated. Those given last are remembered, the oldest forgotten. */
struct ike_ticket_jar;
struct ike_ticket_jar *ike_ticket_jar_new(const struct random_source *); /* NULL: no memory */
void ike_ticket_jar_forget(struct ike_ticket_jar *); /* none that was given is taken any more */
void ike_ticket_jar_free(struct ike_ticket_jar *); /* NULL is fine */
void ike_sa_set_tickets(struct ike_sa *, struct ike_ticket_jar *); /* outlives the SA and its successors */

/* --- before there is a state --- */

/* Stateless cookies for a Responder under load, over UDP only (K3), RFC 7296 section 2.6. The secret changes by itself. */
struct ike_cookie_jar {
    uint8_t secret[2][32];
    uint8_t version; /* of secret[0] */
    uint64_t changed_at;
};
void ike_cookie_jar_init(struct ike_cookie_jar *, uint64_t now, const struct random_source *);
/* True: the IKE_SA_INIT request carries our cookie for this address. False: *out gets the COOKIE answer to send (empty
 * if the message is not worth one). */
bool ike_cookie_check(struct ike_cookie_jar *, uint64_t now, const struct random_source *, struct span message,
    const struct address *remote, struct ike_output *out);

/* True: the request says that its sender may be redirected, and *out has the answer that sends it to `gateway` (RFC 5685
 * section 4; its nonce proves that the request was seen). */
bool ike_redirect_first(struct span message, const char *gateway, struct ike_output *out);
/* Looks at a message without state: true for an IKE_SA_INIT or IKE_SESSION_RESUME request with SPIr 0 and Message ID 0 worth a new IKE SA.
 * For another major version writes the INVALID_MAJOR_VERSION answer into *out (false, connection stays: K12). */
bool ike_is_first_request(struct span message, struct ike_output *out);

#endif
