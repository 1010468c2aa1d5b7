/* framing.c: any octets, whole and one at a time, must give the same messages (S9), none of them outside the input. The
 * first octet chooses the side. */
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 4096

struct message {
    size_t at, length;
    enum payload_kind kind;
};

struct cut {
    struct message message[MESSAGES_MAX];
    size_t count;
    bool corrupt;
};

static void run(bool expect_prefix, const uint8_t *octets, size_t length, size_t step, struct cut *out) {
    struct framer framer = framer_start(expect_prefix);
    size_t done = 0, come = 0;
    out->count = 0;
    out->corrupt = false;
    while (come < length && !out->corrupt) {
        come = step > length - come ? length : come + step;
        struct span payload, message;
        enum framer_verdict verdict;
        while ((verdict = framer_next(&framer, octets + done, come - done, &done, &payload)) == FRAMER_MESSAGE) {
            if (done > come || payload.at < octets || payload.at + payload.length != octets + done)
                abort();
            enum payload_kind kind = payload_classify(payload, &message);
            if (message.at < payload.at || message.at + message.length != payload.at + payload.length)
                abort();
            if (out->count < MESSAGES_MAX)
                out->message[out->count++] =
                    (struct message){.at = (size_t)(payload.at - octets), .length = payload.length, .kind = kind};
        }
        out->corrupt = verdict == FRAMER_CORRUPT;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct cut whole, single, steps;
    if (size < 2)
        return 0;
    bool prefix = (data[0] & 1) != 0;
    run(prefix, data + 1, size - 1, size, &whole);
    run(prefix, data + 1, size - 1, 1, &single);
    run(prefix, data + 1, size - 1, 1 + (data[0] >> 1), &steps);
    if (whole.count != single.count || whole.count != steps.count || whole.corrupt != single.corrupt ||
        whole.corrupt != steps.corrupt)
        abort();
    for (size_t i = 0; i < whole.count; i++) {
        const struct message *a = &whole.message[i], *b = &single.message[i], *c = &steps.message[i];
        if (a->at != b->at || a->length != b->length || a->kind != b->kind || a->at != c->at || a->length != c->length)
            abort();
    }
    return 0;
}
