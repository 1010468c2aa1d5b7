/* no_engine.c: for tests that link the monitor and never start an engine. */
#include <stdlib.h>

#include "daemon/monitor.h"

int engine_main(int fd, const uint8_t *source, size_t length, int log_level) {
    (void)fd;
    (void)source;
    (void)length;
    (void)log_level;
    abort();
}
