/* dns.h: of DNS (RFC 1035) only what it takes to pass answers on: which question one answers, whether it was cut off, and how
 * a long one gets shorter. Names are not read here. */
#ifndef IKETCP_WIRE_DNS_H
#define IKETCP_WIRE_DNS_H

#include "base/base.h"

#define DNS_HEADER_OCTETS ((size_t)12)
#define DNS_MESSAGE_MAX ((size_t)65535)

MUST_USE bool dns_is_question(struct span message, uint16_t *id);
/* `truncated`: the server had more to say than fits into a datagram, and wants to be asked over TCP (RFC 7766). */
MUST_USE bool dns_is_answer(struct span message, uint16_t *id, bool *truncated);
/* Makes an answer at most `most` octets long, in place: the question and as many whole records of the answer section as fit
 * (what comes later is never pointed to by what came before), the other sections gone, no longer marked as cut off. Returns
 * the new length; 0: it can't be read. */
size_t dns_shorten(uint8_t *message, size_t length, size_t most);
/* A question becomes the answer "refused" to itself. At least DNS_HEADER_OCTETS. */
void dns_refuse(uint8_t *message);

#endif
