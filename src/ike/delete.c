/* delete.c: INFORMATIONAL with DELETE for the IKE SA or for Child SAs, RFC 7296 sections 1.4.1 and 2.25. */
#include "ike/internal.h"

static bool delete_takes(const struct payload_list *list) {
    return payload_find(list, PAYLOAD_DELETE, 0) != NULL;
}

static void delete_add(struct message_writer *m, const struct delete_payload *what) {
    payload_begin(m, PAYLOAD_DELETE);
    delete_write(m->out, what);
    payload_end(m);
}

static enum asked delete_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    uint32_t spi_in = sa->request.task.spi_in;
    (void)turn;
    (void)err;
    if (spi_in == 0) {
        delete_add(m, &(struct delete_payload){.protocol = PROTOCOL_IKE});
        return ASKED;
    }
    struct child *child = child_by_spi_in(sa, spi_in);
    if (sa->state != IKE_STATE_ESTABLISHED || child == NULL)
        return NOTHING_TO_ASK;
    child->state = CHILD_DELETING;
    delete_add(m, &(struct delete_payload){.protocol = PROTOCOL_ESP, .esp_spi = {spi_in}, .count = 1});
    return ASKED;
}

/* --- answering --- */

/* Names our SPI in the response, but not when our own DELETE for it is on its way (section 1.4.1). */
static void take_child(struct ike_sa *sa, uint32_t spi_out, struct delete_payload *back) {
    struct child *child = child_by_spi_out(sa, spi_out);
    if (child == NULL)
        return;
    bool crossing =
        child->state == CHILD_DELETING && sa->request.active && sa->request.task.spi_in == child->about.spi_in;
    if (!crossing && back->count < sizeof back->esp_spi / sizeof back->esp_spi[0])
        back->esp_spi[back->count++] = child->about.spi_in;
    if (child->redundant)
        queue_hurry(sa, &delete_exchange); /* the loser is gone: now the old one, at once */
    child_down(child, true, false);
}

/* The whole IKE SA goes. A rekey that the peer had begun as well, and finished, makes its IKE SA the successor; ours is
 * forgotten (section 2.8.2). */
static void take_ike(struct ike_sa *sa, struct turn *turn) {
    bool asked = sa->state == IKE_STATE_DELETING;
    if (sa->tickets != NULL && sa->state != IKE_STATE_REKEYED) /* who says goodbye is not to be resumed */
        (void)ticket_spend(sa->tickets, sa->ticket_serial);
    if (request_is(sa, &ike_rekey_exchange) && sa->request.rival.sa != NULL)
        ike_rekey_lost(sa, turn);
    sa_close(sa, NULL, !asked, false);
}

static enum answered delete_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct delete_payload back = {.protocol = PROTOCOL_ESP}, what;
    const struct payload *payload;
    bool ike = false;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_DELETE, n)) != NULL; n++)
        if (!delete_read(payload->body, &what, err))
            return ANSWER_REFUSED;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_DELETE, n)) != NULL; n++) {
        if (!delete_read(payload->body, &what, err))
            return ANSWER_REFUSED;
        ike = ike || what.protocol == PROTOCOL_IKE;
        for (size_t i = 0; what.protocol == PROTOCOL_ESP && i < what.count; i++)
            take_child(sa, what.esp_spi[i], &back);
    }
    if (ike)
        take_ike(sa, turn);
    else if (back.count > 0)
        delete_add(m, &back);
    return ANSWERED;
}

static enum finished delete_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    uint32_t spi_in = sa->request.task.spi_in;
    (void)turn;
    (void)list;
    (void)refusal; /* whatever the peer says: it is gone */
    (void)err;
    if (spi_in == 0) {
        if (sa->tickets != NULL && sa->state != IKE_STATE_REKEYED)
            (void)ticket_spend(sa->tickets, sa->ticket_serial);
        sa_close(sa, NULL, false, false);
        return FINISHED;
    }
    struct child *child = child_by_spi_in(sa, spi_in);
    if (child != NULL)
        child_down(child, false, false);
    return FINISHED;
}

const struct exchange delete_exchange = {
    .name = "INFORMATIONAL (delete)",
    .type = INFORMATIONAL,
    .states = IN(IKE_STATE_ESTABLISHED) | IN(IKE_STATE_REKEYED) | IN(IKE_STATE_DELETING),
    .must = P(PAYLOAD_DELETE),
    .may_back = P(PAYLOAD_DELETE),
    .takes = delete_takes,
    .ask = delete_ask,
    .answer = delete_answer,
    .finish = delete_finish,
};
