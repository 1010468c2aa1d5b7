/* tls.c: streams inside TLS, from the handshake to close_notify. Rows S2, S8, S13, T1, T2, T3, T5, T6, T7. */
#include "support.h"

#include "transport/tls_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_MOST ((size_t)131072)
#define FLAG_I IKE_FLAG_INITIATOR

struct fixture {
    struct tls_server *server;
    struct tls_client *client;
    struct event_base *base;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    f->server = tls_server_new(NULL, NULL, &err);
    f->client = tls_client_new(&err);
    f->base = event_base_new();
    assert_true(f->server != NULL && f->client != NULL && f->base != NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tls_server_free(f->server);
    tls_client_free(f->client);
    event_base_free(f->base);
    free(f);
    return 0;
}

static void unblock(int fd) {
    assert_int_equal(evutil_make_socket_nonblocking(fd), 0);
}

static const struct tls_wanted any = {.server_name = "gate.example"};

struct pair {
    int fd[2]; /* the client's, the server's */
    struct tls *tls[2];
};

/* Both sides of a handshake over a socket pair, in turn. */
static struct pair shake(struct fixture *f, const struct tls_wanted *wanted, int version, struct span before) {
    struct pair p;
    struct error err = {0};
    struct address remote = loopback(4);
    tcp_pair(4, p.fd);
    unblock(p.fd[0]);
    unblock(p.fd[1]);
    p.tls[0] = tls_connect(f->client, p.fd[0], wanted, &remote, before, &err);
    p.tls[1] = tls_accept(f->server, p.fd[1], span_of(NULL, 0), &err);
    assert_true(p.tls[0] != NULL && p.tls[1] != NULL);
    if (version != 0)
        assert_int_equal(SSL_set_max_proto_version(p.tls[0]->ssl, version), 1);
    bool done[2] = {false, false};
    for (int i = 0; i < 2000 && !(done[0] && done[1]); i++) {
        for (int side = 0; side < 2; side++) {
            enum tls_result result = done[side] ? TLS_DONE : tls_handshake(p.tls[side], &err);
            if (result == TLS_CLOSED || result == TLS_FAILED)
                fail_msg("side %d %s", side, err.text);
            done[side] = result == TLS_DONE;
        }
        sleep_ms(1);
    }
    assert_true(done[0] && done[1]);
    return p;
}

static void drop(struct pair p) {
    for (int i = 0; i < 2; i++) {
        tls_free(p.tls[i]);
        close(p.fd[i]);
    }
}

static struct stream *open_stream(int fd, struct tls *tls, bool originator, struct span octets) {
    struct error err;
    struct stream_options options = {.originator = originator,
        .transport = TRANSPORT_TLS,
        .tls = tls,
        .octets = octets,
        .write_queue_max = QUEUE_MOST};
    struct stream *s = stream_new(fd, &options, &err);
    assert_non_null(s);
    return s;
}

struct ends {
    struct stream *ours, *theirs; /* Originator, Responder */
};

static struct ends open_ends(struct fixture *f, int version) {
    struct pair p = shake(f, &any, version, span_of(NULL, 0));
    struct span none = span_of(NULL, 0);
    return (struct ends){open_stream(p.fd[0], p.tls[0], true, none), open_stream(p.fd[1], p.tls[1], false, none)};
}

static void close_ends(struct ends ends) {
    stream_free(ends.ours);
    stream_free(ends.theirs);
}

static void T1_S13_prefix_and_first_message_are_the_first_record_inside_tls(void **state) {
    struct fixture *f = *state;
    struct pair p = shake(f, &any, 0, span_of(NULL, 0));
    struct stream *ours = open_stream(p.fd[0], p.tls[0], true, span_of(NULL, 0));
    struct error err;
    uint8_t message[200] = {1, 2, 3}, came[512];
    assert_int_equal(stream_send_ike(ours, span_of(message, sizeof message), &err), STREAM_OK);
    sleep_ms(20);
    size_t got;
    /* One SSL_read gives one record at most. */
    assert_int_equal(SSL_read_ex(p.tls[1]->ssl, came, sizeof came, &got), 1);
    assert_int_equal(got, STREAM_PREFIX_LENGTH + 2 + 4 + sizeof message);
    assert_memory_equal(came, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
    stream_free(ours);
    tls_free(p.tls[1]);
    close(p.fd[1]);
}

static void T1_octets_read_before_tls_was_known_are_its_own(void **state) {
    struct fixture *f = *state;
    struct error err;
    struct address remote = loopback(4);
    int fd[2];
    tcp_pair(4, fd);
    unblock(fd[0]);
    unblock(fd[1]);
    struct tls *client = tls_connect(f->client, fd[0], &any, &remote, span_of(NULL, 0), &err);
    assert_int_equal(tls_handshake(client, &err), TLS_WANTS_READ);
    sleep_ms(10);
    uint8_t hello[300];
    ssize_t got = recv(fd[1], hello, 100, 0); /* a part of it, as a listener may have read */
    assert_int_equal(got, 100);
    assert_int_equal(hello[0], 0x16);
    struct tls *server = tls_accept(f->server, fd[1], span_of(hello, (size_t)got), &err);
    enum tls_result ours = TLS_WANTS_READ, theirs = TLS_WANTS_READ;
    for (int i = 0; i < 1000 && (ours != TLS_DONE || theirs != TLS_DONE); i++) {
        theirs = theirs == TLS_DONE ? theirs : tls_handshake(server, &err);
        ours = ours == TLS_DONE ? ours : tls_handshake(client, &err);
        sleep_ms(1);
    }
    assert_true(ours == TLS_DONE && theirs == TLS_DONE);
    tls_free(client);
    tls_free(server);
    close(fd[0]);
    close(fd[1]);
}

static void T6_close_notify_comes_before_the_FIN_and_no_certificate_is_asked_for(void **state) {
    struct fixture *f = *state;
    for (int side = 0; side < 2; side++) {
        struct pair p = shake(f, &any, 0, span_of(NULL, 0));
        assert_int_equal(SSL_get_verify_mode(p.tls[1]->ssl), SSL_VERIFY_NONE);
        SSL_clear_options(p.tls[1 - side]->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF); /* a FIN alone would be a fault */
        stream_free(open_stream(p.fd[side], p.tls[side], side == 0, span_of(NULL, 0)));
        sleep_ms(20);
        uint8_t octet;
        size_t got;
        struct error err;
        enum tls_result result;
        do
            result = tls_read(p.tls[1 - side], &octet, 1, &got, &err);
        while (result == TLS_DONE);
        assert_int_equal(result, TLS_CLOSED);
        assert_int_equal(SSL_get_shutdown(p.tls[1 - side]->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        assert_false(p.tls[1 - side]->ended); /* it was no FIN that said so */
        tls_free(p.tls[1 - side]);
        close(p.fd[1 - side]);
    }
}

static void T7_no_cipher_that_is_none_and_no_version_before_1_2(void **state) {
    struct fixture *f = *state;
    struct pair p = shake(f, &any, 0, span_of(NULL, 0));
    for (int side = 0; side < 2; side++) {
        SSL *ssl = p.tls[side]->ssl;
        assert_int_equal(SSL_get_min_proto_version(ssl), TLS1_2_VERSION);
        STACK_OF(SSL_CIPHER) *ciphers = SSL_get_ciphers(ssl);
        assert_true(sk_SSL_CIPHER_num(ciphers) > 0);
        for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
            const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
            assert_true(SSL_CIPHER_is_aead(cipher));
            assert_int_not_equal(SSL_CIPHER_get_cipher_nid(cipher), 0);
        }
        assert_int_equal(SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_RENEGOTIATION);
    }
    drop(p);
}

/* Exchanges a message each way: with TLS 1.3 that is when tickets come. */
static void talk(struct ends ends) {
    struct error err;
    uint8_t frame[64];
    struct span payload;
    size_t count = 0, length = esp_frame(frame, 7, 40, 1);
    struct stream *from[] = {ends.ours, ends.theirs}, *to[] = {ends.theirs, ends.ours};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stream_write_frames(from[i], frame, length, &err), STREAM_OK);
        count = 0;
        for (int j = 0; j < 1000 && count == 0; j++) {
            assert_true(stream_read(to[i], &err) <= STREAM_AGAIN);
            assert_int_equal(stream_payloads(to[i], &payload, 1, &count, &err), STREAM_OK);
            sleep_ms(1);
        }
        assert_int_equal(count, 1);
        assert_int_equal(payload.length, 40);
    }
}

static void T5_a_connection_that_was_cut_is_resumed_in_both_versions(void **state) {
    struct fixture *f = *state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        for (int round = 0; round < 3; round++) {
            struct pair p = shake(f, &any, versions[i], span_of(NULL, 0));
            assert_int_equal(SSL_version(p.tls[0]->ssl), versions[i]);
            char text[TLS_TEXT_MAX];
            bool resumed = strstr(tls_text(p.tls[0], text), ", resumed") != NULL;
            assert_int_equal(resumed, round > 0);
            struct span none = span_of(NULL, 0);
            int cut = dup(p.fd[1]);
            struct ends ends = {
                open_stream(p.fd[0], p.tls[0], true, none), open_stream(p.fd[1], p.tls[1], false, none)};
            talk(ends);
            struct linger hard = {.l_onoff = 1};
            assert_int_equal(setsockopt(cut, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
            assert_int_equal(shutdown(cut, SHUT_RDWR), 0);
            close(cut);
            close_ends(ends);
        }
        tls_client_free(f->client); /* forgets */
        struct error err;
        f->client = tls_client_new(&err);
    }
}

static void T5_a_session_is_for_its_peer_and_its_check_alone(void **state) {
    struct fixture *f = *state;
    struct ends ends = open_ends(f, TLS1_2_VERSION);
    talk(ends);
    close_ends(ends);
    struct tls_wanted other = {.server_name = "other.example"};
    struct pair p = shake(f, &other, TLS1_2_VERSION, span_of(NULL, 0));
    assert_false(SSL_session_reused(p.tls[0]->ssl));
    drop(p);
    /* Who asks for a check must not get the session of who did not. */
    struct error err;
    int fd[2];
    tcp_pair(4, fd);
    struct address remote = loopback(4);
    struct tls_wanted checked = any;
    checked.verify = true;
    struct tls *tls = tls_connect(f->client, fd[0], &checked, &remote, span_of(NULL, 0), &err);
    assert_non_null(tls);
    assert_null(SSL_get_session(tls->ssl));
    tls_free(tls);
    close(fd[0]);
    close(fd[1]);
}

static void S8_a_message_cut_off_by_the_end_is_discarded_with_or_without_close_notify(void **state) {
    struct fixture *f = *state;
    for (int polite = 0; polite < 2; polite++) {
        struct pair p = shake(f, &any, 0, span_of(NULL, 0));
        struct stream *theirs = open_stream(p.fd[1], p.tls[1], false, span_of(NULL, 0));
        uint8_t octets[80] = "IKETCP";
        size_t length = 6 + esp_frame(octets + 6, 7, 40, 1) - 1, sent;
        struct error err;
        assert_int_equal(tls_write(p.tls[0], octets, length, &sent, &err), TLS_DONE);
        if (polite)
            tls_close(p.tls[0]);
        tls_free(p.tls[0]);
        close(p.fd[0]);
        sleep_ms(20);
        struct span payload;
        size_t count = 0;
        enum stream_result result = STREAM_OK;
        for (int i = 0; i < 100 && result <= STREAM_AGAIN; i++) {
            result = stream_read(theirs, &err);
            assert_int_equal(stream_payloads(theirs, &payload, 1, &count, &err), STREAM_OK);
            assert_int_equal(count, 0);
        }
        assert_int_equal(result, STREAM_CLOSED);
        stream_free(theirs);
    }
}

static void a_record_that_was_changed_on_its_way_breaks_the_stream(void **state) {
    struct fixture *f = *state;
    struct pair p = shake(f, &any, 0, span_of(NULL, 0));
    struct stream *theirs = open_stream(p.fd[1], p.tls[1], false, span_of(NULL, 0));
    uint8_t record[40] = {0x17, 3, 3, 0, 35};
    send_all(p.fd[0], record, sizeof record);
    sleep_ms(20);
    struct error err;
    enum stream_result result = STREAM_OK;
    for (int i = 0; i < 10 && result <= STREAM_AGAIN; i++)
        result = stream_read(theirs, &err);
    assert_int_equal(result, STREAM_FAILED);
    assert_non_null(strstr(err.text, "the TLS connection broke: "));
    stream_free(theirs);
    tls_free(p.tls[0]);
    close(p.fd[0]);
}

/* What came out of a stream, in order: ESP frames carry their number in the SPI, IKE in the first SPI. */
struct tally {
    uint32_t esp, ike; /* the last ones seen */
    bool spun; /* octets came only because stream_pending said so */
};

static void tally_read(struct tally *t, struct stream *s) {
    struct error err;
    for (bool more = true; more;) {
        bool pending = stream_pending(s);
        enum stream_result result = stream_read(s, &err);
        if (result > STREAM_AGAIN)
            fail_msg("%s", err.text);
        t->spun |= pending && result == STREAM_OK;
        more = result == STREAM_OK && stream_pending(s);
        struct span payload, inside;
        size_t count;
        do {
            assert_int_equal(stream_payloads(s, &payload, 1, &count, &err), STREAM_OK);
            if (count == 0)
                break;
            enum payload_kind kind = payload_classify(payload, &inside);
            struct reader r = reader_over(inside.at, inside.length);
            uint32_t number;
            uint8_t octet;
            assert_true(reader_u32(&r, &number));
            if (kind == PAYLOAD_IS_ESP) {
                assert_true(number > t->esp);
                t->esp = number;
            } else {
                assert_int_equal(kind, PAYLOAD_IS_IKE);
                assert_int_equal(number, t->ike + 1);
                t->ike = number;
            }
            while (reader_u8(&r, &octet))
                assert_int_equal(octet, (uint8_t)number);
        } while (count > 0);
    }
}

static void frames_stay_whole_and_in_order_whatever_the_socket_takes(void **state) {
    struct fixture *f = *state;
    bool blocked = false, spun = false;
    for (uint64_t first = 1; first <= 8; first++) {
        uint64_t seed = first;
        struct random_source random = random_seeded(&seed);
        struct ends ends = open_ends(f, first % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        int octets = 4096 << random_u32(&random) % 5;
        assert_int_equal(setsockopt(stream_fd(ends.ours), SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets), 0);
        struct tally tally = {0};
        struct error err;
        uint8_t *burst = malloc(8 * 9002), message[3000];
        uint32_t esp = 0, ike = 0, accepted = 0;
        for (int i = 0; i < 600; i++) {
            size_t length = 0;
            for (uint32_t n = random_u32(&random) % 8; n > 0; n--) {
                esp++;
                length += esp_frame(burst + length, esp, 4 + random_u32(&random) % 8990, (uint8_t)esp);
            }
            if (length > 0 && stream_write_frames(ends.ours, burst, length, &err) == STREAM_OK)
                accepted = esp; /* refused ones leave a gap */
            if (random_u32(&random) % 4 == 0 && ike - tally.ike < 30) {
                ike++;
                memset(message, (uint8_t)ike, sizeof message);
                struct writer w = writer_over(message, 4);
                writer_u32(&w, ike);
                struct span span = span_of(message, 4 + random_u32(&random) % (sizeof message - 4));
                assert_int_equal(stream_send_ike(ends.ours, span, &err), STREAM_OK);
            }
            blocked |= stream_wants_write(ends.ours);
            if (random_u32(&random) % 2 == 0)
                assert_int_equal(stream_flush(ends.ours, &err), STREAM_OK);
            if (random_u32(&random) % 3 == 0)
                tally_read(&tally, ends.theirs);
        }
        for (int i = 0; i < 3000 && (stream_wants_write(ends.ours) || tally.ike < ike || tally.esp < accepted); i++) {
            assert_int_equal(stream_flush(ends.ours, &err), STREAM_OK);
            tally_read(&tally, ends.theirs);
            sleep_ms(1);
        }
        if (tally.ike != ike || tally.esp != accepted)
            fail_msg("seed %lu: %u of %u IKE, %u of %u ESP", (unsigned long)first, tally.ike, ike, tally.esp, accepted);
        spun |= tally.spun;
        free(burst);
        close_ends(ends);
    }
    assert_true(blocked); /* else nothing was proved */
    assert_true(spun);
}

static void octets_that_tls_has_already_are_pending(void **state) {
    struct fixture *f = *state;
    struct pair p = shake(f, &any, 0, span_of(NULL, 0));
    uint8_t octets[256] = "IKETCP";
    size_t length = 6, sent, got;
    length += esp_frame(octets + length, 7, 60, 1);
    length += esp_frame(octets + length, 8, 61, 2);
    struct error err;
    assert_int_equal(tls_write(p.tls[0], octets, length, &sent, &err), TLS_DONE);
    sleep_ms(20);
    uint8_t first[80]; /* as a listener reads it */
    assert_int_equal(tls_read(p.tls[1], first, sizeof first, &got, &err), TLS_DONE);
    assert_int_equal(got, sizeof first);
    struct stream *theirs = open_stream(p.fd[1], p.tls[1], false, span_of(first, got));
    struct span payload;
    size_t count, seen = 0;
    for (int i = 0; i < 4 && seen < 2; i++) {
        assert_true(i == 0 || stream_pending(theirs)); /* the socket has nothing more */
        assert_int_equal(stream_read(theirs, &err), STREAM_OK);
        while (stream_payloads(theirs, &payload, 1, &count, &err) == STREAM_OK && count > 0)
            assert_int_equal(payload.length, 60 + seen++);
    }
    assert_int_equal(seen, 2);
    assert_int_equal(stream_read(theirs, &err), STREAM_AGAIN);
    assert_false(stream_pending(theirs));
    stream_free(theirs);
    tls_free(p.tls[0]);
    close(p.fd[0]);
}

/* ---- through a listener and a connector ---- */

struct accepted {
    int count;
    struct accepted_stream stream;
    uint8_t octets[1024];
};

static void on_stream(void *context, const struct accepted_stream *stream) {
    struct accepted *a = context;
    a->stream = *stream;
    memcpy(a->octets, stream->octets, stream->length);
    a->count++;
}

struct opened {
    int count;
    struct connected_stream stream;
    struct error err;
    uint8_t octets[1024];
};

static void on_opened(void *context, const struct connected_stream *stream, const struct error *err) {
    struct opened *o = context;
    o->stream = *stream;
    if (stream->length > 0)
        memcpy(o->octets, stream->octets, stream->length);
    o->err = *err;
    o->count++;
}

static struct tcp_listener *listen_at(struct fixture *f, struct accepted *a, struct address *at, bool plain, bool tls) {
    struct accept_limits limits;
    struct error err;
    accept_limits_defaults(&limits);
    limits.first_message_ms = 3000;
    struct tcp_listener *listener = tcp_listener_new(f->base, listening_socket(4, 16, at), &limits, on_stream, a, &err);
    assert_non_null(listener);
    struct listener_services services = {.plain = plain, .tls = tls ? f->server : NULL};
    tcp_listener_serve(listener, &services);
    return listener;
}

static struct connect_wanted to_address(struct fixture *f, const struct address *at, uint64_t step_ms) {
    return (struct connect_wanted){
        .remote = *at, .timeout_ms = 2000, .step_timeout_ms = step_ms, .tls = f->client, .tls_wanted = any};
}

static struct opened open_to(struct fixture *f, const struct connect_wanted *wanted) {
    struct opened o = {0};
    struct error err;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stream_connector *c = stream_connector_new(f->base, fd, wanted, on_opened, &o, &err);
    assert_non_null(c);
    assert_int_equal(o.count, 0);
    loop_until(f->base, &o.count, 1, 4000);
    loop_for(f->base, 10);
    assert_int_equal(o.count, 1);
    stream_connector_free(c);
    return o;
}

static void T1_T3_a_listener_takes_plain_and_tls_on_one_port(void **state) {
    struct fixture *f = *state;
    struct address at;
    struct accepted a = {0};
    struct tcp_listener *listener = listen_at(f, &a, &at, true, true);
    struct connect_wanted wanted = to_address(f, &at, 2000);
    for (int tls = 0; tls < 2; tls++) {
        wanted.tls = tls ? f->client : NULL;
        struct opened o = open_to(f, &wanted);
        assert_true(o.stream.fd >= 0);
        assert_int_equal(o.stream.tls != NULL, tls);
        assert_true(address_equal(&o.stream.remote, &at));
        struct stream *s = open_stream(o.stream.fd, o.stream.tls, true, span_of(NULL, 0));
        struct error err;
        uint8_t message[200];
        struct ike_header header = {.spi_i = 0x1122, .version = IKE_VERSION, .exchange = IKE_SA_INIT, .flags = FLAG_I};
        struct writer w = writer_over(message, sizeof message);
        struct message_writer m = message_begin(&w, &header);
        writer_zero(&w, sizeof message - IKE_HEADER_LENGTH);
        message_end(&m);
        assert_int_equal(stream_send_ike(s, span_of(message, sizeof message), &err), STREAM_OK);
        loop_until(f->base, &a.count, tls + 1, 2000);
        assert_int_equal(a.stream.transport, tls ? TRANSPORT_TLS : TRANSPORT_TCP);
        assert_int_equal(a.stream.tls != NULL, tls);
        assert_memory_equal(a.octets, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
        assert_int_equal(a.stream.length, STREAM_PREFIX_LENGTH + 6 + sizeof message);
        stream_free(s);
        tls_free(a.stream.tls);
        close(a.stream.fd);
    }
    assert_int_equal(tcp_listener_pending(listener), 0);
    tcp_listener_free(listener);
}

static void wait_closed(struct fixture *f, int fd) {
    uint8_t octets[4096];
    for (int i = 0; i < 2000; i++) {
        loop_for(f->base, 2);
        ssize_t n = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return;
    }
    fail_msg("it was not closed");
}

static void S2_a_port_for_tls_alone_takes_no_plain_stream_and_the_other_way_round(void **state) {
    struct fixture *f = *state;
    struct address at;
    struct accepted a = {0};
    uint8_t octets[256] = "IKETCP";
    size_t length = 6 + ike_frame(octets + 6, 1, 0, FLAG_I, 100);
    struct tcp_listener *listener = listen_at(f, &a, &at, false, true);
    int fd = tcp_dial(&at);
    send_all(fd, octets, length);
    uint8_t back[16];
    wait_closed(f, fd);
    assert_true(recv(fd, back, sizeof back, MSG_DONTWAIT) <= 0);
    close(fd);
    tcp_listener_free(listener);

    listener = listen_at(f, &a, &at, true, false);
    struct connect_wanted wanted = to_address(f, &at, 2000);
    struct opened o = open_to(f, &wanted);
    assert_int_equal(o.stream.fd, -1);
    char text[ADDRESS_TEXT_MAX], says[100];
    snprintf(says, sizeof says, "TLS %s closed the connection in the TLS handshake", address_port_text(&at, text));
    if (strcmp(o.err.text, says) != 0) /* or the octets that it did not read made it a reset */
        assert_non_null(strstr(o.err.text, "broke the connection in the TLS handshake"));
    tcp_listener_free(listener);
    assert_int_equal(a.count, 0);
}

static void L12_octets_of_a_handshake_buy_no_time(void **state) {
    struct fixture *f = *state;
    struct address at;
    struct accepted a = {0};
    struct accept_limits limits;
    struct error err;
    accept_limits_defaults(&limits);
    limits.first_message_ms = 300;
    struct tcp_listener *listener =
        tcp_listener_new(f->base, listening_socket(4, 16, &at), &limits, on_stream, &a, &err);
    struct listener_services services = {.tls = f->server};
    tcp_listener_serve(listener, &services);
    int silent = tcp_dial(&at), slow = tcp_dial(&at), inside;
    send_all(silent, "\x16", 1);
    static const uint8_t hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    for (size_t i = 0; i < sizeof hello; i++) {
        if (send(slow, hello + i, 1, MSG_NOSIGNAL) != 1)
            break;
        loop_for(f->base, 40);
    }
    loop_for(f->base, 100);
    assert_int_equal(tcp_listener_pending(listener), 0);
    /* the same of one who finishes it and says nothing */
    struct connect_wanted wanted = to_address(f, &at, 2000);
    struct opened o = open_to(f, &wanted);
    inside = o.stream.fd;
    assert_true(inside >= 0);
    for (int i = 0; i < 500 && tcp_listener_pending(listener) > 0; i++)
        loop_for(f->base, 2);
    assert_int_equal(tcp_listener_pending(listener), 0);
    tls_free(o.stream.tls);
    close(inside);
    close(silent);
    close(slow);
    tcp_listener_free(listener);
    assert_int_equal(a.count, 0);
}

static void T2_what_goes_wrong_in_a_handshake_is_one_sentence(void **state) {
    struct fixture *f = *state;
    struct address at;
    struct error err;
    char text[ADDRESS_TEXT_MAX], says[200];
    /* mute */
    int listener = listening_socket(4, 4, &at);
    struct connect_wanted wanted = to_address(f, &at, 200);
    struct opened o = open_to(f, &wanted);
    snprintf(says, sizeof says, "TLS %s took the connection but did not finish the TLS handshake in 0.2 s",
        address_port_text(&at, text));
    assert_string_equal(o.err.text, says);
    close(listener);
    /* no TLS: a server that greets */
    listener = listening_socket(4, 4, &at);
    wanted = to_address(f, &at, 2000);
    struct opened late = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stream_connector *c = stream_connector_new(f->base, fd, &wanted, on_opened, &late, &err);
    int served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    send_all(served, "220 mail.example ready\r\n", 24);
    loop_until(f->base, &late.count, 1, 3000);
    assert_non_null(strstr(late.err.text, " does not speak TLS ("));
    stream_connector_free(c);
    close(served);
    close(listener);
    /* a certificate that nobody signed, of another name */
    struct accepted a = {0};
    struct tcp_listener *tls = listen_at(f, &a, &at, false, true);
    wanted = to_address(f, &at, 2000);
    wanted.tls_wanted.verify = true;
    o = open_to(f, &wanted);
    assert_non_null(strstr(o.err.text, " shows a certificate that does not verify: "));
    wanted.tls_wanted.ca = "no PEM";
    o = open_to(f, &wanted);
    assert_non_null(strstr(o.err.text, "tls-ca has no certificate in PEM form"));
    wanted.tls_wanted.ca = NULL;
    wanted.tls_wanted.server_name[0] = 0;
    o = open_to(f, &wanted);
    assert_non_null(strstr(o.err.text, "set tls-servername"));
    tcp_listener_free(tls);
}

static void certificates_that_can_not_be_used_are_said(void **state) {
    (void)state;
    struct error err;
    assert_null(tls_server_new("", "", &err));
    assert_non_null(strstr(err.text, "tls-cert has no certificate in PEM form"));
    assert_null(tls_server_new("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", &err));
    assert_non_null(strstr(err.text, "tls-cert has no certificate in PEM form"));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(T1_S13_prefix_and_first_message_are_the_first_record_inside_tls),
        T(T1_octets_read_before_tls_was_known_are_its_own),
        T(T6_close_notify_comes_before_the_FIN_and_no_certificate_is_asked_for),
        T(T7_no_cipher_that_is_none_and_no_version_before_1_2),
        T(T5_a_connection_that_was_cut_is_resumed_in_both_versions),
        T(T5_a_session_is_for_its_peer_and_its_check_alone),
        T(S8_a_message_cut_off_by_the_end_is_discarded_with_or_without_close_notify),
        T(a_record_that_was_changed_on_its_way_breaks_the_stream),
        T(frames_stay_whole_and_in_order_whatever_the_socket_takes),
        T(octets_that_tls_has_already_are_pending),
        T(T1_T3_a_listener_takes_plain_and_tls_on_one_port),
        T(S2_a_port_for_tls_alone_takes_no_plain_stream_and_the_other_way_round),
        T(L12_octets_of_a_handshake_buy_no_time),
        T(T2_what_goes_wrong_in_a_handshake_is_one_sentence),
        T(certificates_that_can_not_be_used_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
