/* wire.h: the face of wire/: bytes to structs and back, nothing else. Pure. */
#ifndef IKETCP_WIRE_WIRE_H
#define IKETCP_WIRE_WIRE_H

#include "wire/dns.h"
#include "wire/framing.h"
#include "wire/inner.h"
#include "wire/message.h"
#include "wire/reader.h"
#include "wire/writer.h"

#endif
