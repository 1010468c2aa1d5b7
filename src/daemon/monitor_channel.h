/* monitor_channel.h: one record over the SOCK_SEQPACKET socket pair, with at most one descriptor; private to daemon/. */
#ifndef IKETCP_DAEMON_MONITOR_CHANNEL_H
#define IKETCP_DAEMON_MONITOR_CHANNEL_H

#include "base/base.h"

enum channel_result { CHANNEL_DONE, CHANNEL_LATER, CHANNEL_GONE };

/* `passed`: a descriptor that the other side gets a copy of; -1: none. */
enum channel_result channel_send(int fd, struct span record, int passed);
/* *passed gets the descriptor that came along, or -1; passed NULL: none may come, else CHANNEL_GONE. A record that is
 * longer than `capacity` is CHANNEL_GONE too, as is the end. */
enum channel_result channel_receive(int fd, uint8_t *buffer, size_t capacity, size_t *length, int *passed);

#endif
