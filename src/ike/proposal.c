/* proposal.c: what we offer, and what is chosen from an offer. RFC 7296 sections 2.7 and 3.3; AEADs are proposals of
 * their own (RFC 5282 section 8). */
#include <stdio.h>
#include <string.h>

#include "ike/internal.h"

/* --- what is ours --- */

static void add(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits) {
    if (p->transforms < TRANSFORMS_MAX)
        p->transform[p->transforms++] = (struct transform){.type = type, .id = id, .key_bits = key_bits};
}

static bool has_type(const struct proposal *p, uint8_t type) {
    for (size_t i = 0; i < p->transforms; i++)
        if (p->transform[i].type == type)
            return true;
    return false;
}

static void add_all(struct proposal *out, const struct proposal *from, uint8_t type) {
    for (size_t i = 0; i < from->transforms; i++)
        if (from->transform[i].type == type)
            add(out, type, from->transform[i].id, from->transform[i].key_bits);
}

static void add_ke(struct proposal *out, const struct proposal *from, enum ke_rule rule, uint16_t group) {
    if (rule == KE_ABSENT)
        return;
    if (has_type(from, TRANSFORM_KE))
        add_all(out, from, TRANSFORM_KE);
    else
        add(out, TRANSFORM_KE, group, 0);
    if (rule == KE_WELCOME)
        add(out, TRANSFORM_KE, KE_NONE, 0);
}

/* One configured proposal, its AEADs or its other ciphers: nothing when it has none of that kind. */
static void add_kind(struct proposal_list *out, const struct proposal *from, bool aead, uint8_t protocol,
    enum ke_rule rule, uint16_t group, uint64_t spi) {
    if (out->count >= PROPOSALS_MAX)
        return;
    struct proposal *p = &out->proposal[out->count];
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < from->transforms; i++)
        if (from->transform[i].type == TRANSFORM_ENCR && cipher_is_aead(from->transform[i].id) == aead)
            add(p, TRANSFORM_ENCR, from->transform[i].id, from->transform[i].key_bits);
    if (p->transforms == 0 || (!aead && !has_type(from, TRANSFORM_INTEG)))
        return;
    if (!aead)
        add_all(p, from, TRANSFORM_INTEG);
    if (protocol == PROTOCOL_IKE) {
        add_all(p, from, TRANSFORM_PRF);
    } else if (has_type(from, TRANSFORM_ESN)) {
        add_all(p, from, TRANSFORM_ESN);
    } else {
        add(p, TRANSFORM_ESN, ESN_NO, 0);
    }
    add_ke(p, from, rule, group);
    p->number = (uint8_t)++out->count;
    p->protocol = protocol;
    p->spi_length = spi == 0 ? 0 : protocol == PROTOCOL_IKE ? 8 : 4;
    p->spi = spi;
}

/* The kind of the first cipher goes first: order is preference. */
void proposals_ours(const struct proposal_list *config, uint8_t protocol, enum ke_rule rule, uint16_t group,
    uint64_t spi, struct proposal_list *out) {
    out->count = 0;
    for (size_t i = 0; i < config->count; i++) {
        const struct proposal *from = &config->proposal[i];
        bool aead_first = true;
        for (size_t t = 0; t < from->transforms; t++)
            if (from->transform[t].type == TRANSFORM_ENCR) {
                aead_first = cipher_is_aead(from->transform[t].id);
                break;
            }
        add_kind(out, from, aead_first, protocol, rule, group, spi);
        add_kind(out, from, !aead_first, protocol, rule, group, spi);
    }
}

uint16_t proposals_first_ke(const struct proposal_list *list) {
    for (size_t i = 0; i < list->count; i++)
        for (size_t t = 0; t < list->proposal[i].transforms; t++)
            if (list->proposal[i].transform[t].type == TRANSFORM_KE && list->proposal[i].transform[t].id != KE_NONE)
                return list->proposal[i].transform[t].id;
    return KE_NONE;
}

bool proposals_have_ke(const struct proposal_list *list, uint16_t group) {
    for (size_t i = 0; i < list->count; i++)
        for (size_t t = 0; t < list->proposal[i].transforms; t++)
            if (list->proposal[i].transform[t].type == TRANSFORM_KE && list->proposal[i].transform[t].id == group)
                return true;
    return false;
}

