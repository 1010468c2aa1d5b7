/* pair.c: the harness of the tests of ike/ (pair.h). */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct suite GCM = {ENCR_AES_GCM_16, 256, AUTH_NONE, PRF_HMAC_SHA2_256, KE_CURVE25519};
const struct suite CBC = {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, KE_ECP_256};
const struct suite CHACHA = {ENCR_CHACHA20_POLY1305, 0, AUTH_NONE, PRF_HMAC_SHA2_512, KE_ECP_256};

/* --- what is configured --- */

static void add(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits) {
    for (size_t i = 0; i < p->transforms; i++)
        if (p->transform[i].type == type && p->transform[i].id == id && p->transform[i].key_bits == key_bits)
            return;
    p->transform[p->transforms++] = (struct transform){.type = type, .id = id, .key_bits = key_bits};
}

void proposals_of(struct proposal_list *list, uint8_t protocol, const struct suite *suite, size_t count) {
    memset(list, 0, sizeof *list);
    list->count = 1;
    list->proposal[0].protocol = protocol;
    list->proposal[0].number = 1;
    for (size_t i = 0; i < count; i++) {
        struct proposal *p = &list->proposal[0];
        add(p, TRANSFORM_ENCR, suite[i].encr, suite[i].key_bits);
        if (suite[i].integ != AUTH_NONE)
            add(p, TRANSFORM_INTEG, suite[i].integ, 0);
        if (protocol == PROTOCOL_IKE)
            add(p, TRANSFORM_PRF, suite[i].prf, 0);
        if (suite[i].ke != KE_NONE)
            add(p, TRANSFORM_KE, suite[i].ke, 0);
        if (protocol == PROTOCOL_ESP)
            add(p, TRANSFORM_ESN, ESN_NO, 0);
    }
}

void identity_of(struct identity *id, const char *fqdn) {
    memset(id, 0, sizeof *id);
    id->type = ID_FQDN;
    id->length = strlen(fqdn);
    memcpy(id->data, fqdn, id->length);
}

void selectors_of(struct selector_list *list, const char *text) {
    struct prefix prefix;
    struct error err;
    assert_true(prefix_parse(text, &prefix, &err));
    list->selector[list->count++] = selector_of_prefix(&prefix);
}

struct address address_of(const char *text, uint16_t port) {
    struct address address;
    struct error err;
    assert_true(address_parse(text, &address, &err));
    address.port = port;
    return address;
}

static void config_fill(struct ike_config *c, const char *local, const char *remote) {
    const struct suite esp = {ENCR_AES_GCM_16, 256, AUTH_NONE, 0, KE_NONE};
    memset(c, 0, sizeof *c);
    c->name = "test";
    identity_of(&c->local_id, local);
    identity_of(&c->remote_id, remote);
    proposals_of(&c->proposals, PROTOCOL_IKE, &GCM, 1);
    proposals_of(&c->child_proposals, PROTOCOL_ESP, &esp, 1);
    c->children = 1;
    c->child[0].name = "net";
    c->child[0].pfs = true;
    c->retransmit_interval_ms = 500;
    c->retransmit_timeout_ms = 60 * SECOND;
    c->fragmentation = true;
}

/* --- randomness under control --- */

static void fill(void *context, uint8_t *out, size_t length) {
    struct side *side = context;
    struct random_source seeded = random_seeded(&side->seed);
    seeded.fill(seeded.context, out, length);
    if (side->lean >= 0 && length == OUR_NONCE_LENGTH)
        out[0] = (uint8_t)side->lean;
}

struct pair *pair_new(void) {
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->now = 1000;
    p->out.octets = p->octets;
    for (int i = 0; i < 2; i++) {
        struct side *s = &p->side[i];
        s->psk = "a secret of both";
        s->seed = 4711 + (uint64_t)i;
        s->lean = -1;
        s->random = (struct random_source){.fill = fill, .context = s};
        config_fill(&s->config, i == A ? "west" : "east", i == A ? "east" : "west");
        selectors_of(&s->config.child[0].local, i == A ? "10.1.0.0/16" : "10.2.0.0/16");
        selectors_of(&s->config.child[0].remote, i == A ? "10.2.0.0/16" : "10.1.0.0/16");
        s->address = address_of(i == A ? "192.0.2.1" : "192.0.2.2", 4500);
    }
    return p;
}

/* --- events --- */

