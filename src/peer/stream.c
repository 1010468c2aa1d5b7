/* stream.c: the life of each stream: whose it is, whether anything valid came over it, when it is closed. Closing one
 * never ends an SA (L3); only what it carried itself can close it (L10). */
#include "peer/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct stream *stream_find(const struct peers *peers, const struct carrier *carrier) {
    return table_get(&peers->by_stream, carrier->stream);
}

/* Unproven streams are counted per source beside half-open SAs, under another number. */
static uint64_t stream_source(const struct peers *peers, const struct address *remote) {
    return ~source_key(peers, remote);
}

static void uncount(struct peers *peers, struct stream *stream) {
    if (!stream->source)
        return;
    peers->unproven_streams--;
    uintptr_t count = (uintptr_t)table_get(&peers->sources, stream->source);
    if (count <= 1)
        table_remove(&peers->sources, stream->source);
    else if (!table_put(&peers->sources, stream->source, (void *)(count - 1)))
        return; /* replacing needs no memory */
    stream->source = 0;
}

static bool count_unproven(struct peers *peers, struct stream *stream) {
    uint64_t source = stream_source(peers, &stream->carrier.remote);
    uintptr_t count = (uintptr_t)table_get(&peers->sources, source);
    if (peers->unproven_streams >= peers->limits.half_open_max || count >= peers->limits.half_open_per_source ||
        !table_put(&peers->sources, source, (void *)(count + 1)))
        return false;
    stream->source = source;
    peers->unproven_streams++;
    return true;
}

struct stream *stream_add(struct peers *peers, const struct carrier *carrier, bool ours, struct peer *owner) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream || table_get(&peers->by_stream, carrier->stream)) {
        free(stream);
        return NULL;
    }
    stream->carrier = *carrier;
    stream->ours = ours;
    stream->valid = ours;
    stream->timer = (struct timer){.at = NEVER, .of_stream = true, .owner = stream};
    if (!ours && !count_unproven(peers, stream)) {
        free(stream);
        return NULL;
    }
    if (!table_put(&peers->by_stream, carrier->stream, stream)) {
        uncount(peers, stream);
        free(stream);
        return NULL;
    }
    stream_own(stream, owner);
    stream->next = peers->stream_list;
    if (stream->next)
        stream->next->previous = stream;
    peers->stream_list = stream;
    peers->stream_count++;
    return stream;
}

void stream_forget(struct peers *peers, struct stream *stream) {
    uncount(peers, stream);
    (void)timer_set(&peers->timers, &stream->timer, NEVER);
    table_remove(&peers->by_stream, stream->carrier.stream);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        peers->stream_list = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    peers->stream_count--;
    stream_own(stream, NULL);
    stream->next = peers->dead_streams;
    peers->dead_streams = stream;
}

void stream_own(struct stream *stream, struct peer *owner) {
    if (stream->owner == owner)
        return;
    if (stream->owner) {
        struct stream **at = &stream->owner->streams;
        while (*at && *at != stream)
            at = &(*at)->owner_next;
        if (*at)
            *at = stream->owner_next;
    }
    stream->owner = owner;
    stream->owner_next = owner ? owner->streams : NULL;
    if (owner)
        owner->streams = stream;
}

static bool forgotten(const struct peers *peers, const struct stream *stream) {
    return table_get(&peers->by_stream, stream->carrier.stream) != stream;
}

void stream_proved(struct peers *peers, struct stream *stream, struct peer *owner) {
    if (forgotten(peers, stream))
        return;
    stream_own(stream, owner);
    if (owner->half_open) /* whoever can do a key exchange: it stays counted, and its time runs (L12) */
        return;
    uncount(peers, stream);
    stream->valid = true;
    stream->valid_at = peers->now;
    (void)timer_set(&peers->timers, &stream->timer, NEVER);
}

static void carrier_or_trial_gone(struct peers *peers, struct peer *owner, uint32_t number, const struct error *why) {
    if (owner && owner->carrier.stream == number)
        carrier_gone(peers, owner, why);
    else if (owner && owner->roam.trial.stream == number)
        roam_lost(peers, owner, why);
}