/* --- choosing --- */

static bool holds(const struct proposal *p, const struct transform *wanted) {
    for (size_t i = 0; i < p->transforms; i++) {
        const struct transform *t = &p->transform[i];
        if (t->type == wanted->type && t->id == wanted->id && t->key_bits == wanted->key_bits && !t->unknown)
            return true;
    }
    return false;
}

/* INTEG, KE and ESN may be left out: that says AUTH_NONE, KE_NONE, no ESN (section 3.3.3). */
static bool may_be_absent(const struct transform *t) {
    return t->id == 0 && (t->type == TRANSFORM_INTEG || t->type == TRANSFORM_KE || t->type == TRANSFORM_ESN);
}

static bool acceptable(const struct proposal *theirs, const struct transform *t) {
    return has_type(theirs, t->type) ? holds(theirs, t) : may_be_absent(t);
}

/* Ours of one type by preference, `guess` before all others. Where we list none, only "none" will do. */
static bool choose_type(
    const struct proposal *ours, const struct proposal *theirs, uint8_t type, uint16_t guess, struct transform *out) {
    struct transform wanted = {.type = type, .id = guess};
    if (guess != 0 && holds(ours, &wanted) && holds(theirs, &wanted)) {
        *out = wanted;
        return true;
    }
    for (size_t i = 0; i < ours->transforms; i++)
        if (ours->transform[i].type == type && acceptable(theirs, &ours->transform[i])) {
            *out = ours->transform[i];
            return true;
        }
    *out = (struct transform){.type = type};
    return !has_type(ours, type) && acceptable(theirs, out);
}

static bool understood(const struct proposal *p, uint8_t protocol) {
    if (p->protocol != protocol)
        return false;
    for (size_t i = 0; i < p->transforms; i++) {
        uint8_t type = p->transform[i].type;
        if (type != TRANSFORM_ENCR && type != TRANSFORM_INTEG && type != TRANSFORM_KE &&
            type != (protocol == PROTOCOL_IKE ? TRANSFORM_PRF : TRANSFORM_ESN))
            return false; /* section 3.3.6: a type that we don't know makes the proposal unacceptable */
    }
    return true;
}

static void answer_add(struct chosen *c, const struct proposal *theirs, const struct transform *t) {
    if (has_type(theirs, t->type))
        add(&c->answer, t->type, t->id, t->key_bits);
}

static bool match(
    const struct proposal *ours, const struct proposal *theirs, bool any_ke, uint16_t guess, struct chosen *c) {
    struct transform encr, integ, prf = {0}, ke = {.type = TRANSFORM_KE}, esn = {0};
    bool ike = ours->protocol == PROTOCOL_IKE;
    if (!understood(theirs, ours->protocol) || !choose_type(ours, theirs, TRANSFORM_ENCR, 0, &encr) ||
        !choose_type(ours, theirs, TRANSFORM_INTEG, 0, &integ))
        return false;
    if (!any_ke && !choose_type(ours, theirs, TRANSFORM_KE, guess, &ke))
        return false;
    if (ike ? !choose_type(ours, theirs, TRANSFORM_PRF, 0, &prf) : !choose_type(ours, theirs, TRANSFORM_ESN, 0, &esn))
        return false;
    struct cipher_suite suite = {.encr = encr.id, .key_bits = encr.key_bits, .integ = integ.id};
    if (!cipher_supported(suite) || (ike && (!prf_supported(prf.id) || !key_exchange_supported(ke.id))))
        return false;
    *c = (struct chosen){.suite = suite, .prf = prf.id, .ke = ke.id, .esn = esn.id == ESN_YES, .spi = theirs->spi};
    c->answer.number = theirs->number;
    c->answer.protocol = theirs->protocol;
    answer_add(c, theirs, &encr);
    if (ike)
        answer_add(c, theirs, &prf);
    answer_add(c, theirs, &integ);
    if (!any_ke)
        answer_add(c, theirs, &ke);
    if (!ike)
        answer_add(c, theirs, &esn);
    return true;
}