static void add_sa(struct side *s, struct ike_sa *sa) {
    for (int i = 0; i < SAS_MAX; i++)
        if (s->all[i] == NULL) {
            s->all[i] = sa;
            return;
        }
    fail_msg("too many IKE SAs");
}

static void remove_sa(struct side *s, struct ike_sa *sa) {
    for (int i = 0; i < SAS_MAX; i++)
        if (s->all[i] == sa)
            s->all[i] = NULL;
    if (s->sa == sa)
        s->sa = NULL;
    ike_sa_free(sa);
}

struct seen_child *side_child(struct side *s, uint32_t spi_in) {
    for (size_t i = 0; i < s->children; i++)
        if (s->child[i].child.spi_in == spi_in)
            return &s->child[i];
    return NULL;
}

struct seen_child *side_newest(struct side *s) {
    for (size_t i = s->children; i-- > 0;)
        if (s->child[i].up)
            return &s->child[i];
    return NULL;
}

size_t side_live_children(const struct side *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->children; i++)
        n += s->child[i].up;
    return n;
}

static void take_child(struct side *s, const struct ike_event *event) {
    if (event->kind == IKE_EVENT_CHILD_UP) {
        assert_null(side_child(s, event->child.spi_in));
        assert_true(event->child.spi_in > 255);
        s->child[s->children++] = (struct seen_child){.child = event->child, .up = true};
        return;
    }
    struct seen_child *child = side_child(s, event->spi_in);
    assert_non_null(child);
    assert_true(child->up);
    child->up = false;
    child->downs++;
    s->again = event->rekey_again;
}

static void answer_auth(struct pair *p, struct side *s, struct ike_sa *sa, const struct ike_event *event) {
    static uint8_t octets[65536];
    struct ike_auth_values values = {0};
    const struct identity *local = &s->config.local_id;
    s->wanted = *event;
    if (s->manual_auth)
        return;
    if (event->auth.resumed) {
        pair_begin(p);
        ike_sa_auth(sa, p->now, &values, &p->out);
        pair_took(p, s == &p->side[A] ? A : B, sa);
        return;
    }
    if (s->psk == NULL) {
        values.refusal = "no pre-shared key for this peer";
    } else {
        struct span psk = span_of(s->psk, strlen(s->psk));
        size_t length = ike_sa_local_octets(sa, local, octets, sizeof octets);
        assert_true(length > 0);
        assert_true(psk_auth(event->auth.prf, psk, span_of(octets, length), values.local_auth));
        if (event->auth.remote_octets.length > 0)
            assert_true(psk_auth(event->auth.prf, psk, event->auth.remote_octets, values.expected));
    }
    pair_begin(p);
    ike_sa_auth(sa, p->now, &values, &p->out);
    pair_took(p, s == &p->side[A] ? A : B, sa);
}

static void note(struct side *s, const struct ike_event *event) {
    assert_true(s->events < SEEN_MAX);
    s->seen[s->events++] = event->kind;
    s->count[event->kind]++;
    switch (event->kind) {
    case IKE_EVENT_CHILD_UP:
    case IKE_EVENT_CHILD_DOWN:
        take_child(s, event);
        break;
    case IKE_EVENT_KEYS:
        s->keys = *event;
        break;
    case IKE_EVENT_UPDATED:
        s->updated = *event;
        break;
    case IKE_EVENT_PEER_MOVED:
        s->moved = *event;
        break;
    case IKE_EVENT_SECRETS:
        s->secrets = event->secrets;
        break;
    case IKE_EVENT_RETRY:
        s->retry = *event;
        break;
    case IKE_EVENT_CHILD_FAILED:
        s->failed = *event;
        break;
    case IKE_EVENT_REKEYED:
        s->sa = event->successor;
        add_sa(s, event->successor);
        break;
    case IKE_EVENT_EXTRA:
        add_sa(s, event->successor);
        break;
    case IKE_EVENT_REDIRECT:
        s->redirect = *event;
        break;
    case IKE_EVENT_CLOSED:
        s->closed = *event;
        break;
    default:
        break;
    }
}

void pair_begin(struct pair *p) {
    ike_output_wipe(&p->out);
}