void stream_close(struct peers *peers, struct stream *stream, const char *why) {
    if (forgotten(peers, stream))
        return;
    struct peer *owner = stream->owner;
    struct carrier carrier = stream->carrier;
    struct error err;
    (void)fail(&err, PEER, 0, "the connection was closed: %s", why);
    action_add(peers, PEER_CLOSE, owner)->carrier = carrier;
    stream_forget(peers, stream);
    carrier_or_trial_gone(peers, owner, carrier.stream, &err);
}

bool stream_strike(struct peers *peers, struct stream *stream, const char *why) {
    if (forgotten(peers, stream))
        return true;
    if (++stream->strikes <= peers->limits.corrupt_tolerance)
        return false;
    stream_close(peers, stream, why);
    return true;
}

/* L9: the Originator closes, the Responder waits a few seconds for that, or for a new IKE_SA_INIT. */
void streams_release(struct peers *peers, struct peer *peer) {
    while (peer->streams) {
        struct stream *stream = peer->streams;
        stream_own(stream, NULL);
        if (stream->ours || peers->shutting_down) {
            action_add(peers, PEER_CLOSE, peer)->carrier = stream->carrier;
            stream_forget(peers, stream);
        } else if (!stream->source && !count_unproven(peers, stream)) {
            action_add(peers, PEER_CLOSE, peer)->carrier = stream->carrier;
            stream_forget(peers, stream);
        } else {
            stream->valid = false;
            (void)timer_set(&peers->timers, &stream->timer, peers->now + peers->limits.orphan_stream_ms);
        }
    }
    peer->carrier = peer->roam.trial = (struct carrier){0};
    peer->roam.probing = peer->roam.proving = false;
}

/* L6: the older ones stay readable; one that was superseded and stays idle is closed in the end, and there is never more
 * than one of them. */
void streams_superseded(struct peers *peers, struct peer *peer, const struct stream *by) {
    struct stream *newest = NULL;
    for (struct stream *stream = peer->streams, *next; stream; stream = next) {
        next = stream->owner_next;
        if (stream == by)
            continue;
        struct stream *old = !newest || newest->valid_at < stream->valid_at ? newest : stream;
        if (old != stream)
            newest = stream;
        if (old) {
            action_add(peers, PEER_CLOSE, peer)->carrier = old->carrier;
            stream_forget(peers, old);
        }
    }
    if (newest)
        (void)timer_set(&peers->timers, &newest->timer, peers->now + peers->limits.silent_stream_ms);
}

void stream_wake(struct peers *peers, struct stream *stream) {
    (void)timer_set(&peers->timers, &stream->timer, NEVER);
    if (stream->owner && stream->valid && stream->owner->carrier.stream == stream->carrier.stream)
        return; /* current again meanwhile */
    stream_close(peers, stream, stream->valid ? "another one took its place" : "nothing valid came over it in time");
}

struct peer_output peers_accepted(struct peers *peers, uint64_t now, const struct carrier *carrier) {
    peers_begin(peers, now);
    struct stream *stream = peers->shutting_down ? NULL : stream_add(peers, carrier, false, NULL);
    if (!stream) {
        action_add(peers, PEER_CLOSE, NULL)->carrier = *carrier;
        return peers_finish(peers);
    }
    (void)timer_set(&peers->timers, &stream->timer, now + peers->limits.silent_stream_ms);
    return peers_finish(peers);
}

struct peer_output peers_stream_lost(struct peers *peers, uint64_t now, uint32_t number, const struct error *why) {
    peers_begin(peers, now);
    struct stream *stream = table_get(&peers->by_stream, number);
    if (!stream)
        return peers_finish(peers);
    struct peer *owner = stream->owner;
    stream_forget(peers, stream);
    struct error err;
    if (why && why->origin != ORIGIN_NONE)
        err = *why;
    else
        (void)fail(&err, PEER, 0, "the other side closed the connection");
    carrier_or_trial_gone(peers, owner, number, &err);
    return peers_finish(peers);
}
