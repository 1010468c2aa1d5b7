/* monitor_wire.c: requests as octets, and back with every field checked: enums, counts, families, names. What can be
 * refused without knowing the configuration is refused here. */
#include "daemon/monitor_wire.h"

#include <string.h>

static bool malformed(struct error *err, const char *what) {
    return fail(err, OURS, 0, "malformed %s", what);
}

/* ---------------------------------------------------------------- values ---- */

static void write_address(struct writer *w, const struct address *a) {
    writer_u8(w, a->family);
    writer_u16(w, a->port);
    writer_u32(w, a->scope);
    writer_octets(w, a->octets, sizeof a->octets);
}

static bool read_address(struct reader *r, struct address *a) {
    *a = (struct address){0};
    if (!reader_u8(r, &a->family) || !reader_u16(r, &a->port) || !reader_u32(r, &a->scope) ||
        !reader_copy(r, sizeof a->octets, a->octets))
        return false;
    if (a->family != 0 && a->family != 4 && a->family != 6)
        return false;
    if (a->scope > INT32_MAX || (a->family != 6 && a->scope != 0))
        return false;
    for (size_t i = address_octets(a); i < sizeof a->octets; i++)
        if (a->octets[i] != 0)
            return false;
    return true;
}

static void write_prefix(struct writer *w, const struct prefix *p) {
    write_address(w, &p->address);
    writer_u8(w, p->length);
}

static bool read_prefix(struct reader *r, struct prefix *p) {
    struct address first, last;
    if (!read_address(r, &p->address) || !reader_u8(r, &p->length))
        return false;
    if (p->address.family == 0 || p->address.port != 0 || p->address.scope != 0 ||
        p->length > 8 * address_octets(&p->address))
        return false;
    prefix_range(p, &first, &last);
    return address_same_host(&first, &p->address);
}

static void write_prefixes(struct writer *w, const struct prefix *list, size_t count) {
    writer_u8(w, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        write_prefix(w, &list[i]);
}

static bool read_prefixes(struct reader *r, struct prefix *list, size_t *count) {
    uint8_t n;
    if (!reader_u8(r, &n) || n > HOST_PREFIXES_MAX)
        return false;
    for (*count = 0; *count < n; ++*count)
        if (!read_prefix(r, &list[*count]))
            return false;
    return true;
}

/* Names have a fixed room, are ended by a NUL and zero behind it. */
static bool read_name(struct reader *r, char *name, size_t room) {
    if (!reader_copy(r, room, (uint8_t *)name) || name[room - 1] != 0)
        return false;
    for (size_t i = strlen(name); i < room; i++)
        if (name[i] != 0)
            return false;
    return true;
}

static void write_name(struct writer *w, const char *name, size_t room) {
    size_t length = strnlen(name, room - 1);
    writer_octets(w, name, length);
    writer_zero(w, room - length);
}

/* Interface names that the kernel takes and a shell survives. */
static bool is_device_name(const char *name) {
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                strchr("-_", *c) != NULL || (*c == '.' && c != name)))
            return false;
    return true;
}

/* ---------------------------------------------------------------- bodies ---- */

static void write_auth(struct writer *w, const struct monitor_request *q) {
    write_name(w, q->auth.connection, sizeof q->auth.connection);
    writer_u16(w, q->auth.prf);
    identity_pack(w, &q->auth.local_id);
    identity_pack(w, &q->auth.remote_id);
    writer_u32(w, (uint32_t)q->auth.local_octets.length);
    writer_span(w, q->auth.local_octets);
    writer_u32(w, (uint32_t)q->auth.remote_octets.length);
    writer_span(w, q->auth.remote_octets);
}

static bool read_octets(struct reader *r, struct span *octets) {
    uint32_t length;
    return reader_u32(r, &length) && length <= MONITOR_RECORD_MAX && reader_span(r, length, octets);
}

static bool read_auth(struct reader *r, struct monitor_request *q) {
    return read_name(r, q->auth.connection, sizeof q->auth.connection) && q->auth.connection[0] != 0 &&
           reader_u16(r, &q->auth.prf) && prf_supported(q->auth.prf) && identity_unpack(r, &q->auth.local_id) &&
           q->auth.local_id.type != ID_NONE && identity_unpack(r, &q->auth.remote_id) &&
           read_octets(r, &q->auth.local_octets) && q->auth.local_octets.length > 0 &&
           read_octets(r, &q->auth.remote_octets);
}

