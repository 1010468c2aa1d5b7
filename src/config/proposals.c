/* proposals.c: ike= and esp= into proposals. The grammar is Libreswan's, cipher-hash;group with + between alternatives and
 * , between proposals; strongSwan's, with - everywhere, is read too, since each name says what it is. AEADs and ciphers
 * that need an integrity algorithm never share a proposal (RFC 7296 section 3.3). */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ALTERNATIVES_MAX 16

struct ids {
    uint16_t id[ALTERNATIVES_MAX];
    uint16_t bits[ALTERNATIVES_MAX];
    size_t count;
};
struct draft { /* one proposal as it was written */
    struct ids encr, hash, integ, prf, ke;
    struct piece none, integ_at; /* where they were said */
};
struct token {
    struct piece text;
    char before; /* the separator in front of it, 0 at the start */
};
struct parse {
    const struct reading *reading;
    uint8_t protocol;
    struct proposal_list *list;
    size_t with_ke;
};

static bool wrong(const struct parse *parse, struct piece about, const char *what) {
    struct place place = place_in(parse->reading->setting, (size_t)(about.at - parse->reading->value));
    int shown = about.length < 60 ? (int)about.length : 60;
    complain(parse->reading->diagnostics, place, "'%.*s' %s", shown, about.at, what);
    return false;
}

static bool add(struct ids *ids, uint16_t id, uint16_t bits) {
    for (size_t i = 0; i < ids->count; i++)
        if (ids->id[i] == id && ids->bits[i] == bits)
            return true;
    if (ids->count == ALTERNATIVES_MAX)
        return false;
    ids->id[ids->count] = id;
    ids->bits[ids->count++] = bits;
    return true;
}

/* Without a size: the longest key first, then the common one, as Libreswan offers them. */
static bool add_cipher(struct draft *draft, const struct algorithm *algorithm, uint16_t bits) {
    if (algorithm->bits == 1)
        return add(&draft->encr, algorithm->id, 0);
    if (bits)
        return add(&draft->encr, algorithm->id, bits);
    return add(&draft->encr, algorithm->id, 256) && add(&draft->encr, algorithm->id, 128);
}

static bool take_cipher(
    struct parse *parse, struct draft *draft, const struct algorithm *algorithm, struct piece text, uint16_t bits) {
    if (bits == 192)
        return wrong(parse, text, "is AES with a key of 192 bits, which is not done; write 256 or 128");
    if (algorithm->bits != 1 && bits != 0 && bits != 128 && bits != 256)
        return wrong(parse, text, "has no such key size; write 256 or 128");
    return add_cipher(draft, algorithm, bits) || wrong(parse, text, "is one alternative too many (16 at most)");
}

static bool take_hash(struct parse *parse, struct draft *draft, const struct algorithm *algorithm, struct piece text) {
    bool esp = parse->protocol == PROTOCOL_ESP;
    if (algorithm->kind == ALGORITHM_PRF && esp)
        return wrong(parse, text, "is a PRF, which esp= has none of; it belongs into ike=");
    struct ids *ids = algorithm->kind == ALGORITHM_PRF            ? &draft->prf
                      : algorithm->kind == ALGORITHM_INTEG || esp ? &draft->integ
                                                                  : &draft->hash;
    if (ids == &draft->integ)
        draft->integ_at = text;
    return add(ids, algorithm->id, 0) || wrong(parse, text, "is one alternative too many (16 at most)");
}

static bool refuse(struct parse *parse, const struct algorithm *algorithm, struct piece text) {
    char what[160];
    snprintf(what, sizeof what, "%s; %s",
        algorithm->kind == ALGORITHM_WEAK ? "is too weak to be used (RFC 8221, RFC 8247)" : "is not done by iketcp",
        algorithm->why);
    return wrong(parse, text, what);
}

static bool take_unknown(struct parse *parse, struct piece text) {
    char what[160] = "is no algorithm that iketcp knows; iketcp.conf(5) lists them";
    const char *near = text.length ? algorithm_nearest(text) : NULL;
    if (text.length == 0)
        snprintf(what, sizeof what, "is no algorithm: one is missing here");
    else if (near)
        snprintf(what, sizeof what, "is no algorithm that iketcp knows; did you mean '%s'?", near);
    return wrong(parse, text, what);
}

