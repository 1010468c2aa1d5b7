/* child.c: CREATE_CHILD_SA for a new Child SA, RFC 7296 section 1.3.1. */
#include "ike/internal.h"

static bool new_takes(const struct payload_list *list) {
    return payload_find(list, PAYLOAD_SA, 0) != NULL; /* no rekey: those are asked first */
}

static enum asked new_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    const struct ike_child_config *config = sa->request.task.config;
    if (sa->state != IKE_STATE_ESTABLISHED)
        return NOTHING_TO_ASK;
    struct error why = {0};
    if (!child_has_room(sa, false))
        fail(&why, OURS, NOTIFY_NONE, "Child SA %s: %d are the most of an IKE SA", config->name, IKE_CHILDREN_MAX);
    if (why.origin == ORIGIN_NONE && child_write_request(sa, turn, config, NULL, false, m, &why))
        return ASKED;
    (void)err; /* the IKE SA lives on */
    child_failed(sa, turn, config, &why);
    return NOTHING_TO_ASK;
}

static enum answered new_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct deal deal = {0};
    struct key_exchange *ke = NULL;
    uint8_t nonce[OUR_NONCE_LENGTH];
    bool ok = child_allowed(sa, false, err) && child_accept(sa, turn, list, NULL, false, &deal, err) &&
              child_accept_keys(sa, turn, list, &deal, nonce, &ke, err) && child_install(sa, turn, &deal, NULL, err);
    if (ok)
        child_write_response(&deal, ke, m);
    else if (err->notify == NOTIFY_NO_PROPOSAL_CHOSEN || err->notify == NOTIFY_TS_UNACCEPTABLE)
        child_failed(sa, turn, deal.config, err);
    key_exchange_free(ke);
    wipe(deal.secret, sizeof deal.secret);
    return ok ? ANSWERED : ANSWER_REFUSED;
}

static enum finished new_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    const struct ike_child_config *config = sa->request.task.config;
    struct deal deal = {0};
    if (refusal != NOTIFY_NONE) {
        enum again again = task_again(sa, turn, list, refusal, &sa->config->child_proposals, err);
        if (again == AGAIN_HOPELESS)
            return FINISH_FATAL;
        if (again == AGAIN_NO) {
            child_refused(sa, config, refusal, err);
            child_failed(sa, turn, config, err);
        }
        return FINISHED;
    }
    bool ok = child_read_response(sa, turn, list, false, &deal, err) && child_install(sa, turn, &deal, NULL, err);
    wipe(deal.secret, sizeof deal.secret);
    if (ok)
        return FINISHED;
    child_failed(sa, turn, config, err);
    if (err->notify == NOTIFY_INVALID_SYNTAX) {
        request_farewell(sa, turn, NOTIFY_INVALID_SYNTAX); /* L11 */
        return FINISH_FATAL;
    }
    child_disown(sa, &deal);
    return FINISHED;
}

const struct exchange child_new_exchange = {
    .name = "CREATE_CHILD_SA (new)",
    .type = CREATE_CHILD_SA,
    .states = IN(IKE_STATE_ESTABLISHED),
    .must = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR),
    .may = P(PAYLOAD_KE),
    .must_back = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR),
    .may_back = P(PAYLOAD_KE),
    .takes = new_takes,
    .ask = new_ask,
    .answer = new_answer,
    .finish = new_finish,
};
