/* log.h: lines for people, to standard error (foreground) or syslog/journald (libsystemd where it was built with). */
#ifndef IKETCP_DAEMON_LOG_H
#define IKETCP_DAEMON_LOG_H

#include "base/base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(enum log_level, bool to_stderr, const char *who); /* who: "monitor" or "engine" */
/* Without standard error (syslog), errors go there too until this is called: who started the daemon reads them. Then
 * standard output and error lead to where standard input does (/dev/null). Does nothing in the foreground. */
void log_detach(void);
bool log_level_parse(const char *text, enum log_level *);
void log_line(enum log_level, const char *format, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