static bool take_token(struct parse *parse, struct draft *draft, const struct token *token) {
    uint16_t bits;
    const struct algorithm *algorithm = algorithm_find(token->text, &bits);
    if (!algorithm)
        return take_unknown(parse, token->text);
    switch (algorithm->kind) {
    case ALGORITHM_ENCR:
        return take_cipher(parse, draft, algorithm, token->text, bits);
    case ALGORITHM_HASH:
    case ALGORITHM_INTEG:
    case ALGORITHM_PRF:
        return take_hash(parse, draft, algorithm, token->text);
    case ALGORITHM_KE:
        return add(&draft->ke, algorithm->id, 0) ||
               wrong(parse, token->text, "is one alternative too many (16 at most)");
    case ALGORITHM_NONE:
        if (token->before == '\0')
            return wrong(parse, token->text, "would leave everything unencrypted; write aes_gcm256 or aes256-sha2_256");
        if (token->before == ';' || draft->ke.count || draft->none.at)
            return wrong(parse, token->text, "is no group; to do without one in ESP write pfs=no");
        draft->none = token->text;
        return true;
    case ALGORITHM_NO_KE:
        return wrong(parse, token->text, "is no group; to do without one in ESP write pfs=no");
    case ALGORITHM_WEAK:
    case ALGORITHM_MISSING:
        break;
    }
    return refuse(parse, algorithm, token->text);
}

/* The next token of a proposal; "aes-256" is one (Libreswan). */
static bool next_token(struct piece proposal, size_t *at, struct token *out) {
    if (*at > proposal.length)
        return false;
    out->before = *at ? proposal.at[*at - 1] : '\0';
    size_t start = *at, end = start;
    while (end < proposal.length && !strchr("-;+", proposal.at[end]))
        end++;
    out->text = (struct piece){proposal.at + start, end - start};
    *at = end + 1;
    return true;
}

static bool all_digits(struct piece piece) {
    for (size_t i = 0; i < piece.length; i++)
        if (!isdigit((unsigned char)piece.at[i]))
            return false;
    return piece.length > 0 && piece.length < 5;
}

/* Looks whether "-256" follows a cipher, and takes it along. */
static bool take_size(
    struct parse *parse, struct draft *draft, struct piece proposal, const struct token *token, size_t *at) {
    uint16_t bits;
    const struct algorithm *algorithm = algorithm_find(token->text, &bits);
    size_t after = *at;
    struct token size;
    if (!algorithm || algorithm->kind != ALGORITHM_ENCR || bits != 0 || !next_token(proposal, &after, &size) ||
        size.before != '-' || !all_digits(size.text))
        return take_token(parse, draft, token);
    *at = after;
    unsigned value = 0;
    for (size_t i = 0; i < size.text.length; i++)
        value = value * 10 + (unsigned)(size.text.at[i] - '0');
    struct piece both = {token->text.at, (size_t)(size.text.at + size.text.length - token->text.at)};
    return take_cipher(parse, draft, algorithm, both, (uint16_t)(value ? value : 1));
}

static void put(struct proposal *proposal, uint8_t type, uint16_t id, uint16_t bits) {
    if (proposal->transforms < TRANSFORMS_MAX) /* 5 kinds of at most 16: always */
        proposal->transform[proposal->transforms++] = (struct transform){.type = type, .id = id, .key_bits = bits};
}

static uint16_t integ_of(uint16_t hash) {
    return hash == 256 ? AUTH_HMAC_SHA2_256_128 : hash == 384 ? AUTH_HMAC_SHA2_384_192 : AUTH_HMAC_SHA2_512_256;
}

static uint16_t prf_of(uint16_t hash) {
    return hash == 256 ? PRF_HMAC_SHA2_256 : hash == 384 ? PRF_HMAC_SHA2_384 : PRF_HMAC_SHA2_512;
}

static const struct ids *first_of(const struct ids *a, const struct ids *b, const struct ids *c, const struct ids *d) {
    return a->count ? a : b->count ? b : c->count ? c : d;
}

static const struct ids default_prfs = {.id = {512, 256, 384}, .count = 3};
static const struct ids default_integs = {.id = {512, 256}, .count = 2};
static const struct ids default_groups = {
    .id = {KE_CURVE25519, KE_ECP_256, KE_ECP_384, KE_ECP_521, KE_CURVE448, KE_MODP_2048, KE_MODP_3072, KE_MODP_4096},
    .count = 8};

static bool same_proposal(const struct proposal *a, const struct proposal *b) {
    if (a->transforms != b->transforms)
        return false;
    for (size_t i = 0; i < a->transforms; i++)
        if (a->transform[i].type != b->transform[i].type || a->transform[i].id != b->transform[i].id ||
            a->transform[i].key_bits != b->transform[i].key_bits)
            return false;
    return true;
}

