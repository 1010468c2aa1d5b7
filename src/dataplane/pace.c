/* pace.c: see pace.h. The queue that is aimed at is not empty, or the line would be: some milliseconds stand, which is what
 * tells a full line from one that could take more. */
#include "dataplane/pace.h"

#define QUEUE_US 3000u /* what may stand in the network, and an eighth of the shortest round trip */
#define NOTSENT_PER 500u /* of a second's octets may wait unsent: 2 ms */
#define QUANTUM_PER 1000u
#define NOTSENT_MIN ((size_t)8192)
#define QUANTUM_MIN ((size_t)3000)
#define FAST 250000000u /* octets a second: what is so fast has no queue but in the hosts */
#define BETTER 4u
#define WORSE 16u
#define STEPS 16u /* so many of them double it, about */
#define STALE_US 100000u
#define OTHERS_US 600000u /* our own queue would be gone by then */
#define YIELD_US 5000000u

static size_t between(uint64_t value, size_t least, size_t most) {
    return value < least ? least : value > most ? most : (size_t)value;
}

void pace_init(struct pace *pace) {
    *pace = (struct pace){.notsent = PACE_NOTSENT_MAX, .quantum = PACE_QUANTUM_MAX};
}

/* What arrives tells how much can only while more than that stands in the network and more waits: a round trip that was made long
 * by a busy host, or by an ACK that was put off, says nothing of a line that a ping had for itself. (The kernel's
 * delivery_rate is no help: it is the best of very short whiles.) */
static void smooth(struct pace *pace, const struct pace_sample *sample, uint64_t queue, uint64_t aim) {
    struct pace_sample last = pace->last;
    bool stood = pace->stood, stands = queue > aim / 2 && sample->waits;
    uint64_t passed = sample->now - last.now;
    pace->last = *sample;
    pace->stood = stands;
    if (!stood || !stands || passed == 0 || passed > STALE_US + sample->rtt)
        return;
    uint64_t rate = (uint64_t)(sample->delivered - last.delivered) * sample->segment * 1000000 / passed;
    unsigned worse = queue > 2 * aim ? BETTER : WORSE; /* a queue so long is never empty for a moment */
    if (rate > pace->arrives) /* sooner: a host that was busy elsewhere for a while says nothing of the line */
        pace->arrives += pace->arrives == 0 ? rate : (rate - pace->arrives) / BETTER;
    else
        pace->arrives -= (pace->arrives - rate) / worse;
}

/* Others' queue does not shrink when we hold back: then we take our share as everybody does. */
static bool is_others(struct pace *pace, const struct pace_sample *sample, uint64_t queue, uint64_t aim) {
    uint64_t now = sample->now;
    if (now < pace->yields_until)
        return true;
    if (pace->rate == 0 || queue < 2 * aim) {
        pace->long_since = 0;
        return false;
    }
    if (pace->long_since == 0)
        pace->long_since = now;
    if (now - pace->long_since < OTHERS_US + 4 * sample->rtt)
        return false;
    pace->long_since = 0;
    pace->yields_until = now + YIELD_US;
    return true;
}

/* With more than is aimed at, what arrives is all that can, and less must go: down to three quarters of it. With less,
 * a little more may: whether the line or something else held it up is seen by the queue that comes of it. */
static uint64_t next_rate(const struct pace *pace, uint64_t queue, uint64_t aim) {
    if (queue <= aim) {
        uint64_t more = pace->rate + pace->rate * (aim - queue) / aim / STEPS;
        uint64_t least = pace->rate == 0 ? 0 : pace->arrives + pace->arrives * (aim - queue) / aim / 4;
        more = more > least ? more : least;
        return more < FAST ? more : 0;
    }
    if (pace->arrives == 0 || pace->arrives >= FAST)
        return 0;
    uint64_t excess = queue < 2 * aim ? queue - aim : aim;
    return pace->arrives - pace->arrives * excess / aim / 4;
}

void pace_update(struct pace *pace, const struct pace_sample *sample) {
    uint64_t queue = sample->rtt > sample->rtt_min ? sample->rtt - sample->rtt_min : 0;
    uint64_t aim = QUEUE_US + sample->rtt_min / 8;
    smooth(pace, sample, queue, aim);
    bool others = is_others(pace, sample, queue, aim);
    pace->rate = others ? 0 : next_rate(pace, queue, aim);
    uint64_t speed = pace->rate != 0 ? pace->rate : others ? pace->arrives : UINT64_MAX;
    pace->notsent = between(speed / NOTSENT_PER, NOTSENT_MIN, PACE_NOTSENT_MAX);
    pace->quantum = between(speed / QUANTUM_PER, QUANTUM_MIN, PACE_QUANTUM_MAX);
}
