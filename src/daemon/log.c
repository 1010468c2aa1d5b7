/* log.c: lines for people. To standard error in the foreground (with priorities where the journal reads it), else to
 * syslog. A line is one write, so that the workers' lines don't mix; what a peer chose can't forge a line. */
#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 1024

static struct {
    _Atomic int level;
    bool to_stderr, to_journal, starting;
    char who[16];
} journal = {.level = LOG_LEVEL_INFO, .to_stderr = true};

static const char *const names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

void log_open(enum log_level level, bool to_stderr, const char *who) {
    closelog();
    atomic_store(&journal.level, (int)level);
    journal.to_stderr = to_stderr;
    journal.starting = !to_stderr;
    journal.to_journal = to_stderr && getenv("JOURNAL_STREAM") != NULL;
    snprintf(journal.who, sizeof journal.who, "%s", who);
    if (!to_stderr)
        openlog("iketcpd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_detach(void) {
    if (!journal.starting)
        return;
    journal.starting = false;
    (void)dup2(STDIN_FILENO, STDOUT_FILENO);
    (void)dup2(STDIN_FILENO, STDERR_FILENO);
}

bool log_level_parse(const char *text, enum log_level *level) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* Anything that moves a terminal or begins a new line becomes a question mark. */
static void make_harmless(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void to_stderr(enum log_level level, const char *text) {
    char line[LINE_MAX_OCTETS + 96];
    int length;
    if (journal.to_journal) {
        length = snprintf(line, sizeof line, "<%d>%s: %s\n", priorities[level], journal.who, text);
    } else {
        struct timespec now;
        struct tm local;
        char stamp[16];
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &local);
        strftime(stamp, sizeof stamp, "%H:%M:%S", &local);
        length = snprintf(line, sizeof line, "%s.%03ld %s: %s%s%s\n", stamp, now.tv_nsec / 1000000, journal.who,
            level == LOG_LEVEL_INFO ? "" : names[level], level == LOG_LEVEL_INFO ? "" : ": ", text);
    }
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* nobody is there to read it */
}

static void write_line(enum log_level level, const char *text) {
    if (journal.to_stderr || (journal.starting && level == LOG_LEVEL_ERROR))
        to_stderr(level, text);
    if (!journal.to_stderr)
        syslog(priorities[level], "%s: %s", journal.who, text);
}

void log_line(enum log_level level, const char *format, ...) {
    char text[LINE_MAX_OCTETS];
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    if ((int)level <= atomic_load_explicit(&journal.level, memory_order_relaxed)) {
        vsnprintf(text, sizeof text, format, arguments);
        make_harmless(text);
        write_line(level, text);
    }
    va_end(arguments);
    errno = saved;
}
