/* daemon.h: the face of daemon/: the only room where all meet. Nobody outside includes more than this. */
#ifndef IKETCP_DAEMON_DAEMON_H
#define IKETCP_DAEMON_DAEMON_H

#include "daemon/log.h"
#include "daemon/monitor.h"

#endif
