/* child_deal.c: a Child SA is asked for, chosen and installed (RFC 7296 sections 2.9 and 2.17): what IKE_AUTH, new Child
 * SAs and their rekeys have in common. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

/* --- what both sides use --- */

void child_failed(
    struct ike_sa *sa, struct turn *turn, const struct ike_child_config *config, const struct error *why) {
    struct ike_event *event = emit(turn, IKE_EVENT_CHILD_FAILED);
    event->child_config = config != NULL ? config : sa->config->children > 0 ? &sa->config->child[0] : NULL;
    event->error = *why;
}

/* Sides that agree in IKE_AUTH, where no Child SA has a key exchange of its own, may still differ in this. */
static const char *pfs_hint(const struct ike_sa *sa, const struct ike_child_config *config) {
    if (request_is(sa, &auth_exchange))
        return "";
    return config->pfs ? ", with a key exchange (pfs=yes); a peer that wants none for ESP needs pfs=no here"
                       : ", without a key exchange (pfs=no); the peer may want one, by pfs=yes";
}

void child_refused(
    const struct ike_sa *sa, const struct ike_child_config *config, uint16_t refusal, struct error *err) {
    struct proposal_list offered;
    char name[IANA_NAME_MAX], text[PROPOSALS_TEXT_MAX];
    if (refusal == NOTIFY_NO_PROPOSAL_CHOSEN) {
        proposals_ours(&sa->config->child_proposals, PROTOCOL_ESP, KE_ABSENT, 0, 0, &offered);
        fail(err, PEER, refusal, "Child SA %s: no proposal in common (NO_PROPOSAL_CHOSEN); we offer %s%s", config->name,
            proposals_text(&offered, text), pfs_hint(sa, config));
    } else if (refusal == NOTIFY_TS_UNACCEPTABLE) {
        fail(err, PEER, refusal, "Child SA %s: the peer accepts none of our traffic selectors (TS_UNACCEPTABLE)",
            config->name);
    } else if (refusal != NOTIFY_NONE) {
        fail(err, PEER, refusal, "Child SA %s: the peer refuses it (%s)", config->name, notify_text(refusal, name));
    } else {
        fail(err, PEER, refusal, "Child SA %s: the response has no SA payload and gives no reason", config->name);
    }
}

bool child_has_room(const struct ike_sa *sa, bool rekey) {
    return children_count(sa) < IKE_CHILDREN_MAX + (rekey ? IKE_CHILDREN_REKEYED_MAX : 0);
}

bool child_allowed(const struct ike_sa *sa, bool rekey, struct error *err) {
    if (request_is(sa, &ike_rekey_exchange))
        return fail(err, PEER, NOTIFY_TEMPORARY_FAILURE, "this IKE SA is being rekeyed");
    if (!child_has_room(sa, rekey))
        return fail(err, OURS, NOTIFY_NO_ADDITIONAL_SAS, "%d Child SAs are the most of an IKE SA", IKE_CHILDREN_MAX);
    return true;
}

static struct child *child_add(struct ike_sa *sa, const struct deal *deal) {
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return NULL;
    child->about.config = deal->config;
    child->about.spi_in = deal->spi_in;
    child->about.spi_out = deal->spi_out;
    child->about.ke = deal->chosen.ke;
    child->about.transport = deal->transport;
    child->about.local = selectors_keep(&deal->local);
    child->about.remote = selectors_keep(&deal->remote);
    if (child->about.local == NULL || child->about.remote == NULL) {
        child_free(child);
        return NULL;
    }
    child->rekey_at = child->expire_at = NEVER;
    child->next = sa->children;
    sa->children = child;
    return child;
}