void pair_took(struct pair *p, int side, struct ike_sa *sa) {
    struct side *s = &p->side[side];
    struct ike_event wanted = {0};
    bool wants = false, closed = false;
    assert_true(p->out.events <= IKE_EVENTS_MAX);
    for (size_t i = 0; i < p->out.datagrams; i++) {
        assert_true(p->waiting < WIRE_MAX);
        struct on_wire *w = &p->wire[p->waiting++];
        *w = (struct on_wire){.from = side, .reply = p->out.datagram[i].reply, .length = p->out.datagram[i].length};
        w->octets = malloc(w->length);
        memcpy(w->octets, p->octets + p->out.datagram[i].at, w->length);
        p->sent++;
    }
    for (size_t i = 0; i < p->out.events; i++) {
        assert_false(closed); /* nothing comes after CLOSED */
        note(s, &p->out.event[i]);
        closed = p->out.event[i].kind == IKE_EVENT_CLOSED;
        if (p->out.event[i].kind == IKE_EVENT_AUTH_WANTED) {
            wanted = p->out.event[i];
            wants = true;
        }
    }
    if (closed)
        remove_sa(s, sa);
    else if (wants)
        answer_auth(p, s, sa, &wanted);
}

/* --- messages --- */

static struct ike_sa *find(struct side *s, struct span message) {
    uint64_t spi_i, spi_r;
    if (!ike_spis_peek(message, &spi_i, &spi_r))
        return s->sa;
    for (int i = 0; i < SAS_MAX; i++)
        if (s->all[i] != NULL && ike_sa_spi_i(s->all[i]) == spi_i &&
            (ike_sa_spi_r(s->all[i]) == spi_r || spi_r == 0 || ike_sa_spi_r(s->all[i]) == 0))
            return s->all[i];
    return NULL;
}

void pair_deliver(struct pair *p, int to, struct span message) {
    struct side *s = &p->side[to], *other = &p->side[!to];
    struct ike_sa *sa = find(s, message);
    if (sa == NULL && to == B) {
        pair_begin(p);
        if (!ike_is_first_request(message, &p->out)) {
            pair_took(p, to, NULL);
            return;
        }
        uint64_t spi = UINT64_C(0xb0b) << 32 | (s->seed & 0xffff);
        sa = ike_sa_new_responder(&s->config, spi, &s->address, &other->address, p->reliable, p->now, s->random);
        if (s->tickets != NULL)
            ike_sa_set_tickets(sa, s->tickets);
        s->sa = sa;
        add_sa(s, sa);
    }
    if (sa == NULL)
        return;
    pair_begin(p);
    ike_sa_receive(sa, p->now, message, &s->address, &other->address, p->reliable, &p->out);
    s->fresh = p->out.fresh;
    s->authentic = p->out.authentic;
    s->corrupt = p->out.corrupt;
    pair_took(p, to, sa);
}

static struct on_wire take(struct pair *p, size_t at) {
    struct on_wire w = p->wire[at];
    p->waiting--;
    memmove(p->wire + at, p->wire + at + 1, (p->waiting - at) * sizeof p->wire[0]);
    return w;
}

static size_t first_from(const struct pair *p, int side) {
    size_t at = 0;
    while (at < p->waiting && p->wire[at].from != side)
        at++;
    return at;
}

static bool step(struct pair *p, size_t at) {
    if (at >= p->waiting)
        return false;
    struct on_wire w = take(p, at);
    if (p->tap == NULL || p->tap(p, &w))
        pair_deliver(p, !w.from, span_of(w.octets, w.length));
    free(w.octets);
    return true;
}

bool pair_step(struct pair *p) {
    return step(p, 0);
}

bool pair_step_from(struct pair *p, int side) {
    return step(p, first_from(p, side));
}

void pair_drop(struct pair *p) {
    assert_true(p->waiting > 0);
    free(take(p, 0).octets);
}

void pair_drop_from(struct pair *p, int side) {
    size_t at = first_from(p, side);
    assert_true(at < p->waiting);
    free(take(p, at).octets);
}

void pair_lose(struct pair *p, int side) {
    struct side *s = &p->side[side];
    for (int i = 0; i < SAS_MAX; i++)
        if (s->all[i] != NULL)
            remove_sa(s, s->all[i]);
    for (size_t i = 0; i < s->children; i++)
        s->child[i].up = false;
}

static bool wake_due(struct pair *p) {
    bool any = false;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < SAS_MAX; i++) {
            struct ike_sa *one = p->side[side].all[i];
            if (one == NULL || ike_sa_deadline(one) > p->now)
                continue;
            CALL(p, side, one, ike_sa_wake(sa, p->now, out));
            any = true;
        }
    return any;
}

