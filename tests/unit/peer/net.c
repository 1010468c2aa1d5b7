/* net.c: the network in memory, and what a daemon would do for each action. */
#include "net.h"

#include <inttypes.h>

enum kind { TO_UDP, TO_STREAM, STREAM_ENDS, CONNECT, RESOLVED, AUTH, HOST, REPORT };

struct net_event {
    struct net_event *next;
    uint64_t at;
    enum kind kind;
    int end;
    struct carrier carrier;
    size_t stream;
    uint32_t attempt;
    peer_id peer;
    struct ike_auth_values auth;
    struct traffic_report report;
    size_t length;
    uint8_t octets[];
};

static const char *const names[ENDS] = {"west", "east", "north"};

static struct net_event *later(
    struct net *net, uint64_t delay, enum kind kind, int end, const uint8_t *octets, size_t length) {
    struct net_event *event = calloc(1, sizeof *event + length);
    assert_non_null(event);
    event->at = net->now + delay;
    event->kind = kind;
    event->end = end;
    event->length = length;
    if (length > 0)
        memcpy(event->octets, octets, length);
    struct net_event **at = &net->events;
    while (*at && (*at)->at <= event->at)
        at = &(*at)->next;
    event->next = *at;
    *at = event;
    return event;
}

/* --- configuration --- */

static void set_identity(struct identity *identity, const char *name) {
    *identity = (struct identity){.type = ID_FQDN, .length = strlen(name)};
    memcpy(identity->data, name, identity->length);
}

static void add(struct proposal *proposal, uint8_t type, uint16_t id, uint16_t bits) {
    proposal->transform[proposal->transforms++] = (struct transform){.type = type, .id = id, .key_bits = bits};
}

static struct selector selector_text(const char *text) {
    struct prefix prefix;
    struct error err;
    assert_true(prefix_parse(text, &prefix, &err));
    return selector_of_prefix(&prefix);
}

static const char *const subnets[ENDS] = {"10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"};

