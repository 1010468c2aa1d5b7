/* command.c: sends one command, shows its progress as it comes, and makes an exit code of its end. */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_MOST_MS 5000u

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

static void catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: reading ends with EINTR */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static json_t *request_of(const struct options *options) {
    json_t *request = json_pack("{s:s}", "command", options->command);
    if (options->name != NULL && json_object_set_new(request, "name", json_string(options->name)) != 0) {
        json_decref(request);
        return NULL;
    }
    if (options->ike)
        json_object_set_new(request, "ike", json_true());
    if (strcmp(options->command, "redirect") == 0)
        json_object_set_new(request, "gateway", json_string(options->gateway));
    return request;
}

static const char *text_of(const json_t *answer, const char *key) {
    const char *text = json_string_value(json_object_get(answer, key));
    return text == NULL ? "" : text;
}

static enum exit_code went_away(const struct options *options) {
    if (!interrupted) {
        fprintf(stderr, "iketcp: iketcpd closed the connection before it was done; its log says why\n");
        return EXIT_FAILED;
    }
    if (strcmp(options->command, "up") == 0)
        fprintf(stderr, "\niketcp: interrupted; iketcpd goes on trying to bring %s up, 'iketcp down %s' ends that\n",
            options->name, options->name);
    else
        fprintf(stderr, "\niketcp: interrupted; iketcpd goes on with it\n");
    return EXIT_FAILED;
}

static void show_step(const json_t *answer, uint64_t began) {
    uint64_t elapsed = milliseconds() - began;
    printf("%4" PRIu64 ".%" PRIu64 " s  %s\n", elapsed / 1000, elapsed % 1000 / 100, text_of(answer, "text"));
    fflush(stdout);
}

static enum exit_code show_end(const struct options *options, const json_t *answer) {
    const char *text = text_of(answer, "text");
    if (strcmp(text_of(answer, "result"), "ok") != 0) {
        fflush(stdout);
        fprintf(stderr, "iketcp: %s\n", text);
        return EXIT_FAILED;
    }
    const json_t *status = json_object_get(answer, "status");
    if (status == NULL) {
        printf("%s\n", text);
    } else if (options->json) {
        json_dumpf(status, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        status_print(stdout, status);
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* The daemon's last act is to remove its socket. */
static enum exit_code await_end(const struct daemon_link *link) {
    for (uint64_t began = milliseconds(); milliseconds() - began < STOP_MOST_MS && !interrupted;) {
        if (access(link->path, F_OK) != 0) {
            puts("iketcpd has stopped");
            return EXIT_OK;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    fprintf(stderr, "iketcp: iketcpd was told to stop, but %s is still there\n", link->path);
    return EXIT_FAILED;
}

static enum exit_code converse(struct daemon_link *link, const struct options *options) {
    uint64_t began = milliseconds();
    if (!link_send(link, request_of(options)))
        return went_away(options);
    for (;;) {
        json_t *answer = link_receive(link);
        if (answer == NULL && strcmp(options->command, "stop") == 0 && !interrupted)
            return await_end(link);
        if (answer == NULL)
            return went_away(options);
        if (json_object_get(answer, "result") != NULL) {
            enum exit_code code = show_end(options, answer);
            json_decref(answer);
            return code;
        }
        show_step(answer, began);
        json_decref(answer);
    }
}

enum exit_code command_run(const struct options *options) {
    struct daemon_link link;
    enum exit_code code = link_open(&link, options->control);
    if (code != EXIT_OK)
        return code;
    catch_interrupts();
    code = converse(&link, options);
    link_close(&link);
    return code;
}
