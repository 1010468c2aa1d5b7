/* liveness.c: an INFORMATIONAL without DELETE: "are you there?" (RFC 7296 section 2.4), or the peer's last words. */
#include "ike/internal.h"

static enum asked liveness_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    if (sa->state != IKE_STATE_ESTABLISHED && sa->state != IKE_STATE_REKEYED)
        return NOTHING_TO_ASK;
    /* Whether the NAT in front of us still shows us as it did (RFC 4555 section 3.8); else it is empty. */
    bool asks = ike_sa_may_move(sa) && sa->nat_local && !sa->reliable;
    if (!asks || nat_write(sa, turn, sa->spi_r, m))
        return ASKED;
    fail(err, OURS, NOTIFY_NONE, "no memory for NAT detection");
    return CANNOT_ASK;
}

/* Errors that end the IKE SA when they stand in an authentic request, sections 2.21.2 and 2.21.3. */
static uint16_t last_words(const struct payload_list *list) {
    static const uint16_t fatal[] = {NOTIFY_AUTHENTICATION_FAILED, NOTIFY_INVALID_SYNTAX};
    struct notify notify;
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (notify_find(list, fatal[i], &notify))
            return fatal[i];
    return NOTIFY_NONE;
}

static enum answered liveness_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    uint16_t words = last_words(list);
    struct error why;
    if (sa->mobike && nat_asked(list) && !nat_write(sa, turn, sa->spi_r, m)) {
        fail(err, OURS, NOTIFY_TEMPORARY_FAILURE, "no memory for NAT detection");
        return ANSWER_REFUSED;
    }
    if (words == NOTIFY_AUTHENTICATION_FAILED)
        fail(&why, PEER, NOTIFY_NONE,
            "authentication failed: the peer does not accept us (AUTHENTICATION_FAILED): our identity or pre-shared "
            "key is "
            "not what it expects");
    else if (words != NOTIFY_NONE)
        fail(
            &why, PEER, NOTIFY_NONE, "the peer could not read a message of ours and ended the IKE SA (INVALID_SYNTAX)");
    if (words != NOTIFY_NONE)
        sa_close(sa, &why, true, false);
    return ANSWERED;
}

static enum finished liveness_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    (void)turn;
    (void)refusal; /* any answer says that it lives */
    (void)err;
    if (ike_sa_may_move(sa) && sa->state == IKE_STATE_ESTABLISHED && nat_seen(sa, list))
        queue_add(sa, &(struct task){.exchange = &update_exchange}, true);
    return FINISHED;
}

const struct exchange liveness_exchange = {
    .name = "INFORMATIONAL (liveness)",
    .type = INFORMATIONAL,
    .states = IN(IKE_STATE_ESTABLISHED) | IN(IKE_STATE_REKEYED) | IN(IKE_STATE_DELETING),
    .ask = liveness_ask,
    .answer = liveness_answer,
    .finish = liveness_finish,
};
