/* again.c: CREATE_CHILD_SA that was refused but not for good: another group (RFC 7296 section 1.3), or TEMPORARY_FAILURE
 * (section 2.25), which must not be answered by asking again at once, nor for ever. */
#include "ike/internal.h"

#define WAIT_LEAST (2 * SECOND)
#define WAIT_SPREAD (4 * SECOND)

static enum again another_group(
    struct ike_sa *sa, const struct payload_list *list, const struct proposal_list *offered) {
    struct task task = sa->request.task;
    struct notify notify;
    uint16_t group;
    if (!notify_find(list, NOTIFY_INVALID_KE_PAYLOAD, &notify))
        return AGAIN_NO;
    struct reader r = reader_over(notify.data.at, notify.data.length);
    bool sent = reader_u16(&r, &group) && sa->request.ke != NULL && key_exchange_group(sa->request.ke) == group;
    if (r.left != 0 || notify.data.length != 2 || sent || !proposals_have_ke(offered, group) ||
        ++task.ke_retries > KE_RETRIES_MAX)
        return AGAIN_NO;
    task.group = group;
    task.not_before = 0;
    queue_add(sa, &task, true);
    return AGAIN_QUEUED;
}

enum again task_again(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal,
    const struct proposal_list *offered, struct error *err) {
    struct task task = sa->request.task;
    if (refusal == NOTIFY_INVALID_KE_PAYLOAD)
        return another_group(sa, list, offered);
    if (refusal != NOTIFY_TEMPORARY_FAILURE)
        return AGAIN_NO;
    if (task.patience_ends == 0)
        task.patience_ends = turn->now + TEMPORARY_PATIENCE;
    if (turn->now >= task.patience_ends) {
        fail(err, PEER, NOTIFY_NONE, "the peer says TEMPORARY_FAILURE for %llu s; the two sides disagree",
            (unsigned long long)(TEMPORARY_PATIENCE / SECOND));
        return AGAIN_HOPELESS;
    }
    task.not_before = turn->now + WAIT_LEAST + sa_random_below(sa, WAIT_SPREAD);
    queue_add(sa, &task, false);
    return AGAIN_QUEUED;
}
