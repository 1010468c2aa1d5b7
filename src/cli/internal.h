/* internal.h: what the files of `iketcp` share. It speaks lines of JSON over the control socket; see engine/control.c. */
#ifndef IKETCP_CLI_INTERNAL_H
#define IKETCP_CLI_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };
#define CONTROL_DEFAULT "/run/iketcp/control"

/* ---- options.c ---- */
struct options {
    const char *control;
    const char *command;
    const char *name; /* of a connection; NULL: none was given */
    const char *gateway; /* the word behind it; NULL: none */
    bool json, ike;
    bool done; /* --help or --version was printed */
};
/* Fills *out, or says on standard error what is wrong (EXIT_USAGE). */
enum exit_code options_read(int argc, char **argv, struct options *out);

/* ---- daemon_link.c: the connection to iketcpd ---- */
struct daemon_link {
    FILE *stream;
    const char *path;
};
/* Says on standard error why not: EXIT_NO_DAEMON. */
enum exit_code link_open(struct daemon_link *, const char *path);
void link_close(struct daemon_link *);
bool link_send(struct daemon_link *, json_t *request); /* takes the reference */
/* The next answer, the caller's; NULL: the daemon closed, a signal came (errno EINTR), or it was not JSON. */
json_t *link_receive(struct daemon_link *);

/* ---- clean.c: all strings in it without what a terminal would obey ---- */
void json_clean(json_t *);

/* ---- command.c ---- */
enum exit_code command_run(const struct options *);

/* ---- status_text.c: the status for people ---- */
void status_print(FILE *, const json_t *status);

/* ---- units.c ---- */
#define UNITS_TEXT_MAX 32
const char *octets_text(uint64_t octets, char *out); /* "812 B", "33.1 MB" */
const char *duration_text(uint64_t seconds, char *out); /* "45 s", "3 min 12 s", "7 h 02 min", "3 d 4 h" */
const char *count_text(uint64_t count, const char *one, const char *many, char *out, size_t size); /* "1 packet" */

#endif