bool child_install(struct ike_sa *sa, struct turn *turn, struct deal *deal, struct child **made, struct error *err) {
    struct child *child = child_add(sa, deal);
    if (child == NULL)
        return fail(err, OURS, NOTIFY_NO_ADDITIONAL_SAS, "no memory for a Child SA");
    struct ike_child keyed = {.config = deal->config,
        .spi_in = deal->spi_in,
        .spi_out = deal->spi_out,
        .replaces = deal->old != NULL ? deal->old->about.spi_in : 0,
        .initiator = deal->initiator,
        .suite = deal->chosen.suite,
        .ke = deal->chosen.ke,
        .esn = deal->chosen.esn,
        .transport = deal->transport,
        .aggfrag = deal->aggfrag,
        .aggfrag_whole_only = deal->aggfrag_whole_only,
        .local = deal->local,
        .remote = deal->remote,
        .peer_local = deal->peer_local,
        .peer_remote = deal->peer_remote};
    bool ok = keys_child(&sa->keys, deal->ni, deal->nr, span_of(deal->secret, deal->secret_length), &keyed, err);
    wipe(deal->secret, sizeof deal->secret);
    if (!ok) {
        sa->children = child->next;
        child_free(child);
        return false;
    }
    uint64_t lifetime = deal->config->lifetime_ms, soft = soft_lifetime(sa, lifetime);
    if (lifetime != 0) {
        child->expire_at = turn->now + lifetime;
        child->rekey_at = turn->now + soft;
    }
    child->announced = true;
    emit(turn, IKE_EVENT_CHILD_UP)->child = keyed;
    wipe(&keyed, sizeof keyed);
    if (made != NULL)
        *made = child;
    return true;
}

void child_disown(struct ike_sa *sa, const struct deal *deal) {
    struct child *child = child_add(sa, deal);
    if (child != NULL) /* never announced: its end is not reported either */
        queue_add(sa, &(struct task){.exchange = &delete_exchange, .spi_in = child->about.spi_in}, true);
}

/* --- Initiator of the exchange --- */

static void add_selectors(struct message_writer *m, uint8_t type, const struct selector_list *list) {
    payload_begin(m, type);
    selectors_write(m->out, list);
    payload_end(m);
}

/* What was agreed on before, or what is configured. */
static void selectors_wanted(const struct ike_sa *sa, const struct ike_child_config *config, const struct child *old,
    struct selector_list *local, struct selector_list *remote) {
    if (old != NULL) {
        selectors_copy(old->about.local, local);
        selectors_copy(old->about.remote, remote);
    } else {
        selectors_effective(&config->local, &sa->local, local);
        selectors_effective(&config->remote, &sa->remote, remote);
    }
}

static void offer(
    const struct ike_sa *sa, const struct ike_child_config *config, bool in_auth, struct proposal_list *out) {
    enum ke_rule rule = !in_auth && config->pfs ? KE_REQUIRED : KE_ABSENT;
    proposals_ours(&sa->config->child_proposals, PROTOCOL_ESP, rule, sa->keys.ke, sa->request.spi, out);
}

/* The group that the peer asked for, the one used last, or the first. */
static uint16_t guess_group(const struct ike_sa *sa, const struct child *old, const struct proposal_list *offered) {
    if (sa->request.task.group != KE_NONE)
        return sa->request.task.group;
    if (old != NULL && old->about.ke != KE_NONE && proposals_have_ke(offered, old->about.ke))
        return old->about.ke;
    return proposals_first_ke(offered);
}

