/* resume.c: the tickets of session resumption (RFC 5723): one a connection as Initiator, for when its IKE SA is lost, and
 * the jar of those that we gave. */
#include "peer/internal.h"

#include <stdlib.h>

void resume_forget(struct conn *conn) {
    if (conn->ticket)
        wipe(conn->ticket, sizeof *conn->ticket);
    free(conn->ticket);
    conn->ticket = NULL;
    conn->ticket_of = 0;
}

void resume_over(struct peer *peer) {
    if (peer->conn->ticket_of == peer->id)
        resume_forget(peer->conn);
}

void resume_keep(struct peer *peer, const struct ike_sa *ike) {
    struct conn *conn = peer->conn;
    if (!peer->initiator)
        return;
    resume_forget(conn); /* it is used up, or of an older IKE SA */
    struct ike_ticket *ticket = malloc(sizeof *ticket);
    if (!ticket || !ike_sa_ticket(ike, ticket)) {
        free(ticket);
        return;
    }
    conn->ticket = ticket;
    conn->ticket_of = peer->id;
}

/* Another gateway, to which we were redirected, has another key. Silence may be a gateway's that has unlearned what a ticket
 * is: each eighth attempt does without. */
const struct ike_ticket *resume_ticket(const struct peers *peers, const struct peer *peer) {
    const struct conn *conn = peer->conn;
    bool usable = conn->ticket && conn->config.ike.session_resumption && !peer->redirect.to[0] && peer->tries % 8 != 7;
    return usable && peers->now < conn->ticket->until ? conn->ticket : NULL;
}

/* Implementations differ in what AUTH of a resumed session covers: whatever does not work with the ticket is tried without. */
bool resume_refused(struct peers *peers, struct peer *peer, const struct error *why) {
    if (!peer->initiator || !resume_ticket(peers, peer))
        return false;
    resume_forget(peer->conn);
    action_say(peers, peer, STEP_RETRY, "the session is not resumed: %.200s; IKE_SA_INIT again", why->text);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    path_init(peer->path, &peer->conn->config.path, &peer->conn->memory, peers->network, peers->random);
    initiate_attempt(peers, peer);
    return true;
}

/* Who may come, and with which key, may be different now; who is up stays, and who is not proves itself again. */
void resume_configure(struct peers *peers) {
    bool wanted = false;
    for (const struct conn *conn = peers->conns; conn; conn = conn->next)
        wanted |= conn->config.ike.session_resumption;
    if (peers->tickets)
        ike_ticket_jar_forget(peers->tickets);
    else if (wanted)
        peers->tickets = ike_ticket_jar_new(&peers->random);
}
