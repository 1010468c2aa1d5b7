/* message.h: IKE messages and payloads (RFC 7296, section 3) between octets and structs, nothing else.
 *
 * Reading never copies: spans point into the message, which the caller keeps. What is read is checked for syntax only;
 * errors are ORIGIN_PEER with NOTIFY_INVALID_SYNTAX unless said otherwise. Lists are bounded; a list that is longer
 * than its bound is an error, not cut off. */
#ifndef IKETCP_WIRE_MESSAGE_H
#define IKETCP_WIRE_MESSAGE_H

#include "wire/reader.h"
#include "wire/writer.h"

#define IKE_HEADER_LENGTH ((size_t)28)
#define PAYLOAD_HEADER_LENGTH ((size_t)4)
#define IKE_PAYLOADS_MAX 96
#define TRANSFORMS_MAX 96 /* in one proposal, ours or theirs */
#define PROPOSALS_MAX 24
#define SELECTORS_MAX 32
#define NONCE_MIN ((size_t)16)
#define NONCE_MAX ((size_t)256)
#define IDENTITY_MAX ((size_t)256)

enum { IKE_FLAG_INITIATOR = 0x08, IKE_FLAG_VERSION = 0x10, IKE_FLAG_RESPONSE = 0x20 };
#define IKE_VERSION ((uint8_t)0x20)

struct ike_header {
    uint64_t spi_i, spi_r;
    uint8_t next_payload, version, exchange, flags;
    uint32_t message_id;
    uint32_t length; /* of the whole message; ike_header_read checks that it is the octets given */
};

struct payload {
    uint8_t type;
    bool critical;
    struct span body; /* after the generic header */
};

struct payload_list {
    struct payload payload[IKE_PAYLOADS_MAX];
    size_t count;
};

/* Header alone; octets beyond the header's length, or fewer, are errors. */
MUST_USE bool ike_header_read(struct span message, struct ike_header *, struct error *);
/* The SPIs only, for finding an owner: false when shorter than a header. */
MUST_USE bool ike_spis_peek(struct span message, uint64_t *spi_i, uint64_t *spi_r);
/* Appends the chain that begins with `first` in `octets` to *list. Unknown payloads are kept with their critical bit
 * (the caller answers UNSUPPORTED_CRITICAL_PAYLOAD). For SK and SKF, which must be last, *inner_first (may be NULL)
 * gets the type of the first payload inside. */
MUST_USE bool payload_chain_read(
    uint8_t first, struct span octets, struct payload_list *list, uint8_t *inner_first, struct error *);
/* The n-th (0 first) payload of a type, NULL if there is none. */
const struct payload *payload_find(const struct payload_list *, uint8_t type, size_t n);

/* --- Security Association payloads, section 3.3 --- */
struct transform {
    uint8_t type; /* TRANSFORM_* */
    uint16_t id;
    uint16_t key_bits; /* 0: no key length attribute */
    bool unknown; /* carries an attribute we do not know: never chosen (section 3.3.6) */
};

struct proposal {
    uint8_t number; /* 1, 2, ... */
    uint8_t protocol;
    uint8_t spi_length; /* 0, 4 or 8 */
    uint64_t spi; /* as a number */
    struct transform transform[TRANSFORMS_MAX];
    size_t transforms;
};

struct proposal_list {
    struct proposal proposal[PROPOSALS_MAX];
    size_t count;
};

MUST_USE bool sa_read(struct span body, struct proposal_list *, struct error *);
void sa_write(struct writer *, const struct proposal_list *);

/* --- the others --- */
struct identity {
    uint8_t type; /* ID_*, ID_NONE: any or none */
    uint8_t data[IDENTITY_MAX]; /* as on the wire */
    size_t length;
};
MUST_USE bool identity_read(struct span body, struct identity *, struct error *);
void identity_write(struct writer *, const struct identity *); /* the payload's body; type, 3 zero octets, data */
/* Our own form, for what we alone write and read (tickets, the monitor's requests): type, a length of 16 bits, data. ID_NONE
 * has no data; false where it has, where the data is longer than an identity's, or cut. `out` is zero behind the data. */
