/* stranger.c: a young stream's first octets: what is judged of them is judged once they are enough, whatever comes behind,
 * and they are never judged before. */
#include "transport/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t worker = 0, before = 0;
    enum first_verdict verdict = FIRST_MORE;
    for (size_t length = 1; length <= size; length++) {
        enum first_verdict now = first_message(data, length, &worker);
        if (verdict != FIRST_MORE && (now != verdict || (now == FIRST_NAMED && worker != before)))
            abort();
        verdict = now;
        before = worker;
    }
    return 0;
}
