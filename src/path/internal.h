/* internal.h: what the files of path/ share. */
#ifndef IKETCP_PATH_INTERNAL_H
#define IKETCP_PATH_INTERNAL_H

#include "path/path.h"

#define PATH_PATIENCE_DOUBLINGS 5u

struct path_step path_wait(void);
struct path_step path_step_to(const struct path *, enum path_verb);
/* first, first + every, ... with a quarter of jitter each way. */
uint64_t path_jitter(const struct path *, uint64_t ms);
uint64_t path_later(uint64_t now, uint64_t ms); /* never past NEVER */

/* path.c */
struct path_step path_try_this(struct path *, uint64_t now, const struct error *why);
void path_set_deadline(struct path *, uint64_t now);

/* order.c: which transport and target comes next; false: the round is over. */
uint16_t path_port(const struct path *); /* of the peer, over the present transport */
void path_order_first(struct path *, uint64_t now);
/* For a move: UDP first, or last if it died. True: what is remembered of this network says that UDP does not pass. */
bool path_order_move(struct path *, uint64_t now, bool udp_died);
bool path_order_next(struct path *);
void path_remember(struct path *, uint64_t now); /* what it runs over works on this network (C4) */
bool path_order_has_next(const struct path *);
enum transport path_order_next_transport(const struct path *); /* NONE: nothing is left */

/* race.c */
bool path_races(const struct path *);
uint32_t path_way(size_t nth, size_t target); /* its bit */
bool path_race_is_lost(const struct path *); /* all others have failed, streams among them */
uint64_t path_beside_at(const struct path *); /* NEVER: nothing is left, or it is not its time */

/* reconnect.c */
struct path_step path_reconnect_now(struct path *, uint64_t now);
struct path_step path_reconnect_failed(struct path *, uint64_t now, const struct error *why);
struct path_step path_reconnect_wake(struct path *, uint64_t now);
struct path_step path_back_off(struct path *, uint64_t now);

/* move.c */
void path_move_sent(struct path *, uint64_t now);
struct path_step path_move_failed(struct path *, uint64_t now, const struct error *why);
struct path_step path_move_wake(struct path *, uint64_t now);

/* words.c: "1.5 s", "UDP 192.0.2.1:500" and the sentences made of them. */
#define PATH_WORDS_MAX 128
const char *path_seconds_text(uint64_t ms, char *out);
const char *path_where_text(const struct path *, char *out);
void path_say_end(const struct path *, uint64_t now, struct error *);

#endif