bool child_write_request(struct ike_sa *sa, struct turn *turn, const struct ike_child_config *config,
    const struct child *old, bool in_auth, struct message_writer *m, struct error *err) {
    struct request *r = &sa->request;
    struct proposal_list offered;
    struct selector_list local, remote;
    (void)turn;
    r->spi = child_new_spi(sa);
    offer(sa, config, in_auth, &offered);
    if (offered.count == 0)
        return fail(err, CONFIG, NOTIFY_NONE, "Child SA %s: there is no ESP proposal to offer", config->name);
    if (old != NULL ? old->about.transport : config->transport)
        notify_add(m, NOTIFY_USE_TRANSPORT_MODE, span_of(NULL, 0));
    else if (config->aggfrag)
        aggfrag_add(m);
    sa_add(m, &offered);
    if (!in_auth) {
        random_fill(&sa->random, r->nonce, sizeof r->nonce);
        payload_add(m, PAYLOAD_NONCE, span_of(r->nonce, sizeof r->nonce));
    }
    if (!in_auth && config->pfs) {
        r->ke = ke_make(sa, guess_group(sa, old, &offered), err);
        if (r->ke == NULL)
            return false;
        ke_add(m, r->ke);
    }
    selectors_wanted(sa, config, old, &local, &remote);
    add_selectors(m, PAYLOAD_TSI, &local);
    add_selectors(m, PAYLOAD_TSR, &remote);
    return true;
}

/* Transport mode through a NAT (RFC 7296 section 2.23.1): each side writes down the addresses that it sees. What the peer
 * calls us and itself is kept for checksums, and our own view put in its place. False: it is not one host and another. */
static bool see_as_we_do(
    const struct selector_list *our_local, const struct selector_list *our_remote, struct deal *deal) {
    struct address local, remote;
    if (!selectors_host(our_local, &local) || !selectors_host(our_remote, &remote) ||
        !selectors_host(&deal->local, &deal->peer_local) || !selectors_host(&deal->remote, &deal->peer_remote) ||
        deal->peer_local.family != local.family || deal->peer_remote.family != remote.family)
        return false;
    selectors_rehost(&deal->local, &local);
    selectors_rehost(&deal->remote, &remote);
    return true;
}

/* Whoever asked for transport mode may get a tunnel (RFC 7296 section 1.3.1), but never one for the other in a rekey. */
static bool mode_is_right(const struct ike_child_config *config, const struct deal *deal, struct error *err) {
    bool wanted = deal->old != NULL ? deal->old->about.transport : config->transport;
    if (deal->transport == wanted || (deal->old == NULL && !deal->transport))
        return true;
    return fail(err, PEER, NOTIFY_NONE, "Child SA %s: the peer wants %s mode", config->name,
        deal->transport ? "transport" : "tunnel");
}

static bool read_keys(struct ike_sa *sa, const struct payload_list *list, struct deal *deal, struct error *err) {
    const struct payload *nonce = payload_find(list, PAYLOAD_NONCE, 0), *ke = payload_find(list, PAYLOAD_KE, 0);
    struct request *r = &sa->request;
    struct span public_value;
    uint16_t group;
    if (nonce == NULL || !nonce_read(nonce->body, &deal->nr, err))
        return nonce != NULL || fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the response has no nonce");
    deal->ni = span_of(r->nonce, sizeof r->nonce);
    if (deal->chosen.ke == KE_NONE)
        return true;
    if (ke == NULL || r->ke == NULL)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the response has no KE although it chose a group");
    if (!ke_read(ke->body, &group, &public_value, err))
        return false;
    if (group != deal->chosen.ke || group != key_exchange_group(r->ke))
        return fail(
            err, PEER, NOTIFY_INVALID_SYNTAX, "the response has a KE of group %u, which we did not send", group);
    if (!key_exchange_shared(r->ke, public_value, deal->secret, err))
        return false;
    deal->secret_length = key_exchange_secret_length(group);
    return true;
}