static void write_socket(struct writer *w, const struct monitor_request *q) {
    writer_u8(w, (uint8_t)q->socket);
    write_address(w, &q->address);
    write_name(w, q->connection, sizeof q->connection);
}

static bool read_socket(struct reader *r, struct monitor_request *q) {
    uint8_t kind;
    if (!reader_u8(r, &kind) || kind > HOST_TCP || !read_address(r, &q->address) || q->address.family == 0)
        return false;
    q->socket = (enum host_socket_kind)kind;
    return read_name(r, q->connection, sizeof q->connection) && (kind == HOST_TCP || q->connection[0] == 0);
}

static void write_tun(struct writer *w, const struct monitor_request *q) {
    write_name(w, q->name, sizeof q->name);
    writer_u32(w, q->mtu);
}

static bool read_tun(struct reader *r, struct monitor_request *q) {
    return read_name(r, q->name, sizeof q->name) && is_device_name(q->name) && reader_u32(r, &q->mtu) &&
           q->mtu >= MONITOR_MTU_MIN && q->mtu <= UINT16_MAX;
}

static void write_tun_close(struct writer *w, const struct monitor_request *q) {
    write_name(w, q->name, sizeof q->name);
}

static bool read_tun_close(struct reader *r, struct monitor_request *q) {
    return read_name(r, q->name, sizeof q->name) && q->name[0] != 0 && is_device_name(q->name);
}

static void write_routes_set(struct writer *w, const struct monitor_request *q) {
    const struct host_route_set *s = &q->routes;
    writer_u32(w, s->owner);
    write_name(w, s->device, sizeof s->device);
    write_prefixes(w, s->remote, s->remotes);
    write_address(w, &s->source);
    write_address(w, &s->source6);
    write_prefixes(w, s->local, s->locals);
    writer_u32(w, s->mtu);
    writer_u32(w, s->advmss4);
    writer_u32(w, s->advmss6);
    write_address(w, &s->outer_remote);
}

static bool read_routes_set(struct reader *r, struct monitor_request *q) {
    struct host_route_set *s = &q->routes;
    if (!reader_u32(r, &s->owner) || s->owner == 0 || !read_name(r, s->device, sizeof s->device) ||
        !is_device_name(s->device) || !read_prefixes(r, s->remote, &s->remotes) || !read_address(r, &s->source) ||
        !read_address(r, &s->source6) || !read_prefixes(r, s->local, &s->locals) || !reader_u32(r, &s->mtu) ||
        !reader_u32(r, &s->advmss4) || !reader_u32(r, &s->advmss6) || !read_address(r, &s->outer_remote))
        return false;
    if (s->source.port != 0 || s->source.scope != 0 || s->source6.port != 0 || s->source6.scope != 0)
        return false;
    if (s->source6.family != 0 && s->source6.family == s->source.family)
        return false;
    return s->mtu <= UINT16_MAX && s->advmss4 <= UINT16_MAX && s->advmss6 <= UINT16_MAX;
}

static void write_owner(struct writer *w, const struct monitor_request *q) {
    writer_u32(w, q->owner);
}

static bool read_owner(struct reader *r, struct monitor_request *q) {
    return reader_u32(r, &q->owner) && q->owner != 0;
}

static void write_keylog(struct writer *w, const struct monitor_request *q) {
    writer_u8(w, (uint8_t)q->keylog);
}

static bool read_keylog(struct reader *r, struct monitor_request *q) {
    uint8_t which;
    if (!reader_u8(r, &which) || which > KEYLOG_ESP)
        return false;
    q->keylog = (enum monitor_keylog)which;
    return true;
}

static void write_selector(struct writer *w, const struct selector *s) {
    write_address(w, &s->first);
    write_address(w, &s->last);
    writer_u8(w, s->protocol);
    writer_u16(w, s->port_first);
    writer_u16(w, s->port_last);
}

static bool read_selector(struct reader *r, struct selector *s) {
    return read_address(r, &s->first) && read_address(r, &s->last) && reader_u8(r, &s->protocol) &&
           reader_u16(r, &s->port_first) && reader_u16(r, &s->port_last) && s->first.family != 0 &&
           s->first.family == s->last.family && s->first.port == 0 && s->first.scope == 0 && s->last.port == 0 &&
           s->last.scope == 0;
}

