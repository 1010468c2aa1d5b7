/* base.h: the face of base/: what every room may use. No I/O (but random_system), no globals. */
#ifndef IKETCP_BASE_BASE_H
#define IKETCP_BASE_BASE_H

#include "base/address.h"
#include "base/error.h"
#include "base/iana.h"
#include "base/random.h"
#include "base/span.h"

#define SECOND UINT64_C(1000) /* times are milliseconds of a clock that never goes back */
#define NEVER UINT64_MAX /* a deadline that does not come */

#endif