static void set_proposals(struct ike_config *ike) {
    struct proposal *first = &ike->proposals.proposal[0], *child = &ike->child_proposals.proposal[0];
    *first = (struct proposal){.number = 1, .protocol = PROTOCOL_IKE};
    *child = (struct proposal){.number = 1, .protocol = PROTOCOL_ESP};
    add(first, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    add(first, TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0);
    add(first, TRANSFORM_KE, KE_CURVE25519, 0);
    add(child, TRANSFORM_ENCR, ENCR_AES_GCM_16, 128);
    add(child, TRANSFORM_ESN, ESN_NO, 0);
    ike->proposals.count = ike->child_proposals.count = 1;
}

void net_config(struct peer_config *config, int end) {
    memset(config, 0, sizeof *config);
    snprintf(config->name, sizeof config->name, "office");
    config->revision = 1;
    struct ike_config *ike = &config->ike;
    ike->name = config->name;
    set_identity(&ike->local_id, names[end]);
    if (end != EAST)
        set_identity(&ike->remote_id, "east");
    set_proposals(ike);
    ike->children = 1;
    ike->child[0] = (struct ike_child_config){.name = "office", .replay_window = 64, .lifetime_ms = 8 * 3600 * SECOND};
    ike->child[0].local.selector[0] = selector_text(subnets[end]);
    ike->child[0].remote.selector[0] = selector_text(end == EAST ? "10.0.0.0/8" : subnets[EAST]);
    ike->child[0].local.count = ike->child[0].remote.count = 1;
    ike->lifetime_ms = 8 * 3600 * SECOND;
    ike->rekey_margin_ms = 540 * SECOND;
    ike->rekey_fuzz_percent = 100;
    ike->dpd_delay_ms = 30 * SECOND;
    ike->retransmit_interval_ms = 500;
    ike->retransmit_timeout_ms = 60 * SECOND;
    ike->force_encapsulation = ike->fragmentation = ike->initial_contact = true;
    path_config_defaults(&config->path);
    config->local_port = 500;
    config->may_initiate = end != EAST;
    if (end != EAST)
        snprintf(config->remote_host, sizeof config->remote_host, "192.0.2.2");
    config->accept_tcp = config->accept_udp = true;
    config->nat_keepalive_ms = 20 * SECOND;
    config->after_loss = end == EAST ? PEER_AFTER_CLEAR : PEER_AFTER_RESTART;
}

void net_configure(struct net *net, int end) {
    net_take(net, end, peers_configure(net->end[end].peers, net->now, net->end[end].config, 1));
}

static void end_begin(struct net *net, int end) {
    struct net_end *e = &net->end[end];
    struct peers_limits limits;
    peers_limits_defaults(&limits);
    e->peers = peers_new(&limits, 0, random_seeded(&net->rng), net->now);
    e->traffic = traffic_new(0);
    e->config = calloc(1, sizeof *e->config);
    assert_true(e->peers && e->traffic && e->config);
    e->outer = (struct address){.family = 4, .octets = {192, 0, 2, (uint8_t)(1 + end)}};
    e->next_stream = 1 + 1000 * (uint32_t)end;
    e->psk = 'k';
    net_config(e->config, end);
}

static void end_over(struct net_end *e) {
    peers_free(e->peers);
    traffic_free(e->traffic);
    free(e->config);
}

void net_restart(struct net *net, int end) {
    struct net_end old = net->end[end];
    for (struct net_event *event = net->events; event; event = event->next) {
        if (event->end != end)
            continue;
        if (event->kind == REPORT && event->report.kind == TRAFFIC_RETIRED)
            esp_sa_free(event->report.sa);
        event->kind = CONNECT; /* attempt 0: nothing */
        event->attempt = 0;
    }
    struct peer_config *config = old.config;
    old.config = NULL;
    end_over(&old);
    struct net_end *e = &net->end[end];
    uint32_t streams = e->next_stream;
    end_begin(net, end);
    free(e->config);
    e->config = config;
    e->next_stream = streams;
    e->host = false;
    for (size_t i = 0; i < net->streams; i++)
        for (int side = 0; side < 2; side++)
            if (net->stream[i].end[side] == end && net->stream[i].open[side]) {
                net->stream[i].open[side] = false;
                later(net, NET_DELAY, STREAM_ENDS, net->stream[i].end[!side], NULL, 0)->stream = i;
            }
}

int net_setup(void **state) {
    struct net *net = calloc(1, sizeof *net);
    assert_non_null(net);
    net->now = 100000;
    net->rng = 42;
    for (int end = 0; end < ENDS; end++)
        end_begin(net, end);
    *state = net;
    return 0;
}

int net_teardown(void **state) {
    struct net *net = *state;
    net->udp_blocked = false;
    for (int end = 0; end < ENDS; end++)
        net_take(net, end, peers_shutdown(net->end[end].peers, net->now));
    net_run(net, 3 * SECOND);
    int left = 0;
    for (int end = 0; end < ENDS; end++) {
        struct peers_totals totals = net_totals(net, end);
        left += !peers_idle(net->end[end].peers) || totals.streams || totals.half_open || net->end[end].host ||
                traffic_anchors(net->end[end].traffic) || traffic_sas(net->end[end].traffic);
    }
    if (left)
        net_print(net);
    for (int end = 0; end < ENDS; end++) {
        end_over(&net->end[end]);
    }
    while (net->events) {
        struct net_event *event = net->events;
        net->events = event->next;
        free(event);
    }
    free(net);
    return left;
}

/* --- what was said --- */

static void note(struct net *net, int end, const struct peer_action *action) {
    if (net->lines == NET_LINES)
        return;
    struct net_line *line = &net->line[net->lines++];
    *line =
        (struct net_line){.at = net->now, .end = end, .kind = action->kind, .step = action->step, .peer = action->peer};
    snprintf(line->text, sizeof line->text, "%s", action->text);
}

void net_print(const struct net *net) {
    for (size_t i = 0; i < net->lines; i++) {
        const struct net_line *line = &net->line[i];
        const char *kind = line->kind == PEER_UP ? "UP " : line->kind == PEER_DOWN ? "DOWN " : "";
        fprintf(stderr, "%8" PRIu64 " %-5s %s%s\n", line->at - 100000, names[line->end], kind, line->text);
    }
}

const struct net_line *net_said(const struct net *net, int end, const char *part) {
    for (size_t i = 0; i < net->lines; i++)
        if (net->line[i].end == end && strstr(net->line[i].text, part))
            return &net->line[i];
    return NULL;
}

size_t net_count(const struct net *net, int end, enum peer_action_kind kind, enum peer_step step) {
    size_t count = 0;
    for (size_t i = 0; i < net->lines; i++)
        count +=
            net->line[i].end == end && net->line[i].kind == kind && (kind != PEER_STEP || net->line[i].step == step);
    return count;
}

/* --- sending --- */

static void reports_later(struct net *net, int end, const struct traffic_reports *reports) {
    for (size_t i = 0; i < reports->count; i++)
        later(net, 0, REPORT, end, NULL, 0)->report = reports->report[i];
}

static bool has_address(const struct net_end *end, const struct address *address) {
    return (!end->outer_gone && address_same_host(&end->outer, address)) ||
           (end->second.family != 0 && address_same_host(&end->second, address));
}

static int end_at(const struct net *net, const struct address *address) {
    for (int end = 0; end < ENDS; end++)
        if (has_address(&net->end[end], address))
            return end;
    return -1;
}

/* The NAT in front of west forgets a binding after 30 s in which west sent nothing. */
static bool nat_takes(struct net *net, int from, int to) {
    if (from == WEST) {
        uint64_t silence = net->nat_until ? net->now + 30 * SECOND - net->nat_until : 0;
        net->nat_silence = silence > net->nat_silence ? silence : net->nat_silence;
        net->nat_until = net->now + 30 * SECOND;
    }
    return to != WEST || net->now < net->nat_until;
}

static void send_udp(struct net *net, int end, const struct carrier *carrier, const uint8_t *octets, size_t length) {
    int to = end_at(net, &carrier->remote);
    if (net->nat_port && !nat_takes(net, end, to))
        return;
    if (net->udp_blocked || to < 0 ||
        (!address_is_any(&carrier->local) && !has_address(&net->end[end], &carrier->local)))
        return;
    if (net->deaf == to + 1)
        return;
    if (net->catch_udp && end == WEST) {
        if (net->caught < 8 && length <= sizeof net->catch[0].octets) {
            memcpy(net->catch[net->caught].octets, octets, length);
            net->catch[net->caught++].length = length;
        }
        return;
    }
    if (net->port_blocked && carrier->remote.port == net->port_blocked)
        return;
    if (net->drop_next_udp > 0) {
        net->drop_next_udp--;
        return;
    }
    struct net_event *event = later(net, NET_DELAY + net->udp_delay, TO_UDP, to, octets, length);
    event->carrier = (struct carrier){.transport = TRANSPORT_UDP, .local = carrier->remote};
    event->carrier.remote = address_is_any(&carrier->local) ? net->end[end].outer : carrier->local;
    event->carrier.remote.port = carrier->local.port;
    if (net->nat_port && end == WEST)
        event->carrier.remote.port = (uint16_t)(net->nat_port + (carrier->local.port == 500));
    if (net->nat_port && to == WEST)
        event->carrier.local.port = carrier->remote.port == net->nat_port       ? 4500
                                    : carrier->remote.port == net->nat_port + 1 ? 500
                                                                                : 0;
}

static struct net_stream *find_stream(struct net *net, int end, uint32_t number, int *side) {
    for (size_t i = 0; i < net->streams; i++)
        for (*side = 0; *side < 2; ++*side)
            if (net->stream[i].end[*side] == end && net->stream[i].carrier[*side].stream == number)
                return &net->stream[i];
    return NULL;
}

static void send_stream(struct net *net, int end, uint32_t number, const uint8_t *octets, size_t length) {
    int side;
    struct net_stream *stream = find_stream(net, end, number, &side);
    if (!stream || !stream->open[side] || !stream->carries || stream->end[!side] < 0)
        return;
    struct net_event *event = later(net, NET_DELAY, TO_STREAM, stream->end[!side], octets, length);
    event->stream = (size_t)(stream - net->stream);
}

static void send_payload(
    struct net *net, int end, const struct carrier *carrier, const uint8_t *octets, size_t length) {
    if (carrier->transport == TRANSPORT_UDP)
        send_udp(net, end, carrier, octets, length);
    else
        send_stream(net, end, carrier->stream, octets, length);
}

static void send_keepalive(struct net *net, int end, const struct peer_action *action) {
    assert_int_equal(action->carrier.transport, TRANSPORT_UDP); /* S6 */
    assert_int_equal(action->octets.length, 1);
    assert_int_equal(action->octets.at[0], 0xff);
    net->keepalives[end]++;
    net->kept_at = net->now;
    send_payload(net, end, &action->carrier, action->octets.at, 1);
}

static void send_ike(struct net *net, int end, const struct peer_action *action) {
    if (action->bare) {
        send_keepalive(net, end, action);
        return;
    }
    bool marker = action->carrier.transport != TRANSPORT_UDP || action->carrier.local.port == 4500;
    uint8_t octets[4096] = {0};
    size_t extra = marker ? NON_ESP_MARKER_LENGTH : 0;
    assert_true(action->octets.length + extra <= sizeof octets);
    memcpy(octets + extra, action->octets.at, action->octets.length);
    net->end[end].ike_sent++;
    net->last_ike_length = action->octets.length < sizeof net->last_ike ? action->octets.length : 0;
    memcpy(net->last_ike, action->octets.at, net->last_ike_length);
    send_payload(net, end, &action->carrier, octets, extra + action->octets.length);
}

/* --- actions --- */

static void do_auth(struct net *net, int end, const struct peer_action *action) {
    struct net_event *event = later(net, 1, AUTH, end, NULL, 0);
    event->peer = action->peer;
    struct span psk = span_of(&net->end[end].psk, 1);
    assert_true(psk_auth(action->auth.prf, psk, action->auth.local_octets, event->auth.local_auth));
    if (action->auth.remote_octets.length > 0)
        assert_true(psk_auth(action->auth.prf, psk, action->auth.remote_octets, event->auth.expected));
    if (net->auth_refused)
        event->auth.refusal = "no PSK for it";
}

static void do_close(struct net *net, int end, uint32_t number) {
    int side;
    struct net_stream *stream = find_stream(net, end, number, &side);
    if (!stream || !stream->open[side])
        return;
    stream->open[side] = false;
    if (stream->end[!side] < 0 || !stream->carries)
        return;
    struct net_event *event = later(net, NET_DELAY, STREAM_ENDS, stream->end[!side], NULL, 0);
    event->stream = (size_t)(stream - net->stream);
}

static void do_traffic(struct net *net, int end, const struct peer_action *action) {
    struct traffic_reports reports = {0};
    traffic_apply(net->end[end].traffic, net->now, &action->traffic, &reports);
    reports_later(net, end, &reports);
}

/* Names that begin with "north" are north's, all others the other end's. */
static struct address resolved(const struct net *net, int end, const char *host) {
    struct address address;
    struct error ignored;
    if (address_parse(host, &address, &ignored))
        return address;
    return net->end[strncmp(host, "north", 5) == 0 ? NORTH : end == EAST ? WEST : EAST].outer;
}

static void act(struct net *net, int end, const struct peer_action *action) {
    struct net_event *event;
    switch (action->kind) {
    case PEER_RESOLVE:
        event = later(net, 0, RESOLVED, end, NULL, 0);
        event->peer = action->peer;
        event->carrier.remote = resolved(net, end, action->host);
        break;
    case PEER_SEND:
        send_ike(net, end, action);
        break;
    case PEER_CONNECT:
        net->connects++;
        net->flow_label = action->flow_label;
        event = later(net, 2 * NET_DELAY + net->connect_delay, CONNECT, end, NULL, 0);
        event->attempt = action->attempt;
        event->carrier = action->carrier;
        break;
    case PEER_CANCEL:
        for (event = net->events; event; event = event->next)
            if (event->kind == CONNECT && event->end == end && event->attempt == action->attempt)
                event->attempt = 0;
        break;
    case PEER_CLOSE:
        do_close(net, end, action->carrier.stream);
        break;
    case PEER_AUTH:
        do_auth(net, end, action);
        break;
    case PEER_TRAFFIC:
        do_traffic(net, end, action);
        break;
    case PEER_HOST_UP:
        net->end[end].host = true;
        later(net, 2, HOST, end, NULL, 0)->peer = action->peer;
        break;
    case PEER_HOST_DOWN:
        net->end[end].host = false;
        break;
    case PEER_SECRETS:
    case PEER_STEP:
    case PEER_UP:
    case PEER_DOWN:
        note(net, end, action);
        break;
    }
}

void net_take(struct net *net, int end, struct peer_output output) {
    for (size_t i = 0; i < output.actions; i++)
        act(net, end, &output.action[i]);
}

/* --- what arrives --- */

static void remember(
    struct net *net, int to, bool marker, bool ike, const struct net_event *event, const struct carrier *carrier) {
    struct net_frame *frame = &net->frame[net->frames++ % NET_FRAMES];
    *frame = (struct net_frame){.to = to, .marker = marker, .ike = ike, .carrier = *carrier};
    assert_true(event->length <= sizeof frame->octets);
    memcpy(frame->octets, event->octets, event->length);
    frame->length = event->length;
}

static enum traffic_verdict payload(struct net *net, int end, const struct carrier *carrier, bool marker,
    uint32_t *strikes, uint8_t *octets, size_t length) {
    struct traffic_frame frame = {.payload = octets, .length = length};
    struct traffic_reports reports = {0};
    traffic_receive(net->end[end].traffic, net->now, carrier, marker, 8, strikes, &frame, 1, &reports);
    for (size_t i = 0; i < reports.count; i++)
        if (reports.report[i].kind == TRAFFIC_CORRUPT)
            reports.report[i--] = reports.report[--reports.count]; /* the stream's owner sees the verdict */
    reports_later(net, end, &reports);
    if (frame.verdict == TRAFFIC_IS_INNER)
        net->inner_came[end]++;
    else if (frame.verdict == TRAFFIC_IS_IKE)
        net_take(net, end, peers_receive(net->end[end].peers, net->now, carrier, frame.message));
    return frame.verdict;
}

static void udp_arrives(struct net *net, struct net_event *event) {
    uint16_t port = event->carrier.local.port;
    if (port != 500 && port != 4500)
        return;
    uint8_t copy[4096];
    memcpy(copy, event->octets, event->length);
    enum traffic_verdict verdict = payload(net, event->end, &event->carrier, port == 4500, NULL, copy, event->length);
    remember(net, event->end, port == 4500, verdict == TRAFFIC_IS_IKE, event, &event->carrier);
}

static void tell_lost(struct net *net, struct net_stream *stream, int side, const char *why) {
    if (!stream->open[side])
        return;
    stream->open[side] = false;
    if (stream->end[side] < 0)
        return;
    struct error err = {.origin = ORIGIN_PEER};
    snprintf(err.text, sizeof err.text, "%s", why);
    int end = stream->end[side];
    net_take(net, end, peers_stream_lost(net->end[end].peers, net->now, stream->carrier[side].stream, &err));
}

void net_lose(struct net *net, struct net_stream *stream, int side) {
    tell_lost(net, stream, side, "the connection was reset");
}

static void accept_first(struct net *net, struct net_stream *stream) {
    if (stream->accepted)
        return;
    stream->accepted = true;
    int end = stream->end[1];
    net_take(net, end, peers_accepted(net->end[end].peers, net->now, &stream->carrier[1]));
}

static void stream_arrives(struct net *net, struct net_event *event) {
    struct net_stream *stream = &net->stream[event->stream];
    int side = stream->end[0] == event->end ? 0 : 1;
    if (side == 1)
        accept_first(net, stream);
    if (!stream->open[side])
        return;
    uint8_t copy[4096];
    memcpy(copy, event->octets, event->length);
    struct carrier carrier = stream->carrier[side];
    enum traffic_verdict verdict =
        payload(net, event->end, &carrier, true, &stream->strikes[side], copy, event->length);
    remember(net, event->end, true, verdict == TRAFFIC_IS_IKE, event, &carrier);
    if (verdict != TRAFFIC_IS_CORRUPT)
        return;
    tell_lost(net, stream, side, "the stream is corrupt");
    if (stream->end[!side] >= 0)
        later(net, NET_DELAY, STREAM_ENDS, stream->end[!side], NULL, 0)->stream = event->stream;
}

static void connected(struct net *net, struct net_event *event) {
    if (event->attempt == 0)
        return;
    int end = event->end, to = end_at(net, &event->carrier.remote);
    if (net->tcp_dropped)
        return;
    if (net->tcp_refused || to < 0 || net->streams == 128) {
        struct error err = {.origin = ORIGIN_HOST};
        char text[ADDRESS_TEXT_MAX];
        snprintf(err.text, sizeof err.text, "TCP %s refused the connection: nothing listens there",
            address_port_text(&event->carrier.remote, text));
        net_take(net, end, peers_connect_failed(net->end[end].peers, net->now, event->attempt, &err));
        return;
    }
    struct net_stream *stream = &net->stream[net->streams++];
    *stream = (struct net_stream){.open = {true, true}, .carries = true, .end = {end, to}};
    stream->carrier[0] = event->carrier;
    stream->carrier[0].stream = net->end[end].next_stream++;
    stream->carrier[0].local = net->end[end].outer;
    stream->carrier[0].local.port = (uint16_t)(30000 + stream->carrier[0].stream);
    stream->carrier[1] = (struct carrier){.transport = TRANSPORT_TCP, .stream = net->end[to].next_stream++};
    stream->carrier[1].local = stream->carrier[0].remote;
    stream->carrier[1].remote = stream->carrier[0].local;
    struct carrier carrier = stream->carrier[0];
    net_take(net, end, peers_connected(net->end[end].peers, net->now, event->attempt, &carrier));
}

static void happen(struct net *net, struct net_event *event) {
    struct net_end *e = &net->end[event->end];
    struct path_target target[2] = {{.local = e->outer, .remote = event->carrier.remote}};
    size_t targets = 1;
    if (net->two_addresses) {
        target[targets++] = target[0];
        target[0].remote.octets[3] = 99;
    }
    switch (event->kind) {
    case TO_UDP:
        udp_arrives(net, event);
        break;
    case TO_STREAM:
        stream_arrives(net, event);
        break;
    case STREAM_ENDS:
        tell_lost(net, &net->stream[event->stream], net->stream[event->stream].end[0] == event->end ? 0 : 1,
            "the other side closed the connection");
        break;
    case CONNECT:
        connected(net, event);
        break;
    case RESOLVED:
        net_take(net, event->end, peers_resolved(e->peers, net->now, event->peer, target, targets, NULL));
        break;
    case AUTH:
        net_take(net, event->end, peers_auth(e->peers, net->now, event->peer, &event->auth));
        break;
    case HOST:
        net_take(net, event->end, peers_host_done(e->peers, net->now, event->peer, NULL));
        break;
    case REPORT:
        if (event->report.kind == TRAFFIC_RETIRED)
            esp_sa_free(event->report.sa);
        else
            net_take(net, event->end, peers_traffic(e->peers, net->now, &event->report));
        break;
    }
}

static uint64_t next_time(const struct net *net) {
    uint64_t at = net->events ? net->events->at : NEVER;
    for (int end = 0; end < ENDS; end++) {
        uint64_t deadline = peers_deadline(net->end[end].peers);
        at = deadline < at ? deadline : at;
    }
    return at < net->now ? net->now : at;
}

void net_run(struct net *net, uint64_t ms) {
    uint64_t until = net->now + ms;
    while (next_time(net) <= until) {
        net->now = next_time(net);
        struct net_event *event = net->events;
        if (event && event->at <= net->now) {
            net->events = event->next;
            happen(net, event);
            free(event);
            continue;
        }
        for (int end = 0; end < ENDS; end++)
            if (peers_deadline(net->end[end].peers) <= net->now)
                net_take(net, end, peers_wake(net->end[end].peers, net->now));
    }
    net->now = until;
}

/* --- what tests ask for --- */

peer_id net_up(struct net *net, int end) {
    peer_id id = 0;
    struct error err = {0};
    net_take(net, end, peers_up(net->end[end].peers, net->now, "office", &id, &err));
    if (err.origin != ORIGIN_NONE)
        print_message("%s\n", err.text);
    return id;
}

void net_bring_up(struct net *net) {
    net_configure(net, EAST);
    net_configure(net, WEST);
    assert_int_not_equal(net_up(net, WEST), 0);
    net_run(net, 3 * SECOND);
    if (net_count(net, WEST, PEER_UP, 0) != 1)
        net_print(net);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

bool net_ping(struct net *net, int from, int to) {
    uint8_t packet[512];
    uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, (uint8_t)(1 + from), 0, 1, 10, (uint8_t)(1 + to),
        0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    struct traffic_route route;
    if (!traffic_route(net->end[from].traffic, 0, inner, sizeof inner, &route) ||
        route.carrier->transport == TRANSPORT_NONE)
        return false;
    memcpy(packet + esp_seal_offset(route.sa), inner, sizeof inner);
    struct esp_seal_job job = {.packet = packet, .inner = sizeof inner, .next_header = 4};
    assert_int_equal(esp_seal(route.sa, &job, 1), 1);
    uint64_t before = net->inner_came[to];
    send_payload(net, from, route.carrier, packet, job.length);
    net_run(net, 2 * NET_DELAY);
    return net->inner_came[to] == before + 1;
}

struct peer_status *net_status(struct net *net, int end) {
    static struct peer_status status;
    if (!peers_status(net->end[end].peers, 0, &status))
        memset(&status, 0, sizeof status);
    return &status;
}

struct peers_totals net_totals(struct net *net, int end) {
    struct peers_totals totals;
    peers_totals(net->end[end].peers, &totals);
    return totals;
}

struct net_stream *net_stream(struct net *net) {
    for (size_t i = net->streams; i-- > 0;)
        if (net->stream[i].open[0] && net->stream[i].open[1])
            return &net->stream[i];
    return NULL;
}

size_t net_open_streams(const struct net *net, int end) {
    size_t count = 0;
    for (size_t i = 0; i < net->streams; i++)
        for (int side = 0; side < 2; side++)
            count += net->stream[i].end[side] == end && net->stream[i].open[side];
    return count;
}

void net_cut(struct net *net) {
    for (size_t i = 0, count = net->streams; i < count; i++)
        for (int side = 0; side < 2; side++)
            net_lose(net, &net->stream[i], side);
}

void net_move(struct net *net, int end, uint8_t last_octet) {
    net->end[end].outer.octets[3] = last_octet;
    for (size_t i = 0; i < net->streams; i++)
        if (net->stream[i].end[0] == end || net->stream[i].end[1] == end)
            net->stream[i].carries = false;
    peers_set_network(net->end[end].peers, last_octet);
    net_take(net, end, peers_network_changed(net->end[end].peers, net->now));
}

void net_break_silently(struct net *net) {
    for (size_t i = 0; i < net->streams; i++)
        net->stream[i].carries = false;
}

struct carrier net_attack(struct net *net, int end) {
    struct net_stream *stream = &net->stream[net->streams++];
    *stream = (struct net_stream){.open = {false, true}, .carries = true, .accepted = true, .end = {-1, end}};
    stream->carrier[1] = (struct carrier){.transport = TRANSPORT_TCP, .stream = net->end[end].next_stream++};
    stream->carrier[1].local = net->end[end].outer;
    stream->carrier[1].local.port = 4500;
    stream->carrier[1].remote = (struct address){.family = 4, .octets = {203, 0, 113, 66}, .port = 6666};
    struct carrier carrier = stream->carrier[1];
    net_take(net, end, peers_accepted(net->end[end].peers, net->now, &carrier));
    return carrier;
}

bool net_inject(struct net *net, int end, const struct carrier *carrier, const uint8_t *octets, size_t length) {
    uint8_t copy[4096];
    memcpy(copy, octets, length);
    int side;
    struct net_stream *stream = find_stream(net, end, carrier->stream, &side);
    bool udp = carrier->transport == TRANSPORT_UDP;
    enum traffic_verdict verdict = payload(
        net, end, carrier, !udp || carrier->local.port == 4500, udp ? NULL : &stream->strikes[side], copy, length);
    if (verdict == TRAFFIC_IS_CORRUPT)
        tell_lost(net, stream, side, "the stream is corrupt");
    return verdict == TRAFFIC_IS_CORRUPT;
}

const struct net_frame *net_last(const struct net *net, int to, bool ike) {
    for (size_t i = net->frames; i > 0 && i + NET_FRAMES > net->frames; i--) {
        const struct net_frame *frame = &net->frame[(i - 1) % NET_FRAMES];
        if (frame->to == to && frame->ike == ike)
            return frame;
    }
    return NULL;
}
