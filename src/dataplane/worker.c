/* worker.c: a worker's life: its thread and event loop, and the control thread's side of the two rings. */
#include "dataplane/internal.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

bool allowance_take(struct allowance *allowance, uint64_t now) {
    uint64_t passed = now - allowance->filled;
    if (passed >= 1000) {
        allowance->left = allowance->per_second;
        allowance->filled = now;
    }
    if (allowance->left == 0)
        return false;
    allowance->left--;
    return true;
}

/* Looked at last: what told of it may have been read just now. */
static void end_if_wanted(struct worker *worker) {
    if (atomic_load(&worker->stop))
        event_base_loopbreak(worker->base);
}

static void on_command(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct worker *worker = context;
    commands_run(worker);
    end_if_wanted(worker);
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct worker *worker = context;
    links_retry(worker);
    udp_retry(worker);
    commands_run(worker);
    end_if_wanted(worker); /* while a command waits for room nobody is told of others */
}

static void on_ending(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    links_end(context);
}

static void on_serve(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    outbound_serve(context);
}

void worker_retry_soon(struct worker *worker) {
    struct timeval after = {.tv_usec = RETRY_MS * 1000};
    if (!evtimer_pending(worker->on_retry, NULL))
        evtimer_add(worker->on_retry, &after);
}

static void *run(void *context) {
    struct worker *worker = context;
    tun_set(worker, 0, worker->options.tun_fd, worker->options.tun_mtu, worker->options.tun_offload);
    while (!atomic_load(&worker->stop) && event_base_loop(worker->base, EVLOOP_NO_EXIT_ON_EMPTY) == 0)
        ;
    return NULL;
}

/* Commands are looked at before traffic: IKE does not wait behind a burst. */
static bool make_loop(struct worker *worker) {
    struct event_config *config = event_config_new();
    if (config == NULL)
        return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread; others write to eventfds */
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    if (worker->base == NULL || event_base_priority_init(worker->base, 2) < 0)
        return false;
    worker->on_command = event_new(worker->base, worker->commands.wake, EV_READ | EV_PERSIST, on_command, worker);
    worker->on_retry = evtimer_new(worker->base, on_retry, worker);
    worker->on_ending = evtimer_new(worker->base, on_ending, worker);
    worker->on_serve = evtimer_new(worker->base, on_serve, worker);
    return worker->on_command != NULL && worker->on_retry != NULL && worker->on_ending != NULL &&
           worker->on_serve != NULL && event_priority_set(worker->on_command, 0) == 0 &&
           event_add(worker->on_command, NULL) == 0;
}

static void drain(struct worker *worker) {
    struct worker_command command;
    struct worker_report report;
    if (worker->command_waits)
        command_discard(&worker->command);
    while (worker->commands.slots != NULL && ring_pop(&worker->commands, &command))
        command_discard(&command);
    while (worker->reports.slots != NULL && ring_pop(&worker->reports, &report))
        report_discard(&report);
}

static void destroy(struct worker *worker) {
    if (worker->base != NULL) {
        links_free(worker);
        udp_clear(worker);
        tuns_free(worker);
    }
    drain(worker);
    if (worker->on_command != NULL)
        event_free(worker->on_command);
    if (worker->on_retry != NULL)
        event_free(worker->on_retry);
    if (worker->on_ending != NULL)
        event_free(worker->on_ending);
    if (worker->on_serve != NULL)
        event_free(worker->on_serve);
    if (worker->base != NULL)
        event_base_free(worker->base);
    if (worker->traffic != NULL)
        traffic_free(worker->traffic);
    queue_free(worker->queue);
    icmp_demand_set(worker, NULL, 0);
    hold_clear(worker);
    ring_close(&worker->commands);
    ring_close(&worker->reports);
    free(worker);
}

static bool start_thread(struct worker *worker) {
    sigset_t all, before; /* signals are the control thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct worker *worker_new(const struct worker_options *options, struct error *err) {
    struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) / 64 * 64);
    if (worker == NULL) {
        fail(err, OURS, 0, "memory is short: no worker");
        return NULL;
    }
    memset(worker, 0, sizeof *worker);
    worker->options = *options;
    LIST_INIT(&worker->tuns);
    worker->icmp.per_second = 100;
    worker->ondemand.per_second = 20;
    LIST_INIT(&worker->gone);
    LIST_INIT(&worker->ending);
    LIST_INIT(&worker->held_links);
    LIST_INIT(&worker->retried_links);
    for (size_t i = 0; i < LINK_BUCKETS; i++)
        LIST_INIT(&worker->bucket[i]);
    TAILQ_INIT(&worker->ready);
    outlet_init(&worker->udp_outlet, NULL, 0);
    uint64_t seed = 0;
    ssize_t random = getrandom(&seed, sizeof seed, 0); /* none: whoever guesses it makes flows share their turns */
    (void)random;
    worker->queue = queue_new(seed);
    worker->traffic = traffic_new(options->number);
    bool ready = worker->traffic != NULL && worker->queue != NULL;
    if (!ready)
        fail(err, OURS, 0, "memory is short: no worker");
    ready = ready && ring_open(&worker->commands, sizeof(struct worker_command), COMMAND_SLOTS, err) &&
            ring_open(&worker->reports, sizeof(struct worker_report), REPORT_SLOTS, err);
    if (ready && !(ready = make_loop(worker)))
        fail(err, OURS, 0, "the worker's event loop could not be made");
    if (ready && !(ready = start_thread(worker)))
        fail(err, HOST, 0, "the worker's thread could not be started");
    if (!ready) {
        destroy(worker);
        return NULL;
    }
    return worker;
}

void worker_free(struct worker *worker) {
    if (worker == NULL)
        return;
    uint64_t one = 1;
    atomic_store(&worker->stop, true);
    ssize_t written = write(worker->commands.wake, &one, sizeof one);
    (void)written;
    pthread_join(worker->thread, NULL);
    destroy(worker);
}

bool worker_post(struct worker *worker, const struct worker_command *command) {
    return ring_push(&worker->commands, command);
}

int worker_report_fd(const struct worker *worker) {
    return worker->reports.wake;
}

size_t worker_take(struct worker *worker, struct worker_report *reports, size_t max) {
    size_t taken = 0;
    while (taken < max && ring_pop(&worker->reports, &reports[taken]))
        taken++;
    if (taken < max)
        ring_sleep(&worker->reports);
    return taken;
}

const struct worker_counters *worker_counters(const struct worker *worker) {
    return &worker->counters;
}
