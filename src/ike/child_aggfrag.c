/* child_aggfrag.c: the notification USE_AGGFRAG (RFC 9347 sections 5.1 and 6.1.4): many inner packets in one ESP packet, if both
 * sides can and no flag asks for what we can't. */
#include "ike/internal.h"

#define WHOLE_ONLY \
    0x01u /* D: the sender puts no pieces together. C, 0x02, asks for reports of loss, which we do not make */

void aggfrag_add(struct message_writer *m) {
    const uint8_t flags = 0;
    notify_add(m, NOTIFY_USE_AGGFRAG, span_of(&flags, sizeof flags));
}

/* False: there is none. *meets: and we can do what its flags ask. */
static bool find(const struct payload_list *list, struct deal *deal, bool *meets) {
    struct notify notify;
    if (!notify_find(list, NOTIFY_USE_AGGFRAG, &notify))
        return false;
    *meets = notify.data.length == 1 && (notify.data.at[0] & ~WHOLE_ONLY) == 0;
    deal->aggfrag_whole_only = *meets && (notify.data.at[0] & WHOLE_ONLY) != 0;
    return true;
}

bool aggfrag_confirm(const struct payload_list *list, struct deal *deal, struct error *err) {
    bool meets = false, asked = deal->config->aggfrag && !deal->transport;
    if (!find(list, deal, &meets))
        return true;
    if (!asked)
        return fail(err, PEER, NOTIFY_NONE,
            "Child SA %s: the peer answers with USE_AGGFRAG, which it was not asked for", deal->config->name);
    if (!meets)
        return fail(err, PEER, NOTIFY_NONE,
            "Child SA %s: the peer wants of AGGFRAG what we don't do (congestion control, or a flag of later days); "
            "without it there or with aggfrag=no here it will work",
            deal->config->name);
    deal->aggfrag = true;
    return true;
}

void aggfrag_accept(const struct payload_list *list, struct deal *deal) {
    bool meets = false;
    deal->aggfrag = deal->config->aggfrag && !deal->transport && find(list, deal, &meets) && meets;
}