static void write_esp_set(struct writer *w, const struct monitor_request *q) {
    const struct host_esp *s = &q->esp.sa;
    write_name(w, q->esp.connection, sizeof q->esp.connection);
    writer_u32(w, s->spi_in);
    writer_u32(w, s->spi_out);
    write_address(w, &s->local);
    write_address(w, &s->remote);
    write_selector(w, &s->inner_local);
    write_selector(w, &s->inner_remote);
    writer_u16(w, s->encr);
    writer_u16(w, s->key_bits);
    writer_u16(w, s->integ);
    writer_octets(w, s->key_in, sizeof s->key_in);
    writer_octets(w, s->key_out, sizeof s->key_out);
    writer_octets(w, s->integ_in, sizeof s->integ_in);
    writer_octets(w, s->integ_out, sizeof s->integ_out);
    writer_u8(w, s->esn);
    writer_u8(w, s->outbound);
    writer_u32(w, s->replay_window);
    writer_u64(w, s->out);
    writer_u64(w, s->in);
}

/* How long the keys are follows from the algorithms. */
static bool read_esp_keys(struct reader *r, struct host_esp *s) {
    struct cipher_suite suite = {.encr = s->encr, .key_bits = s->key_bits, .integ = s->integ};
    if (!cipher_supported(suite) || !reader_copy(r, sizeof s->key_in, s->key_in) ||
        !reader_copy(r, sizeof s->key_out, s->key_out) || !reader_copy(r, sizeof s->integ_in, s->integ_in) ||
        !reader_copy(r, sizeof s->integ_out, s->integ_out))
        return false;
    s->key_length = cipher_key_length(suite);
    s->integ_length = cipher_integ_length(suite);
    return s->key_length <= sizeof s->key_in && s->integ_length <= sizeof s->integ_in;
}

static bool read_esp_set(struct reader *r, struct monitor_request *q) {
    struct host_esp *s = &q->esp.sa;
    uint8_t esn, outbound;
    if (!read_name(r, q->esp.connection, sizeof q->esp.connection) || q->esp.connection[0] == 0 ||
        !reader_u32(r, &s->spi_in) || !reader_u32(r, &s->spi_out) || s->spi_in == 0 || s->spi_out == 0 ||
        !read_address(r, &s->local) || !read_address(r, &s->remote) || s->local.family == 0 ||
        s->local.family != s->remote.family || s->local.port == 0 || s->remote.port == 0)
        return false;
    if (!read_selector(r, &s->inner_local) || !read_selector(r, &s->inner_remote) ||
        s->inner_local.first.family != s->inner_remote.first.family || !reader_u16(r, &s->encr) ||
        !reader_u16(r, &s->key_bits) || !reader_u16(r, &s->integ) || !read_esp_keys(r, s))
        return false;
    if (!reader_u8(r, &esn) || !reader_u8(r, &outbound) || esn > 1 || outbound > 1 ||
        !reader_u32(r, &s->replay_window) || !reader_u64(r, &s->out) || !reader_u64(r, &s->in))
        return false;
    s->esn = esn;
    s->outbound = outbound;
    return s->replay_window <= ESP_REPLAY_MAX && (s->esn || (s->out <= UINT32_MAX && s->in <= UINT32_MAX));
}

static void write_esp_read(struct writer *w, const struct monitor_request *q) {
    writer_u32(w, q->spi_in);
    writer_u8(w, q->remove);
}

static bool read_esp_read(struct reader *r, struct monitor_request *q) {
    uint8_t remove;
    if (!reader_u32(r, &q->spi_in) || q->spi_in == 0 || !reader_u8(r, &remove) || remove > 1)
        return false;
    q->remove = remove;
    return true;
}

static void write_one_address(struct writer *w, const struct monitor_request *q) {
    write_address(w, &q->address);
}

static bool read_remote(struct reader *r, struct monitor_request *q) {
    return read_address(r, &q->address) && q->address.family != 0;
}

static void write_nothing(struct writer *w, const struct monitor_request *q) {
    (void)w;
    (void)q;
}

static bool read_nothing(struct reader *r, struct monitor_request *q) {
    (void)r;
    (void)q;
    return true;
}

/* ---------------------------------------------------------------- the table ---- */

#define ADDRESS_OCTETS 23
#define SOCKET_OCTETS (1 + ADDRESS_OCTETS + MONITOR_CONNECTION_MAX)
#define PREFIX_OCTETS (ADDRESS_OCTETS + 1)
#define ROUTES_FIXED (4 + MONITOR_TUN_NAME_MAX + 2 + 3 * ADDRESS_OCTETS + 12)
#define SELECTOR_OCTETS (2 * ADDRESS_OCTETS + 5)
#define ESP_KEYS_OCTETS (2 * (HOST_ESP_KEY_MAX + HOST_INTEG_KEY_MAX))
#define ESP_SET_OCTETS \
    (MONITOR_CONNECTION_MAX + 8 + 2 * ADDRESS_OCTETS + 2 * SELECTOR_OCTETS + 6 + ESP_KEYS_OCTETS + 2 + 4 + 16)