static bool none_in_common(const struct proposal_list *ours, const struct proposal_list *theirs, struct error *err) {
    char a[PROPOSALS_TEXT_MAX], b[PROPOSALS_TEXT_MAX];
    return fail(err, PEER, NOTIFY_NO_PROPOSAL_CHOSEN, "no proposal in common: the peer offers %s; we accept %s",
        proposals_text(theirs, a), proposals_text(ours, b));
}

bool proposal_choose(const struct proposal_list *ours, const struct proposal_list *theirs, bool any_ke, uint16_t guess,
    struct chosen *out, struct error *err) {
    /* First with the group that the peer guessed, then with any: a round trip weighs more than our order of groups. */
    for (int pass = guess != KE_NONE ? 0 : 1; pass < 2; pass++)
        for (size_t i = 0; i < ours->count; i++)
            for (size_t j = 0; j < theirs->count; j++)
                if (match(&ours->proposal[i], &theirs->proposal[j], any_ke, guess, out) &&
                    (pass == 1 || any_ke || out->ke == guess))
                    return true;
    return none_in_common(ours, theirs, err);
}

bool proposal_confirm(
    const struct proposal_list *ours, const struct proposal_list *answer, struct chosen *out, struct error *err) {
    char text[PROPOSALS_TEXT_MAX];
    if (answer->count != 1)
        return fail(
            err, PEER, NOTIFY_INVALID_SYNTAX, "the peer chose %zu proposals; exactly one is due", answer->count);
    const struct proposal *theirs = &answer->proposal[0];
    for (size_t i = 0; i < theirs->transforms; i++)
        for (size_t j = 0; j < i; j++)
            if (theirs->transform[i].type == theirs->transform[j].type)
                return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer chose two transforms of type %u",
                    theirs->transform[i].type);
    for (size_t i = 0; i < ours->count; i++)
        if (ours->proposal[i].number == theirs->number && match(&ours->proposal[i], theirs, false, 0, out))
            return true;
    return fail(err, PEER, NOTIFY_NO_PROPOSAL_CHOSEN, "the peer chose %s, which we did not offer",
        proposals_text(answer, text));
}

void chosen_add(struct message_writer *m, const struct chosen *chosen, uint64_t spi) {
    struct proposal_list list = {.count = 1};
    list.proposal[0] = chosen->answer;
    list.proposal[0].spi = spi;
    list.proposal[0].spi_length = spi == 0 ? 0 : chosen->answer.protocol == PROTOCOL_IKE ? 8 : 4;
    sa_add(m, &list);
}

bool group_refuse(struct turn *turn, uint16_t theirs, uint16_t wanted, struct error *err) {
    char a[IANA_NAME_MAX], b[IANA_NAME_MAX];
    turn->notify_data[0] = (uint8_t)(wanted >> 8);
    turn->notify_data[1] = (uint8_t)wanted;
    turn->notify_length = 2;
    return fail(err, PEER, NOTIFY_INVALID_KE_PAYLOAD, "the peer's KE is %s; %s is wanted",
        transform_text(TRANSFORM_KE, theirs, 0, a), transform_text(TRANSFORM_KE, wanted, 0, b));
}

/* --- for people --- */

const char *proposals_text(const struct proposal_list *list, char out[PROPOSALS_TEXT_MAX]) {
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < list->count; i++)
        for (size_t t = 0; t < list->proposal[i].transforms; t++) {
            const struct transform *transform = &list->proposal[i].transform[t];
            char name[IANA_NAME_MAX];
            if (transform->type == TRANSFORM_ESN)
                continue;
            transform_text(transform->type, transform->id, transform->key_bits, name);
            const char *between = at == 0 ? "" : t == 0 ? ", " : " ";
            if (at + strlen(between) + strlen(name) + sizeof " ..." > PROPOSALS_TEXT_MAX) {
                snprintf(out + at, PROPOSALS_TEXT_MAX - at, " ...");
                return out;
            }
            at += (size_t)snprintf(out + at, PROPOSALS_TEXT_MAX - at, "%s%s", between, name);
        }
    if (at == 0)
        snprintf(out, PROPOSALS_TEXT_MAX, "nothing");
    return out;
}
