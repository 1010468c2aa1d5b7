/* pair.h: two sides in one process, virtual time, messages one by one: what every test of ike/ stands on. */
#ifndef IKETCP_TESTS_IKE_PAIR_H
#define IKETCP_TESTS_IKE_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "ike/internal.h"

#undef fail /* cmocka's, in tests */
#include <cmocka.h>

enum { A, B }; /* A begins */

#define SAS_MAX 8
#define SEEN_MAX 256
#define WIRE_MAX 128

struct seen_child {
    struct ike_child child; /* with its keys */
    bool up;
    unsigned downs;
};

struct side {
    struct ike_config config;
    struct address address;
    const char *psk; /* NULL: none is known */
    struct ike_ticket_jar *tickets; /* NULL: none are given */
    struct ike_sa *sa; /* the one that carries the Child SAs; NULL: none */
    struct ike_sa *all[SAS_MAX]; /* it, predecessors and extras that still live */
    bool manual_auth; /* the test answers AUTH_WANTED itself */
    int lean; /* first octet of every 32 random octets: nonces; -1: by chance */
    uint64_t seed;
    struct random_source random;

    enum ike_event_kind seen[SEEN_MAX];
    size_t events;
    struct seen_child child[SEEN_MAX];
    size_t children;
    struct ike_event closed, failed, retry, keys, wanted, redirect, updated, moved; /* the last of each kind */
    struct ike_secrets secrets; /* the last ones */
    unsigned count[IKE_EVENT_CLOSED + 1];
    bool fresh, authentic, corrupt; /* of the last message received */
    bool again; /* the last CHILD_DOWN said so */
};

struct on_wire {
    int from;
    bool reply;
    size_t length;
    uint8_t *octets;
};

struct pair {
    struct side side[2];
    uint64_t now;
    bool reliable;
    struct on_wire wire[WIRE_MAX];
    size_t waiting;
    size_t sent; /* messages, ever */
    /* false: the message is lost. May change it in place. */
    bool (*tap)(struct pair *, struct on_wire *);
    uint64_t tap_state;
    struct ike_output out;
    uint8_t octets[IKE_OUTPUT_OCTETS];
};

/* Transforms by name for the tests: 0 ends a list. */
struct suite {
    uint16_t encr, key_bits, integ, prf, ke;
};
extern const struct suite GCM, CBC, CHACHA;
void proposals_of(struct proposal_list *, uint8_t protocol, const struct suite *, size_t count);
void identity_of(struct identity *, const char *fqdn);
void selectors_of(struct selector_list *, const char *prefix);
struct address address_of(const char *text, uint16_t port);

struct pair *pair_new(void); /* configured to agree */
void pair_free(struct pair *); /* checks that every CHILD_UP had its CHILD_DOWN or lives */
void pair_start(struct pair *);
void pair_up(struct pair *); /* to ESTABLISHED, all delivered */
bool pair_step(struct pair *); /* delivers the first waiting message; false: none waits */
bool pair_step_from(struct pair *, int side); /* the first from that side */
void pair_drop(struct pair *); /* loses the first waiting message */
void pair_drop_from(struct pair *, int side);
void pair_lose(struct pair *, int side); /* its IKE SAs are forgotten without a word */
void pair_run(struct pair *); /* delivers until nothing waits; wakes what is due now */
void pair_wake(struct pair *, uint64_t until); /* time passes, deadline by deadline, messages delivered at once */
void pair_deliver(struct pair *, int to, struct span message);

/* A call into a side's SA: `CALL(pair, A, sa, ike_sa_rekey(sa, pair->now, out))`. */
void pair_begin(struct pair *);
void pair_took(struct pair *, int side, struct ike_sa *sa);
#define CALL(p, s, on, call) \
    do { \
        pair_begin(p); \
        struct ike_output *out = &(p)->out; \
        struct ike_sa *sa = (on); \
        (void)out; \
        call; \
        pair_took((p), (s), sa); \
    } while (0)

size_t side_live_children(const struct side *);
struct seen_child *side_child(struct side *, uint32_t spi_in);
struct seen_child *side_newest(struct side *); /* the last that is up */
/* Both sides have the same Child SAs up, with keys crosswise, and the same keys of the IKE SA. */
void assert_agree(struct pair *);
void assert_contains(const char *text, const char *part);

#endif
