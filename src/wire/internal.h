/* internal.h: private to wire/. */
#ifndef IKETCP_WIRE_INTERNAL_H
#define IKETCP_WIRE_INTERNAL_H

/* What the peer sent is malformed; returns false. */
#define syntax(err, ...) fail((err), PEER, NOTIFY_INVALID_SYNTAX, __VA_ARGS__)

#endif
