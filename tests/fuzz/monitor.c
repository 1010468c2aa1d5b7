/* monitor.c: requests to the monitor, its answers and notices: what a reader takes is what a writer writes, octet for octet, and
 * what an engine that is somebody else's may ask for stays within its lists. The first octet chooses. */
#include "daemon/monitor_wire.h"

#include <stdlib.h>
#include <string.h>

static uint8_t again[MONITOR_RECORD_MAX];
static char text[MONITOR_RECORD_MAX];

static void request(struct span record) {
    static struct monitor_request q;
    struct error err;
    if (!monitor_request_read(record, &q, &err))
        return;
    if (q.routes.remotes > HOST_PREFIXES_MAX || q.routes.locals > HOST_PREFIXES_MAX ||
        memchr(q.name, '\0', sizeof q.name) == NULL || strchr(q.name, '/') != NULL ||
        memchr(q.connection, '\0', sizeof q.connection) == NULL)
        abort();
    struct writer w = writer_over(again, sizeof again);
    monitor_request_write(&w, &q);
    if (!writer_ok(&w) || w.length != record.length || memcmp(again, record.at, record.length) != 0)
        abort();
}

static void answer(struct span record) {
    struct monitor_answer a;
    enum monitor_request_kind kind;
    uint32_t serial;
    if (!monitor_answer_read(record, &kind, &serial, &a, text))
        return;
    if (memchr(a.name, '\0', sizeof a.name) == NULL || memchr(a.error.text, '\0', sizeof a.error.text) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum monitor_notice notice;
    if (size < 1)
        return 0;
    struct span record = span_of(data + 1, size - 1);
    if (data[0] % 2 == 0)
        request(record);
    else if (!monitor_notice_read(record, &notice))
        answer(record);
    return 0;
}
