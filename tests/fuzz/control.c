/* control.c: what people (or what says it is one) write to the control socket: every whole line has an answer that is JSON, the
 * engine goes on. The monitor is a socket that never answers. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct engine engine;
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static int monitor[2];

static void begin(void) {
    struct peers_limits limits;
    struct error error = {0};
    engine = (struct engine){.connections = 1};
    peers_limits_defaults(&limits);
    bool ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, monitor) == 0;
    engine.base = event_base_new();
    engine.monitor = monitor_client_new(engine.base, monitor[0], &error);
    engine.peers = peers_new(&limits, 0, random_system(), engine_now());
    engine.connection = calloc(1, sizeof *engine.connection);
    if (!ok || !engine.monitor || !engine.peers || !engine.connection || !deadline_open(&engine))
        abort();
    memcpy(engine.connection->name, "tunnel", 7);
    engine.connection->ike.name = engine.connection->name;
    path_config_defaults(&engine.connection->path);
    engine_apply(&engine, peers_configure(engine.peers, engine_now(), engine.connection, 1));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sun_path[0] = '\0'; /* abstract: nothing stays behind */
    snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "iketcp-fuzz-%d", (int)getpid());
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0 ||
        !control_open(&engine, fd, &error))
        abort();
}

static void turn(void) {
    static uint8_t record[MONITOR_RECORD_MAX];
    for (int i = 0; i < 4; i++)
        event_base_loop(engine.base, EVLOOP_NONBLOCK);
    while (recv(monitor[1], record, sizeof record, MSG_DONTWAIT) > 0)
        ;
}

/* All lines of answers are objects. */
static void check(char *answers) {
    json_error_t where;
    char *rest = NULL;
    for (char *line = strtok_r(answers, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, &where);
        if (!json_is_object(object))
            abort();
        json_decref(object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answers[1 << 18];
    size_t length = 0;
    if (!engine.base)
        begin();
    engine.stopping = engine.settled = false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) != 0)
        abort();
    turn();
    if (send(fd, data, size, MSG_NOSIGNAL) < 0) {}
    for (int i = 0; i < 8; i++) {
        turn();
        ssize_t got = recv(fd, answers + length, sizeof answers - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    turn();
    if (length > 0 && answers[length - 1] == '\n') {
        answers[length] = '\0';
        check(answers);
    }
    return 0;
}
