/* config.c: a text as ipsec.conf, as ipsec.secrets, and octets as the packed texts that the engine gets: parsing gives a meaning
 * or says why not, and packed texts read the same again. The first octet chooses. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static void parse(const struct config_source *source) {
    struct diagnostics d;
    struct config *config = config_parse(source, &d);
    char line[1200];
    if ((config == NULL) != (d.errors > 0))
        abort();
    for (size_t i = 0; i < d.count; i++)
        diagnostic_text(&d.list[i], line, sizeof line);
    config_free(config);
    diagnostics_free(&d);
}

static void read_config(const char *text) {
    struct config_source *source = config_source_from_text("f", text);
    size_t length = 0;
    uint8_t *packed = source ? config_source_pack(source, &length) : NULL;
    struct config_source *again = packed ? config_source_unpack(packed, length) : NULL;
    if (!again)
        abort();
    parse(again);
    free(packed);
    config_source_free(again);
    config_source_free(source);
}

static void read_secrets(const char *text) {
    struct diagnostics d;
    struct span psk;
    struct identity a = {.type = ID_FQDN, .data = "west", .length = 4}, b = {.type = ID_IPV4_ADDR, .length = 4};
    if (strstr(text, "include"))
        return; /* reads files of this host */
    struct secrets *secrets = secrets_parse("f", text, &d);
    if ((secrets == NULL) != (d.errors > 0))
        abort();
    if (secrets && secrets_psk(secrets, &a, &b, &psk) && psk.length > 0 && psk.at == NULL)
        abort();
    secrets_free(secrets);
    diagnostics_free(&d);
}

static void read_packed(const uint8_t *data, size_t size) {
    struct config_source *source = config_source_unpack(data, size);
    size_t length = 0;
    uint8_t *packed = source ? config_source_pack(source, &length) : NULL;
    if (source)
        parse(source);
    if (packed && (length != size || memcmp(packed, data, size) != 0))
        abort();
    free(packed);
    config_source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        read_config(text);
    else if (data[0] % 3 == 1)
        read_secrets(text);
    else
        read_packed(data + 1, size - 1);
    free(text);
    return 0;
}
