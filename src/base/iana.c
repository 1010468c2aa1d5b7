/* iana.c: names of IANA's numbers, for people and for `iketcp status`. */
#include "base/iana.h"

#include <stdio.h>
#include <string.h>

struct named {
    uint16_t number;
    const char *name;
};
#define NAMED(x) \
    { x, #x }
#define NOTIFIED(x) \
    { NOTIFY_##x, #x }

static const struct named encryptions[] = {
    NAMED(ENCR_AES_CBC), NAMED(ENCR_AES_GCM_16), NAMED(ENCR_CHACHA20_POLY1305), {0, NULL}};
static const struct named prfs[] = {
    NAMED(PRF_HMAC_SHA2_256), NAMED(PRF_HMAC_SHA2_384), NAMED(PRF_HMAC_SHA2_512), {0, NULL}};
static const struct named integrities[] = {NAMED(AUTH_NONE), NAMED(AUTH_HMAC_SHA2_256_128),
    NAMED(AUTH_HMAC_SHA2_384_192), NAMED(AUTH_HMAC_SHA2_512_256), {0, NULL}};
static const struct named key_exchanges[] = {NAMED(KE_NONE), NAMED(KE_MODP_2048), NAMED(KE_MODP_3072),
    NAMED(KE_MODP_4096), NAMED(KE_ECP_256), NAMED(KE_ECP_384), NAMED(KE_ECP_521), NAMED(KE_CURVE25519),
    NAMED(KE_CURVE448), {0, NULL}};
static const struct named esns[] = {NAMED(ESN_NO), NAMED(ESN_YES), {0, NULL}};
static const struct named exchanges[] = {NAMED(IKE_SA_INIT), NAMED(IKE_AUTH), NAMED(CREATE_CHILD_SA),
    NAMED(INFORMATIONAL), NAMED(IKE_SESSION_RESUME), {0, NULL}};
static const struct named notifications[] = {NOTIFIED(UNSUPPORTED_CRITICAL_PAYLOAD), NOTIFIED(INVALID_IKE_SPI),
    NOTIFIED(INVALID_MAJOR_VERSION), NOTIFIED(INVALID_SYNTAX), NOTIFIED(INVALID_MESSAGE_ID), NOTIFIED(INVALID_SPI),
    NOTIFIED(NO_PROPOSAL_CHOSEN), NOTIFIED(INVALID_KE_PAYLOAD), NOTIFIED(AUTHENTICATION_FAILED),
    NOTIFIED(SINGLE_PAIR_REQUIRED), NOTIFIED(NO_ADDITIONAL_SAS), NOTIFIED(INTERNAL_ADDRESS_FAILURE),
    NOTIFIED(FAILED_CP_REQUIRED), NOTIFIED(TS_UNACCEPTABLE), NOTIFIED(INVALID_SELECTORS),
    NOTIFIED(UNACCEPTABLE_ADDRESSES), NOTIFIED(UNEXPECTED_NAT_DETECTED), NOTIFIED(TEMPORARY_FAILURE),
    NOTIFIED(CHILD_SA_NOT_FOUND), NOTIFIED(INITIAL_CONTACT), NOTIFIED(SET_WINDOW_SIZE),
    NOTIFIED(ADDITIONAL_TS_POSSIBLE), NOTIFIED(NAT_DETECTION_SOURCE_IP), NOTIFIED(NAT_DETECTION_DESTINATION_IP),
    NOTIFIED(COOKIE), NOTIFIED(USE_TRANSPORT_MODE), NOTIFIED(REKEY_SA), NOTIFIED(ESP_TFC_PADDING_NOT_SUPPORTED),
    NOTIFIED(MOBIKE_SUPPORTED), NOTIFIED(ADDITIONAL_IP4_ADDRESS), NOTIFIED(ADDITIONAL_IP6_ADDRESS),
    NOTIFIED(NO_ADDITIONAL_ADDRESSES), NOTIFIED(UPDATE_SA_ADDRESSES), NOTIFIED(COOKIE2), NOTIFIED(NO_NATS_ALLOWED),
    NOTIFIED(REDIRECT_SUPPORTED), NOTIFIED(REDIRECT), NOTIFIED(REDIRECTED_FROM), NOTIFIED(TICKET_LT_OPAQUE),
    NOTIFIED(TICKET_REQUEST), NOTIFIED(TICKET_ACK), NOTIFIED(TICKET_NACK), NOTIFIED(TICKET_OPAQUE),
    NOTIFIED(IKEV2_FRAGMENTATION_SUPPORTED), NOTIFIED(SIGNATURE_HASH_ALGORITHMS), NOTIFIED(USE_AGGFRAG), {0, NULL}};

static const char *name_of(const struct named *list, uint16_t number) {
    for (; list->name != NULL; list++)
        if (list->number == number)
            return list->name;
    return NULL;
}

static const struct {
    const struct named *list;
    const char *kind; /* before the number of what has no name here */
} transforms[] = {
    [TRANSFORM_ENCR] = {encryptions, "ENCR"},
    [TRANSFORM_PRF] = {prfs, "PRF"},
    [TRANSFORM_INTEG] = {integrities, "AUTH"},
    [TRANSFORM_KE] = {key_exchanges, "KE"},
    [TRANSFORM_ESN] = {esns, "ESN"},
};

const char *transform_text(uint8_t type, uint16_t id, uint16_t key_bits, char *out) {
    char bits[8] = "";
    if (key_bits != 0)
        snprintf(bits, sizeof bits, "-%u", key_bits);
    if (type < TRANSFORM_ENCR || type > TRANSFORM_ESN) {
        snprintf(out, IANA_NAME_MAX, "TRANSFORM_%u_%u%s", type, id, bits);
        return out;
    }
    const char *name = name_of(transforms[type].list, id);
    if (name != NULL)
        snprintf(out, IANA_NAME_MAX, "%s%s", name, bits);
    else
        snprintf(out, IANA_NAME_MAX, "%s_%u%s", transforms[type].kind, id, bits);
    return out;
}

static const char *name_or_number(const struct named *list, uint16_t number, char *out) {
    const char *name = name_of(list, number);
    if (name != NULL)
        snprintf(out, IANA_NAME_MAX, "%s", name);
    else
        snprintf(out, IANA_NAME_MAX, "%u", number);
    return out;
}

const char *notify_text(uint16_t notify, char *out) {
    return name_or_number(notifications, notify, out);
}

const char *exchange_text(uint8_t exchange, char *out) {
    return name_or_number(exchanges, exchange, out);
}