bool child_read_response(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, bool in_auth,
    struct deal *deal, struct error *err) {
    const struct ike_child_config *config = deal->old != NULL ? deal->old->about.config : sa->request.task.config;
    struct proposal_list offered, theirs;
    struct selector_list local, remote;
    struct notify notify;
    (void)turn;
    deal->config = config = config != NULL ? config : &sa->config->child[0];
    deal->initiator = true;
    deal->spi_in = (uint32_t)sa->request.spi;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) ||
        !selectors_read(payload_find(list, PAYLOAD_TSI, 0)->body, &deal->local, err) ||
        !selectors_read(payload_find(list, PAYLOAD_TSR, 0)->body, &deal->remote, err))
        return false;
    offer(sa, config, in_auth, &offered);
    if (!proposal_confirm(&offered, &theirs, &deal->chosen, err))
        return fail_context(err, "Child SA %s: ", config->name);
    deal->spi_out = (uint32_t)deal->chosen.spi;
    deal->transport = notify_find(list, NOTIFY_USE_TRANSPORT_MODE, &notify);
    selectors_wanted(sa, config, deal->old, &local, &remote);
    if (!mode_is_right(config, deal, err) || !aggfrag_confirm(list, deal, err))
        return false;
    if (deal->transport && !see_as_we_do(&local, &remote, deal))
        deal->local.count = 0;
    if (deal->local.count == 0 || deal->remote.count == 0 || !selectors_within(&deal->local, &local) ||
        !selectors_within(&deal->remote, &remote))
        return fail(err, PEER, NOTIFY_NONE, "Child SA %s: the peer answers with traffic selectors outside of ours",
            config->name);
    if (deal->chosen.spi == 0)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "Child SA %s: the peer's SPI is zero", config->name);
    return in_auth || read_keys(sa, list, deal, err);
}

/* --- Responder of the exchange --- */

/* The first configuration that takes the offer whole, else the first that takes a part of it. */
static const struct ike_child_config *choose_config(const struct ike_sa *sa, const struct child *old,
    const struct selector_list *tsi, const struct selector_list *tsr, struct deal *deal) {
    const struct ike_child_config *found = NULL;
    for (size_t i = 0; i < sa->config->children; i++) {
        const struct ike_child_config *config = &sa->config->child[i];
        struct selector_list ours_local, ours_remote, local, remote;
        struct deal seen = {.local = *tsr, .remote = *tsi};
        if ((old != NULL && config != old->about.config) || (deal->transport && !config->transport))
            continue;
        selectors_wanted(sa, config, old, &ours_local, &ours_remote);
        if (deal->transport && !see_as_we_do(&ours_local, &ours_remote, &seen))
            continue;
        if (!selectors_narrow(&seen.local, &ours_local, &local) ||
            !selectors_narrow(&seen.remote, &ours_remote, &remote))
            continue;
        bool whole = selectors_within(&seen.local, &local) && selectors_within(&seen.remote, &remote);
        if (found != NULL && !whole)
            continue;
        found = config;
        deal->local = local;
        deal->remote = remote;
        deal->peer_local = seen.peer_local;
        deal->peer_remote = seen.peer_remote;
        if (whole)
            break;
    }
    return found;
}

static bool accept_selectors(
    struct ike_sa *sa, const struct payload_list *list, const struct child *old, struct deal *deal, struct error *err) {
    struct selector_list tsi, tsr;
    struct notify notify;
    if (!selectors_read(payload_find(list, PAYLOAD_TSI, 0)->body, &tsi, err) ||
        !selectors_read(payload_find(list, PAYLOAD_TSR, 0)->body, &tsr, err))
        return false;
    deal->transport = (old == NULL || old->about.transport) && notify_find(list, NOTIFY_USE_TRANSPORT_MODE, &notify);
    deal->config = choose_config(sa, old, &tsi, &tsr, deal);
    if (deal->config == NULL && deal->transport && old == NULL) { /* a tunnel is what we have: the peer may take it */
        deal->transport = false;
        deal->config = choose_config(sa, old, &tsi, &tsr, deal);
    }
    if (old != NULL && old->about.transport != deal->transport)
        return fail(err, PEER, NOTIFY_TS_UNACCEPTABLE, "the peer rekeys a Child SA in another mode");
    bool taken = deal->config != NULL && old == NULL && sa->selectors_taken != NULL &&
                 sa->selectors_taken(sa->spi_context, sa->config, &sa->remote_id, &deal->remote);
    if (taken)
        return fail(err, PEER, NOTIFY_TS_UNACCEPTABLE,
            "Child SA %s: what the peer wants as its own end belongs to another peer that is up", deal->config->name);
    if (deal->config != NULL)
        return true;
    char a[2][ADDRESS_TEXT_MAX] = {"nothing", "nothing"}, b[2][ADDRESS_TEXT_MAX] = {"", ""};
    if (tsi.count > 0) {
        address_text(&tsi.selector[0].first, a[0]);
        address_text(&tsi.selector[0].last, b[0]);
    }
    if (tsr.count > 0) {
        address_text(&tsr.selector[0].first, a[1]);
        address_text(&tsr.selector[0].last, b[1]);
    }
    return fail(err, PEER, NOTIFY_TS_UNACCEPTABLE,
        "the traffic selectors that the peer wants (its %s-%s, our %s-%s) fit no Child SA that is configured", a[0],
        b[0], a[1], b[1]);
}