/* Appends the proposal of the AEADs, or of the other ciphers, of a draft. False: the list is full. */
static bool emit(struct proposal_list *list, uint8_t protocol, const struct draft *draft, bool aead) {
    bool ike = protocol == PROTOCOL_IKE;
    if (list->count == PROPOSALS_MAX)
        return false;
    struct proposal *proposal = &list->proposal[list->count];
    *proposal = (struct proposal){.number = (uint8_t)(list->count + 1), .protocol = protocol};
    for (size_t i = 0; i < draft->encr.count; i++)
        if (algorithm_is_aead(draft->encr.id[i]) == aead)
            put(proposal, TRANSFORM_ENCR, draft->encr.id[i], draft->encr.bits[i]);
    const struct ids *prfs = first_of(&draft->prf, &draft->hash, &draft->integ, &default_prfs);
    for (size_t i = 0; ike && i < prfs->count; i++)
        put(proposal, TRANSFORM_PRF, prf_of(prfs->id[i]), 0);
    const struct ids *integs =
        first_of(&draft->integ, &draft->hash, &draft->prf, ike ? &default_prfs : &default_integs);
    for (size_t i = 0; !aead && i < integs->count; i++)
        put(proposal, TRANSFORM_INTEG, integ_of(integs->id[i]), 0);
    const struct ids *groups = draft->ke.count || !ike ? &draft->ke : &default_groups;
    for (size_t i = 0; i < groups->count; i++)
        put(proposal, TRANSFORM_KE, groups->id[i], 0);
    for (size_t i = 0; i < list->count; i++)
        if (same_proposal(&list->proposal[i], proposal))
            return true;
    list->count++;
    return true;
}

static bool finish_draft(struct parse *parse, const struct draft *draft, struct piece text) {
    bool plain = false, aead = false;
    for (size_t i = 0; i < draft->encr.count; i++) {
        aead |= algorithm_is_aead(draft->encr.id[i]);
        plain |= !algorithm_is_aead(draft->encr.id[i]);
    }
    if (draft->encr.count == 0)
        return wrong(parse, text, "names no cipher; write such as aes_gcm256-sha2_256;dh19");
    if (plain && draft->none.at)
        return wrong(parse, draft->none, "leaves aes without integrity; write sha2_256, or take aes_gcm");
    if (!plain && draft->integ_at.at)
        return wrong(parse, draft->integ_at, "is too much: AES-GCM and ChaCha20-Poly1305 bring their own integrity");
    parse->with_ke += draft->ke.count != 0;
    if ((aead && !emit(parse->list, parse->protocol, draft, true)) ||
        (plain && !emit(parse->list, parse->protocol, draft, false)))
        return wrong(parse, text, "is one proposal too many (24 at most)");
    return true;
}

static bool parse_one(struct parse *parse, struct piece text) {
    struct draft draft = {0};
    size_t at = 0;
    struct token token;
    bool ok = true;
    while (next_token(text, &at, &token))
        ok &= take_size(parse, &draft, text, &token, &at);
    return ok && finish_draft(parse, &draft, text);
}

bool proposals_parse(const struct reading *reading, uint8_t protocol, struct proposal_list *list) {
    struct parse parse = {.reading = reading, .protocol = protocol, .list = list};
    list->count = 0;
    size_t at = 0, count = 0;
    struct piece text;
    bool ok = true;
    while (piece_next(reading->value, &at, ",", &text)) {
        if (text.length && text.at[text.length - 1] == '!') /* strongSwan's "these alone": they always are */
            text.length--;
        count++;
        ok &= parse_one(&parse, text);
    }
    if (ok && protocol == PROTOCOL_ESP && parse.with_ke != 0 && parse.with_ke != count) {
        complain(reading->diagnostics, reading->setting->value_place,
            "either all or none of the proposals name a group; without one, that of the IKE SA is taken");
        return false;
    }
    return ok;
}

bool read_ike(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    return proposals_parse(reading, PROTOCOL_IKE, at);
}

bool read_esp(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    return proposals_parse(reading, PROTOCOL_ESP, at);
}

/* Libreswan's default list with ChaCha20-Poly1305 after AES-GCM; groups: fast curves before MODP. */
void proposals_default(uint8_t protocol, struct proposal_list *list) {
    static const struct {
        uint16_t id, bits;
    } ciphers[] = {{ENCR_AES_GCM_16, 256}, {ENCR_AES_GCM_16, 128}, {ENCR_CHACHA20_POLY1305, 0}, {ENCR_AES_CBC, 256},
        {ENCR_AES_CBC, 128}};
    list->count = 0;
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        struct draft draft = {0};
        (void)add(&draft.encr, ciphers[i].id, ciphers[i].bits);
        (void)emit(list, protocol, &draft, algorithm_is_aead(ciphers[i].id));
    }
}

size_t proposals_finish_esp(struct proposal_list *list, bool esn_yes, bool esn_no, bool pfs) {
    size_t removed = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct proposal *proposal = &list->proposal[i];
        size_t kept = 0;
        for (size_t j = 0; j < proposal->transforms; j++) {
            bool drop = !pfs && proposal->transform[j].type == TRANSFORM_KE;
            removed += drop;
            if (!drop)
                proposal->transform[kept++] = proposal->transform[j];
        }
        proposal->transforms = kept;
        if (esn_yes)
            put(proposal, TRANSFORM_ESN, ESN_YES, 0);
        if (esn_no)
            put(proposal, TRANSFORM_ESN, ESN_NO, 0);
    }
    return removed;
}