static const struct shape {
    enum monitor_request_kind kind;
    const char *name;
    size_t least, most; /* octets of the body */
    bool has_answer;
    void (*write)(struct writer *, const struct monitor_request *);
    bool (*read)(struct reader *, struct monitor_request *);
} shapes[] = {
    {REQUEST_AUTH, "AUTH", 80, MONITOR_RECORD_MAX, true, write_auth, read_auth},
    {REQUEST_SOCKET, "SOCKET", SOCKET_OCTETS, SOCKET_OCTETS, true, write_socket, read_socket},
    {REQUEST_TUN, "TUN", MONITOR_TUN_NAME_MAX + 4, MONITOR_TUN_NAME_MAX + 4, true, write_tun, read_tun},
    {REQUEST_TUN_CLOSE, "TUN_CLOSE", MONITOR_TUN_NAME_MAX, MONITOR_TUN_NAME_MAX, false, write_tun_close,
        read_tun_close},
    {REQUEST_ROUTES_SET, "ROUTES_SET", ROUTES_FIXED, ROUTES_FIXED + 2 * HOST_PREFIXES_MAX *PREFIX_OCTETS, true,
        write_routes_set, read_routes_set},
    {REQUEST_ROUTES_DROP, "ROUTES_DROP", 4, 4, false, write_owner, read_owner},
    {REQUEST_SOURCE, "SOURCE", ADDRESS_OCTETS, ADDRESS_OCTETS, true, write_one_address, read_remote},
    {REQUEST_ADDRESSES, "ADDRESSES", ADDRESS_OCTETS, ADDRESS_OCTETS, true, write_one_address, read_remote},
    {REQUEST_LOCALS, "LOCALS", 0, 0, true, write_nothing, read_nothing},
    {REQUEST_RELOAD, "RELOAD", 0, 0, true, write_nothing, read_nothing},
    {REQUEST_READY, "READY", 0, 0, true, write_nothing, read_nothing},
    {REQUEST_KEYLOG, "KEYLOG", 1, 1, true, write_keylog, read_keylog},
    {REQUEST_ESP_PROBE, "ESP_PROBE", 0, 0, true, write_nothing, read_nothing},
    {REQUEST_ESP_SET, "ESP_SET", ESP_SET_OCTETS, ESP_SET_OCTETS, true, write_esp_set, read_esp_set},
    {REQUEST_ESP_READ, "ESP_READ", 5, 5, true, write_esp_read, read_esp_read},
    {REQUEST_STOPPING, "STOPPING", 0, 0, false, write_nothing, read_nothing},
};

static const struct shape *shape_of(unsigned kind) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].kind == kind)
            return &shapes[i];
    return NULL;
}

bool monitor_request_read(struct span record, struct monitor_request *q, struct error *err) {
    struct reader r = reader_over(record.at, record.length);
    uint16_t kind;
    memset(q, 0, sizeof *q);
    if (record.length > MONITOR_RECORD_MAX || !reader_u16(&r, &kind) || !reader_u32(&r, &q->serial))
        return malformed(err, "record");
    const struct shape *shape = shape_of(kind);
    if (shape == NULL)
        return fail(err, OURS, 0, "there is no request %u", kind);
    q->kind = shape->kind;
    if (r.left < shape->least || r.left > shape->most || !shape->read(&r, q) || !reader_end(&r))
        return malformed(err, shape->name);
    return true;
}

void monitor_request_write(struct writer *w, const struct monitor_request *q) {
    const struct shape *shape = shape_of(q->kind);
    writer_u16(w, (uint16_t)q->kind);
    writer_u32(w, q->serial);
    if (shape != NULL)
        shape->write(w, q);
}

bool monitor_request_has_answer(enum monitor_request_kind kind) {
    const struct shape *shape = shape_of(kind);
    return shape != NULL && shape->has_answer;
}

const char *monitor_request_name(enum monitor_request_kind kind) {
    const struct shape *shape = shape_of(kind);
    return shape != NULL ? shape->name : "?";
}

/* ---------------------------------------------------------------- answers and notices ---- */