bool child_accept(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, const struct child *old,
    bool in_auth, struct deal *deal, struct error *err) {
    struct proposal_list ours, theirs;
    struct span ignored;
    uint16_t guess = KE_NONE;
    const struct payload *ke = payload_find(list, PAYLOAD_KE, 0);
    (void)turn;
    memset(deal, 0, sizeof *deal);
    deal->old = old;
    deal->in_auth = in_auth;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) || !accept_selectors(sa, list, old, deal, err))
        return false;
    if (ke != NULL && !ke_read(ke->body, &guess, &ignored, err))
        return false;
    enum ke_rule rule = in_auth ? KE_ABSENT : deal->config->pfs ? KE_REQUIRED : KE_WELCOME;
    proposals_ours(&sa->config->child_proposals, PROTOCOL_ESP, rule, sa->keys.ke, 0, &ours);
    if (!proposal_choose(&ours, &theirs, in_auth, guess, &deal->chosen, err))
        return fail_context(err, "Child SA %s: ", deal->config->name);
    if (deal->chosen.spi == 0)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer offers an ESP SPI of zero");
    deal->spi_in = child_new_spi(sa);
    deal->spi_out = (uint32_t)deal->chosen.spi;
    aggfrag_accept(list, deal);
    return true;
}

bool child_accept_keys(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct deal *deal,
    uint8_t *nonce, struct key_exchange **ke, struct error *err) {
    const struct payload *payload = payload_find(list, PAYLOAD_KE, 0);
    struct span public_value;
    uint16_t group = KE_NONE;
    *ke = NULL;
    if (!nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &deal->ni, err))
        return false;
    random_fill(&sa->random, nonce, OUR_NONCE_LENGTH);
    deal->nr = span_of(nonce, OUR_NONCE_LENGTH);
    if (deal->chosen.ke == KE_NONE)
        return true;
    if (payload != NULL && !ke_read(payload->body, &group, &public_value, err))
        return false;
    if (group != deal->chosen.ke)
        return group_refuse(turn, group, deal->chosen.ke, err);
    *ke = ke_make(sa, group, err);
    if (*ke == NULL)
        return false;
    deal->secret_length = key_exchange_secret_length(group);
    return key_exchange_shared(*ke, public_value, deal->secret, err);
}

void child_write_response(const struct deal *deal, struct key_exchange *ke, struct message_writer *m) {
    if (deal->transport)
        notify_add(m, NOTIFY_USE_TRANSPORT_MODE, span_of(NULL, 0));
    if (deal->aggfrag)
        aggfrag_add(m);
    chosen_add(m, &deal->chosen, deal->spi_in);
    if (!deal->in_auth)
        payload_add(m, PAYLOAD_NONCE, deal->nr);
    if (ke != NULL)
        ke_add(m, ke);
    add_selectors(m, PAYLOAD_TSI, &deal->remote);
    add_selectors(m, PAYLOAD_TSR, &deal->local);
}