void identity_pack(struct writer *, const struct identity *);
MUST_USE bool identity_unpack(struct reader *, struct identity *out);
bool identity_equal(const struct identity *, const struct identity *);
#define IDENTITY_TEXT_MAX 300
/* "10.0.0.1", "@east.example", "user@example", "@#6b6579" (key id): as ipsec.conf writes them. Octets that don't print
 * are shown as ?. `out` takes IDENTITY_TEXT_MAX octets and is returned. */
const char *identity_text(const struct identity *, char *out);

MUST_USE bool ke_read(struct span body, uint16_t *group, struct span *public_value, struct error *);
void ke_write(struct writer *, uint16_t group, struct span public_value);
MUST_USE bool auth_read(struct span body, uint8_t *method, struct span *data, struct error *);
void auth_write(struct writer *, uint8_t method, struct span data);
MUST_USE bool nonce_read(struct span body, struct span *nonce, struct error *); /* 16 to 256 octets */

struct notify {
    uint8_t protocol;
    uint16_t type;
    struct span spi; /* empty, 4 or 8 octets */
    struct span data;
};
MUST_USE bool notify_read(struct span body, struct notify *, struct error *);
void notify_write(struct writer *, const struct notify *);
/* The first notification of that type; false if there is none or it is malformed. */
bool notify_find(const struct payload_list *, uint16_t type, struct notify *);

/* The data of REDIRECT and REDIRECTED_FROM, RFC 5685: a gateway as text, an address or a name, and what follows it. */
#define GATEWAY_MAX 256
bool gateway_name_ok(const char *name); /* letters, digits, '-', '_' and '.'; not an address */
MUST_USE bool redirect_read(struct span data, char gateway[GATEWAY_MAX], struct span *nonce, struct error *);
void redirect_write(struct writer *, const char *gateway, struct span nonce);

struct delete_payload {
    uint8_t protocol;
    uint32_t esp_spi[64]; /* for PROTOCOL_ESP and AH */
    size_t count; /* of SPIs */
};
MUST_USE bool delete_read(struct span body, struct delete_payload *, struct error *);
void delete_write(struct writer *, const struct delete_payload *);

/* One traffic selector: section 3.13.1. Ports and protocol in host order; protocol 0: any. */
struct selector {
    struct address first, last; /* same family, no ports */
    uint8_t protocol;
    uint16_t port_first, port_last; /* 0 to 65535: any; 65535 to 0: OPAQUE */
};
struct selector_list {
    size_t count;
    struct selector selector[SELECTORS_MAX];
};
/* What lives long has no more memory than selectors: for reading, never copied as a whole (selectors_copy does). malloc'd, the
 * caller's; NULL: no memory. */
const struct selector_list *selectors_keep(const struct selector_list *);
void selectors_copy(const struct selector_list *from, struct selector_list *to);
void selectors_forget(const struct selector_list *); /* NULL is fine */
/* Selectors of types that we don't know are passed over; a list that is empty then has count 0. */
MUST_USE bool selectors_read(struct span body, struct selector_list *, struct error *);
void selectors_write(struct writer *, const struct selector_list *);
struct selector selector_of_prefix(const struct prefix *); /* any protocol, all ports */
/* What both contain; false: nothing. */
bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *out);
bool selector_equal(const struct selector *, const struct selector *);

/* --- writing a message ---
 * A message_writer keeps the chain of "next payload" fields. Lengths are filled by payload_end and message_end. */
struct message_writer {
    struct writer *out;
    size_t start; /* offset of the header in *out */
    size_t next_field; /* offset of the field that names the next payload */
    uint8_t *first; /* where the next type goes instead, while no payload of a bare chain is there; else NULL */
    struct mark open; /* of the payload being written */
};
struct message_writer message_begin(struct writer *out, const struct ike_header *); /* length is filled later */
void payload_begin(struct message_writer *, uint8_t type); /* then write the body to out */
void payload_end(struct message_writer *);
void message_end(struct message_writer *); /* fills the header's length */
/* A chain without a header, as goes inside SK: returns a writer state whose first type is stored in *first. The
 * payloads are appended to `out`; call payload_begin/payload_end as usual; nothing to end. */
struct message_writer chain_begin(struct writer *out, uint8_t *first);

#endif