void monitor_answer_write(
    struct writer *w, enum monitor_request_kind kind, uint32_t serial, const struct monitor_answer *a) {
    size_t sentence = strnlen(a->error.text, sizeof a->error.text - 1);
    writer_u16(w, (uint16_t)kind);
    writer_u32(w, serial);
    writer_u8(w, (uint8_t)a->error.origin);
    writer_u16(w, a->error.notify);
    writer_u16(w, (uint16_t)sentence);
    writer_octets(w, a->error.text, sentence);
    write_address(w, &a->address);
    write_address(w, &a->address2);
    writer_u8(w, a->yes);
    writer_u8(w, (uint8_t)a->locals);
    for (size_t i = 0; i < a->locals; i++)
        write_address(w, &a->local[i]);
    writer_u64(w, a->network);
    write_name(w, a->name, sizeof a->name);
    writer_octets(w, a->local_auth, sizeof a->local_auth);
    writer_octets(w, a->remote_auth, sizeof a->remote_auth);
    const uint64_t esp[] = {
        a->esp.out, a->esp.in, a->esp.packets_out, a->esp.octets_out, a->esp.packets_in, a->esp.octets_in};
    for (size_t i = 0; i < sizeof esp / sizeof esp[0]; i++)
        writer_u64(w, esp[i]);
    writer_u32(w, (uint32_t)a->length);
    if (a->text != NULL)
        writer_octets(w, a->text, strlen(a->text));
}

static bool read_locals(struct reader *r, struct monitor_answer *a) {
    uint8_t count;
    if (!reader_u8(r, &count) || count > PEERS_ADDRESSES_MAX)
        return false;
    for (a->locals = 0; a->locals < count; a->locals++)
        if (!read_address(r, &a->local[a->locals]) || a->local[a->locals].family == 0)
            return false;
    return true;
}

bool monitor_answer_read(struct span record, enum monitor_request_kind *kind, uint32_t *serial,
    struct monitor_answer *a, char *text_storage) {
    struct reader r = reader_over(record.at, record.length);
    uint16_t number, sentence;
    uint8_t origin, yes;
    uint32_t length;
    *a = (struct monitor_answer){.fd = -1};
    if (!reader_u16(&r, &number) || shape_of(number) == NULL || !reader_u32(&r, serial) || !reader_u8(&r, &origin) ||
        origin > ORIGIN_CONFIG || !reader_u16(&r, &a->error.notify) || !reader_u16(&r, &sentence) ||
        sentence >= sizeof a->error.text || !reader_copy(&r, sentence, (uint8_t *)a->error.text) ||
        !read_address(&r, &a->address) || !read_address(&r, &a->address2) || !reader_u8(&r, &yes) || yes > 1 ||
        !read_locals(&r, a) || !reader_u64(&r, &a->network) || !read_name(&r, a->name, sizeof a->name) ||
        !reader_copy(&r, sizeof a->local_auth, a->local_auth) ||
        !reader_copy(&r, sizeof a->remote_auth, a->remote_auth) || !reader_u64(&r, &a->esp.out) ||
        !reader_u64(&r, &a->esp.in) || !reader_u64(&r, &a->esp.packets_out) || !reader_u64(&r, &a->esp.octets_out) ||
        !reader_u64(&r, &a->esp.packets_in) || !reader_u64(&r, &a->esp.octets_in) || !reader_u32(&r, &length))
        return false;
    *kind = (enum monitor_request_kind)number;
    a->error.origin = (enum error_origin)origin;
    a->error.where = "monitor";
    a->yes = yes;
    a->length = length;
    if (r.left > 0) {
        struct span rest = reader_rest(&r);
        if (rest.length >= MONITOR_RECORD_MAX)
            return false;
        memcpy(text_storage, rest.at, rest.length);
        text_storage[rest.length] = 0;
        a->text = text_storage;
    }
    return true;
}

void monitor_notice_write(struct writer *w, enum monitor_notice notice) {
    writer_u16(w, MONITOR_NOTICE);
    writer_u16(w, (uint16_t)notice);
}

bool monitor_notice_read(struct span record, enum monitor_notice *notice) {
    struct reader r = reader_over(record.at, record.length);
    uint16_t kind, value;
    if (!reader_u16(&r, &kind) || kind != MONITOR_NOTICE || !reader_u16(&r, &value) || !reader_end(&r) ||
        (value != NOTICE_STOP && value != NOTICE_RELOAD && value != NOTICE_NETWORK))
        return false;
    *notice = (enum monitor_notice)value;
    return true;
}
