/* error.h: an error is a value that carries a sentence for a person.
 *
 * The caller owns the struct; nothing is allocated, nothing is thread-local. Functions that can fail return bool and
 * take a `struct error *` as their last argument (never NULL unless their comment says so):
 *
 *     return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "KE data is %zu bytes; group 19 needs 64", n);
 */
#ifndef IKETCP_BASE_ERROR_H
#define IKETCP_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((__format__(__printf__, at, first)))

enum error_origin {
    ORIGIN_NONE = 0,
    ORIGIN_OURS, /* a limit or a fault of this program */
    ORIGIN_PEER, /* what the peer sent, or did not send */
    ORIGIN_HOST, /* the operating system: sockets, netlink, files */
    ORIGIN_CONFIG, /* what the configuration asks for */
};

struct error {
    enum error_origin origin;
    uint16_t notify; /* the IKE notification that tells the peer (NOTIFY_*), 0: none */
    const char *where; /* "file.c:line", static storage */
    char text[320]; /* one sentence, no newline, no final full stop */
};

/* Fills *err and returns false, so that a failure is one line: `return fail(...)`. */
bool fail_at(struct error *err, enum error_origin origin, uint16_t notify, const char *where, const char *format, ...)
    PRINTF_LIKE(5, 6);

#define FAIL_STRING_(x) #x
#define FAIL_STRING(x) FAIL_STRING_(x)
#define fail(err, origin, notify, ...) \
    fail_at((err), ORIGIN_##origin, (notify), __FILE__ ":" FAIL_STRING(__LINE__), __VA_ARGS__)

/* Puts words before the sentence of an error on its way up ("conn office: ..."); returns false. */
bool fail_context(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