void pair_run(struct pair *p) {
    for (int i = 0; i < 10000; i++)
        if (!pair_step(p) && !wake_due(p))
            return;
    fail_msg("the pair does not come to rest");
}

static uint64_t soonest(const struct pair *p) {
    uint64_t at = NEVER;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < SAS_MAX; i++)
            if (p->side[side].all[i] != NULL && ike_sa_deadline(p->side[side].all[i]) < at)
                at = ike_sa_deadline(p->side[side].all[i]);
    return at;
}

void pair_wake(struct pair *p, uint64_t until) {
    pair_run(p);
    for (int i = 0; i < 100000 && soonest(p) <= until; i++) {
        if (soonest(p) > p->now)
            p->now = soonest(p);
        pair_run(p);
    }
    p->now = until;
}

void pair_start(struct pair *p) {
    struct side *a = &p->side[A], *b = &p->side[B];
    a->sa =
        ike_sa_new_initiator(&a->config, UINT64_C(0xa11ce), &a->address, &b->address, p->reliable, p->now, a->random);
    add_sa(a, a->sa);
    CALL(p, A, a->sa, ike_sa_start(sa, p->now, out));
}

void pair_up(struct pair *p) {
    pair_start(p);
    pair_run(p);
    assert_non_null(p->side[A].sa);
    assert_non_null(p->side[B].sa);
    assert_int_equal(ike_sa_state(p->side[A].sa), IKE_STATE_ESTABLISHED);
    assert_int_equal(ike_sa_state(p->side[B].sa), IKE_STATE_ESTABLISHED);
}

void pair_free(struct pair *p) {
    while (p->waiting > 0)
        pair_drop(p);
    for (int side = 0; side < 2; side++) {
        struct side *s = &p->side[side];
        size_t owned = 0;
        for (int i = 0; i < SAS_MAX; i++) {
            if (s->all[i] == NULL)
                continue;
            for (struct child *c = s->all[i]->children; c != NULL; c = c->next)
                owned += c->announced;
            ike_sa_free(s->all[i]);
        }
        assert_int_equal(side_live_children(s), owned); /* each CHILD_UP has its CHILD_DOWN, or its owner */
    }
    free(p);
}

/* --- what must be true --- */

static void assert_crosswise(const struct ike_child *a, const struct ike_child *b) {
    assert_int_equal(a->spi_in, b->spi_out);
    assert_int_equal(a->spi_out, b->spi_in);
    assert_int_equal(a->suite.encr, b->suite.encr);
    assert_int_equal(a->suite.key_bits, b->suite.key_bits);
    assert_int_equal(a->suite.integ, b->suite.integ);
    assert_int_equal(a->esn, b->esn);
    assert_int_equal(a->transport, b->transport);
    assert_int_equal(a->ke, b->ke);
    assert_true(a->initiator != b->initiator);
    assert_memory_equal(a->key_in, b->key_out, CIPHER_KEY_MAX);
    assert_memory_equal(a->key_out, b->key_in, CIPHER_KEY_MAX);
    assert_memory_equal(a->integ_in, b->integ_out, INTEG_KEY_MAX);
    assert_memory_equal(a->integ_out, b->integ_in, INTEG_KEY_MAX);
    assert_memory_not_equal(a->key_in, a->key_out, cipher_key_length(a->suite));
    assert_int_equal(a->local.count, b->remote.count);
    assert_true(selectors_within(&a->local, &b->remote) && selectors_within(&b->remote, &a->local));
    assert_true(selectors_within(&a->remote, &b->local) && selectors_within(&b->local, &a->remote));
}

void assert_agree(struct pair *p) {
    uint8_t a[32], b[32], zero[32] = {0};
    assert_non_null(p->side[A].sa);
    assert_non_null(p->side[B].sa);
    ike_sa_fingerprint(p->side[A].sa, a);
    ike_sa_fingerprint(p->side[B].sa, b);
    assert_memory_equal(a, b, 32);
    assert_memory_not_equal(a, zero, 32);
    assert_int_equal(side_live_children(&p->side[A]), side_live_children(&p->side[B]));
    for (size_t i = 0; i < p->side[A].children; i++) {
        struct seen_child *child = &p->side[A].child[i];
        if (!child->up)
            continue;
        struct seen_child *other = side_child(&p->side[B], child->child.spi_out);
        assert_non_null(other);
        assert_true(other->up);
        assert_crosswise(&child->child, &other->child);
    }
}

void assert_contains(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", text, part);
}
