/* pieces.c: inner packets that came in pieces (RFC 9347 section 2.2.3). Pieces of neighbouring ESP packets are joined into runs,
 * in whatever order they come; a run that has a beginning and an end is a packet. Nothing is held back for the sake of
 * order, so that no clock is needed: what is lost leaves a run behind, which goes when its place is needed. */
#include <stdlib.h>
#include <string.h>

#include "esp/internal.h"

struct run {
    bool used, begins, ends;
    uint64_t first, last; /* ESP packets that it is of */
    size_t length;
    uint8_t octets[INNER_MAX];
};

struct pieces {
    struct run run[PIECES_RUNS];
    unsigned used;
};

struct pieces *pieces_new(void) {
    struct pieces *pieces = malloc(sizeof *pieces); /* not calloc: pages that no piece ever touches are never real */
    if (pieces == NULL)
        return NULL;
    for (size_t i = 0; i < PIECES_RUNS; i++)
        pieces->run[i].used = false;
    pieces->used = 0;
    return pieces;
}

void pieces_free(struct pieces *pieces) {
    free(pieces);
}

static void drop(struct pieces *pieces, struct run *run) {
    if (run == NULL || !run->used)
        return;
    run->used = false;
    pieces->used--;
}

/* The run that waits for what ESP packet `sequence` has in front. */
static struct run *waits_for_front(struct pieces *pieces, uint64_t sequence) {
    for (struct run *run = pieces->run; pieces->used > 0 && run < pieces->run + PIECES_RUNS; run++)
        if (run->used && !run->ends && run->last + 1 == sequence)
            return run;
    return NULL;
}

/* ... for what it has at its end. */
static struct run *waits_for_back(struct pieces *pieces, uint64_t sequence) {
    for (struct run *run = pieces->run; pieces->used > 0 && run < pieces->run + PIECES_RUNS; run++)
        if (run->used && !run->begins && run->first == sequence + 1)
            return run;
    return NULL;
}

void pieces_none_before(struct pieces *pieces, uint64_t sequence) {
    drop(pieces, waits_for_front(pieces, sequence));
}

void pieces_none_behind(struct pieces *pieces, uint64_t sequence) {
    drop(pieces, waits_for_back(pieces, sequence));
}

/* A free one; else the oldest goes, but for no padding. */
static struct run *take(struct pieces *pieces, bool may_push) {
    struct run *oldest = &pieces->run[0];
    for (struct run *run = pieces->run; run < pieces->run + PIECES_RUNS; run++) {
        if (!run->used) {
            oldest = run;
            break;
        }
        if (run->last < oldest->last)
            oldest = run;
    }
    if (oldest->used && !may_push)
        return NULL;
    if (!oldest->used)
        pieces->used++;
    oldest->used = true;
    return oldest;
}

static struct run *begin(struct pieces *pieces, const struct piece *piece) {
    struct run *run = take(pieces, piece->length > 0);
    if (run == NULL)
        return NULL;
    run->begins = piece->begins;
    run->ends = piece->ends;
    run->first = run->last = piece->sequence;
    run->length = piece->length;
    if (piece->length > 0)
        memcpy(run->octets, piece->octets, piece->length);
    return run;
}

static bool append(struct run *run, const uint8_t *octets, size_t length) {
    if (length > INNER_MAX - run->length)
        return false;
    if (length > 0)
        memcpy(run->octets + run->length, octets, length);
    run->length += length;
    return true;
}

static bool prepend(struct run *run, const uint8_t *octets, size_t length) {
    if (length > INNER_MAX - run->length)
        return false;
    memmove(run->octets + length, run->octets, run->length);
    if (length > 0)
        memcpy(run->octets, octets, length);
    run->length += length;
    return true;
}

/* Joins the piece to its neighbours. NULL: there is nothing of it. */
static struct run *join(struct pieces *pieces, const struct piece *piece) {
    struct run *before = piece->begins ? NULL : waits_for_front(pieces, piece->sequence);
    struct run *after = piece->ends ? NULL : waits_for_back(pieces, piece->sequence);
    if (before == NULL && after == NULL)
        return piece->length > INNER_MAX ? NULL : begin(pieces, piece);
    struct run *run = before != NULL ? before : after;
    bool fits = before != NULL ? append(run, piece->octets, piece->length) : prepend(run, piece->octets, piece->length);
    if (before != NULL)
        run->last = piece->sequence;
    else
        run->first = piece->sequence;
    run->begins = run->begins || piece->begins;
    run->ends = run->ends || piece->ends;
    if (before != NULL && after != NULL) {
        fits = fits && append(run, after->octets, after->length);
        run->last = after->last;
        run->ends = after->ends;
        drop(pieces, after);
    }
    if (fits)
        return run;
    drop(pieces, run);
    return NULL;
}

struct span pieces_add(struct pieces *pieces, const struct piece *piece) {
    struct run *run = join(pieces, piece);
    if (run == NULL || !run->begins || !run->ends)
        return span_of(NULL, 0);
    drop(pieces, run);
    return span_of(run->octets, run->length);
}
