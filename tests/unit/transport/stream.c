/* stream.c: a stream between two loopback sockets. Rows S1, S2, S4 to S9, S11, S13, L10. */
#include "support.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_MOST ((size_t)131072)

static bool memory_is_short;
void *__real_malloc(size_t); /* the linker's names (--wrap) */
void *__wrap_malloc(size_t);

void *__wrap_malloc(size_t size) {
    return memory_is_short ? NULL : __real_malloc(size);
}

static struct stream *open_stream(int fd, bool originator) {
    struct error err;
    struct stream_options options = {
        .originator = originator, .transport = TRANSPORT_TCP, .write_queue_max = QUEUE_MOST};
    struct stream *s = stream_new(fd, &options, &err);
    assert_non_null(s);
    return s;
}

struct ends {
    struct stream *ours, *theirs; /* Originator, Responder */
};

static struct ends open_ends(uint8_t family) {
    int fd[2];
    tcp_pair(family, fd);
    return (struct ends){.ours = open_stream(fd[0], true), .theirs = open_stream(fd[1], false)};
}

static void close_ends(struct ends ends) {
    stream_free(ends.ours);
    stream_free(ends.theirs);
}

/* Reads until `count` payloads came, at most `max` of them at a time; fails on anything else. */
static void collect(struct stream *s, struct span *payload, size_t max, size_t want, size_t *count) {
    struct error err;
    for (int i = 0; i < 1000; i++) {
        enum stream_result result = stream_read(s, &err);
        assert_true(result == STREAM_OK || result == STREAM_AGAIN);
        assert_int_equal(stream_payloads(s, payload, max, count, &err), STREAM_OK);
        if (*count >= want)
            return;
        assert_int_equal(*count, 0);
        sleep_ms(1);
    }
    fail_msg("%zu payloads did not come", want);
}

static void S1_S13_prefix_and_first_message_leave_in_one_segment(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *ours = open_stream(fd[0], true);
    struct error err;
    uint8_t message[200] = {1, 2, 3}, came[512];
    assert_int_equal(stream_send_ike(ours, span_of(message, sizeof message), &err), STREAM_OK);
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    assert_int_equal(getsockopt(fd[0], IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    assert_int_equal(info.tcpi_data_segs_out, 1);
    stream_free(ours);
    ssize_t n = read_to_end(fd[1], came, sizeof came);
    assert_int_equal(n, 6 + 2 + 4 + 200);
    assert_memory_equal(came, "IKETCP", 6);
    assert_int_equal(came[6] << 8 | came[7], 2 + 4 + 200); /* the length counts itself */
    assert_memory_equal(came + 8, "\0\0\0\0", 4); /* the non-ESP marker (S4) */
    assert_memory_equal(came + 12, message, sizeof message);
    close(fd[1]);
}

static void S1_prefix_is_sent_once_and_never_by_the_Responder(void **state) {
    (void)state;
    struct ends ends = open_ends(6);
    struct error err;
    struct span payload[8];
    size_t count;
    uint8_t frame[64];
    size_t length = esp_frame(frame, 7, 20, 0xaa);
    for (int i = 0; i < 3; i++) { /* a second prefix would be a frame of 0x494b octets */
        assert_int_equal(stream_write_frames(ends.ours, frame, length, &err), STREAM_OK);
        collect(ends.theirs, payload, 8, 1, &count);
        assert_int_equal(payload[0].length, 20);
        assert_int_equal(stream_write_frames(ends.theirs, frame, length, &err), STREAM_OK);
        collect(ends.ours, payload, 8, 1, &count);
        assert_int_equal(payload[0].length, 20);
        assert_memory_equal(payload[0].at, frame + 2, 20);
    }
    close_ends(ends);
}

static void S2_S11_nothing_is_accepted_before_the_prefix(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *theirs = open_stream(fd[1], false);
    uint8_t frame[64];
    send_all(fd[0], frame, esp_frame(frame, 7, 20, 1));
    struct error err;
    struct span payload;
    size_t count;
    sleep_ms(20);
    assert_int_equal(stream_read(theirs, &err), STREAM_OK);
    assert_int_equal(stream_payloads(theirs, &payload, 1, &count, &err), STREAM_CORRUPT);
    assert_int_equal(count, 0);
    assert_non_null(strstr(err.text, "IKETCP"));
    stream_free(theirs);
    uint8_t back[16];
    assert_true(read_to_end(fd[0], back, sizeof back) <= 0); /* nothing sent back */
    close(fd[0]);
}

static void S5_messages_before_a_bad_length_are_delivered_and_then_it_is_corrupt(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *ours = open_stream(fd[0], true);
    uint8_t octets[128];
    size_t length = esp_frame(octets, 7, 20, 1);
    memcpy(octets + length, "\0\1xyz", 5);
    send_all(fd[1], octets, length + 5);
    struct error err;
    struct span payload[4];
    size_t count;
    sleep_ms(20);
    assert_int_equal(stream_read(ours, &err), STREAM_OK);
    assert_int_equal(stream_payloads(ours, payload, 4, &count, &err), STREAM_OK);
    assert_int_equal(count, 1);
    assert_int_equal(stream_payloads(ours, payload, 4, &count, &err), STREAM_CORRUPT);
    assert_int_equal(stream_payloads(ours, payload, 4, &count, &err), STREAM_CORRUPT);
    stream_free(ours);
    close(fd[1]);
}

static void S7_the_longest_message_passes_and_one_more_octet_is_a_sentence(void **state) {
    (void)state;
    struct ends ends = open_ends(4);
    struct error err;
    size_t most = FRAME_PAYLOAD_MAX - NON_ESP_MARKER_LENGTH, count;
    uint8_t *message = calloc(1, most + 1);
    message[most - 1] = 0x5a;
    struct span payload[2], inside;
    assert_int_equal(stream_send_ike(ends.ours, span_of(message, most), &err), STREAM_OK);
    collect(ends.theirs, payload, 2, 1, &count);
    assert_int_equal(payload_classify(payload[0], &inside), PAYLOAD_IS_IKE);
    assert_int_equal(inside.length, most);
    assert_int_equal(inside.at[most - 1], 0x5a);
    assert_int_equal(stream_send_ike(ends.ours, span_of(message, most + 1), &err), STREAM_AGAIN);
    assert_non_null(strstr(err.text, "65530 octets does not fit"));
    assert_false(stream_wants_write(ends.ours));
    free(message);
    close_ends(ends);
}

static void S8_a_message_cut_off_by_the_end_is_discarded(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *theirs = open_stream(fd[1], false);
    uint8_t frame[64];
    send_all(fd[0], "IKETCP", 6);
    send_all(fd[0], frame, esp_frame(frame, 7, 40, 1) - 1);
    close(fd[0]);
    sleep_ms(20);
    struct error err;
    struct span payload;
    size_t count;
    assert_int_equal(stream_read(theirs, &err), STREAM_OK);
    assert_int_equal(stream_payloads(theirs, &payload, 1, &count, &err), STREAM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(stream_read(theirs, &err), STREAM_CLOSED);
    stream_free(theirs);
}

static void S9_octets_one_at_a_time_give_the_same_messages(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *theirs = open_stream(fd[1], false);
    uint8_t octets[128] = "IKETCP";
    size_t length = 6;
    length += esp_frame(octets + length, 0x01020304, 30, 1);
    memcpy(octets + length, "\0\2\0\3\xff", 5); /* an empty message and a keepalive */
    length += 5;
    length += esp_frame(octets + length, 0x01020305, 9, 2);
    static const size_t expected[] = {30, 0, 1, 9};
    size_t seen = 0;
    for (size_t i = 0; i < length; i++) {
        struct error err;
        struct span payload[4];
        size_t count;
        send_all(fd[0], octets + i, 1);
        enum stream_result result;
        while ((result = stream_read(theirs, &err)) == STREAM_AGAIN)
            sleep_ms(1);
        assert_int_equal(result, STREAM_OK);
        assert_int_equal(stream_payloads(theirs, payload, 4, &count, &err), STREAM_OK);
        assert_true(count <= 1);
        if (count == 1) {
            assert_in_range(seen, 0, 3);
            assert_int_equal(payload[0].length, expected[seen]);
            seen++;
        }
    }
    assert_int_equal(seen, 4);
    stream_free(theirs);
    close(fd[0]);
}

static void octets_read_before_it_had_an_owner_come_first(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    uint8_t octets[64] = "IKETCP";
    size_t length = 6 + esp_frame(octets + 6, 9, 24, 3), count;
    struct error err;
    struct stream_options options = {
        .transport = TRANSPORT_TCP, .octets = span_of(octets, length - 10), .write_queue_max = QUEUE_MOST};
    struct stream *s = stream_new(fd[1], &options, &err);
    assert_non_null(s);
    struct span payload[2];
    assert_int_equal(stream_read(s, &err), STREAM_OK); /* nothing was sent yet */
    assert_int_equal(stream_payloads(s, payload, 2, &count, &err), STREAM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(stream_read(s, &err), STREAM_AGAIN);
    send_all(fd[0], octets + length - 10, 10);
    collect(s, payload, 2, 1, &count);
    assert_int_equal(payload[0].length, 24);
    assert_memory_equal(payload[0].at, octets + 8, 24);
    stream_free(s);
    close(fd[0]);
}

static void S7_every_length_is_read_while_the_buffer_grows(void **state) {
    (void)state;
    struct ends ends = open_ends(4);
    uint8_t *frame = malloc(FRAME_MAX);
    static const size_t lengths[] = {4, 1500, 16384, 65533, 65533, 65533, 5, 40000, 65533, 65532, 65533};
    size_t seen = 0, sent = 0, all = sizeof lengths / sizeof lengths[0];
    for (int rounds = 0; seen < all && rounds < 10000; rounds++) {
        struct error err;
        if (sent < all && !stream_wants_write(ends.ours)) {
            size_t length = esp_frame(frame, 1, lengths[sent], (uint8_t)sent);
            assert_int_equal(stream_write_frames(ends.ours, frame, length, &err), STREAM_OK);
            sent++;
        }
        assert_int_equal(stream_flush(ends.ours, &err), STREAM_OK);
        assert_true(stream_read(ends.theirs, &err) <= STREAM_AGAIN);
        struct span payload;
        size_t count;
        do { /* one at a time: the others stay where they are */
            assert_int_equal(stream_payloads(ends.theirs, &payload, 1, &count, &err), STREAM_OK);
            if (count == 0)
                break;
            assert_int_equal(payload.length, lengths[seen]);
            if (payload.length > 4) {
                assert_int_equal(payload.at[4], (uint8_t)seen);
                assert_int_equal(payload.at[payload.length - 1], (uint8_t)seen);
            }
            seen++;
        } while (rounds % 2 == 0);
    }
    assert_int_equal(seen, all);
    free(frame);
    close_ends(ends);
}

static void shrink(int fd, int octets) {
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets), 0);
}

/* What came out of a socket, in order: ESP frames carry their number in the SPI, IKE in the first SPI. */
struct tally {
    struct framer framer;
    uint8_t *octets;
    size_t filled, done;
    uint32_t esp, ike; /* the last ones seen */
    uint32_t esp_at_ike; /* ESP frames seen when the last IKE message came */
};

static void tally_read(struct tally *t, int fd, size_t most, int wait_ms) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t n = poll(&wait, 1, wait_ms) == 1 ? recv(fd, t->octets + t->filled, most, MSG_DONTWAIT) : 0;
    if (n > 0)
        t->filled += (size_t)n;
    struct span payload, inside;
    while (framer_next(&t->framer, t->octets + t->done, t->filled - t->done, &t->done, &payload) == FRAMER_MESSAGE) {
        enum payload_kind kind = payload_classify(payload, &inside);
        struct reader r = reader_over(inside.at, inside.length);
        uint32_t number;
        assert_true(reader_u32(&r, &number));
        if (kind == PAYLOAD_IS_ESP) {
            assert_true(number > t->esp); /* in order; some were refused */
            t->esp = number;
        } else {
            assert_int_equal(kind, PAYLOAD_IS_IKE);
            assert_int_equal(number, t->ike + 1); /* none is lost */
            t->ike = number;
            t->esp_at_ike = t->esp;
        }
        uint8_t fill = (uint8_t)number;
        while (reader_u8(&r, &fill))
            assert_int_equal(fill, (uint8_t)number);
    }
    assert_false(t->framer.corrupt);
}

static void ike_overtakes_esp_only_at_the_border_of_a_frame(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    shrink(fd[0], 8192);
    struct stream *ours = open_stream(fd[0], true);
    struct error err;
    uint8_t frame[1502], message[100];
    uint32_t number = 0;
    while (
        stream_write_frames(ours, frame, esp_frame(frame, number + 1, 1500, (uint8_t)(number + 1)), &err) == STREAM_OK)
        assert_in_range(++number, 1, 1000);
    assert_true(stream_wants_write(ours));
    assert_true(stream_queued(ours) > QUEUE_MOST - 1502); /* bounded, and full */
    memset(message, 1, sizeof message);
    memcpy(message, "\0\0\0\1", 4);
    assert_int_equal(stream_send_ike(ours, span_of(message, sizeof message), &err), STREAM_OK);
    struct tally tally = {.framer = framer_start(true), .octets = malloc(1 << 20)};
    for (int i = 0; i < 5000 && (stream_wants_write(ours) || tally.esp < number); i++) {
        assert_int_equal(stream_flush(ours, &err), STREAM_OK);
        tally_read(&tally, fd[1], 3000, 10);
    }
    assert_int_equal(tally.ike, 1);
    assert_int_equal(tally.esp, number); /* what was taken is delivered */
    assert_true(tally.esp_at_ike + 80 < number); /* ahead of all that waited in our queue */
    free(tally.octets);
    stream_free(ours);
    close(fd[1]);
}

static void frames_stay_whole_and_in_order_whatever_the_socket_takes(void **state) {
    (void)state;
    for (uint64_t first = 1; first <= 8; first++) {
        uint64_t seed = first;
        struct random_source random = random_seeded(&seed);
        int fd[2];
        tcp_pair(4, fd);
        shrink(fd[0], 4096 << random_u32(&random) % 5);
        bool originator = random_u32(&random) % 2 == 0;
        struct stream *ours = open_stream(fd[0], originator);
        struct tally tally = {.framer = framer_start(originator), .octets = malloc(32 << 20)};
        struct error err;
        uint8_t *burst = malloc(8 * 9002), message[3000];
        uint32_t esp = 0, ike = 0, accepted = 0;
        for (int i = 0; i < 600; i++) {
            size_t length = 0;
            for (uint32_t n = random_u32(&random) % 8; n > 0; n--) {
                esp++;
                length += esp_frame(burst + length, esp, 4 + random_u32(&random) % 8990, (uint8_t)esp);
            }
            if (length > 0 && stream_write_frames(ours, burst, length, &err) == STREAM_OK)
                accepted = esp; /* refused ones leave a gap */
            if (random_u32(&random) % 4 == 0 && ike - tally.ike < 30) {
                ike++;
                memset(message, (uint8_t)ike, sizeof message);
                struct writer w = writer_over(message, 4);
                writer_u32(&w, ike);
                struct span span = span_of(message, 4 + random_u32(&random) % (sizeof message - 4));
                assert_int_equal(stream_send_ike(ours, span, &err), STREAM_OK);
            }
            if (random_u32(&random) % 2 == 0)
                assert_int_equal(stream_flush(ours, &err), STREAM_OK);
            tally_read(&tally, fd[1], 1 + random_u32(&random) % 40000, 0);
        }
        for (int i = 0; i < 3000 && (stream_wants_write(ours) || tally.ike < ike || tally.esp < accepted); i++) {
            assert_int_equal(stream_flush(ours, &err), STREAM_OK);
            tally_read(&tally, fd[1], 65536, 10);
        }
        if (tally.ike != ike || tally.esp != accepted)
            fail_msg("seed %lu: %u of %u IKE, %u of %u ESP", (unsigned long)first, tally.ike, ike, tally.esp, accepted);
        free(tally.octets);
        free(burst);
        stream_free(ours);
        close(fd[1]);
    }
}

/* What follows a frame that has no end would be taken for its end. */
static void where_memory_is_short_for_the_end_of_a_frame_the_stream_fails(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    shrink(fd[0], 8192);
    struct stream *ours = open_stream(fd[0], true);
    struct error err = {0};
    uint8_t *frames = malloc((size_t)10 * 60003);
    size_t length = 0;
    for (uint32_t i = 1; i <= 10; i++)
        length += esp_frame(frames + length, i, 60001, 1);
    memory_is_short = true;
    enum stream_result result = stream_write_frames(ours, frames, length, &err);
    memory_is_short = false;
    assert_int_equal(result, STREAM_FAILED);
    assert_non_null(strstr(err.text, "memory is short"));
    assert_false(stream_wants_write(ours));
    free(frames);
    stream_free(ours);
    close(fd[1]);
}

static void ike_to_a_peer_that_never_reads_is_bounded(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *ours = open_stream(fd[0], true);
    uint8_t *message = calloc(1, 60000);
    struct error err;
    int sent = 0;
    while (stream_send_ike(ours, span_of(message, 60000), &err) == STREAM_OK)
        assert_in_range(++sent, 1, 1000);
    assert_non_null(strstr(err.text, "does not read"));
    free(message);
    stream_free(ours);
    close(fd[1]);
}

static void what_was_queued_arrives_before_the_FIN_though_octets_were_unread(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *ours = open_stream(fd[0], true);
    struct error err;
    uint8_t message[32] = {1}, came[128];
    send_all(fd[1], "\0\3\xff", 3);
    sleep_ms(10);
    assert_int_equal(stream_send_ike(ours, span_of(message, sizeof message), &err), STREAM_OK);
    stream_free(ours);
    sleep_ms(10);
    assert_int_equal(read_to_end(fd[1], came, sizeof came), 6 + 2 + 4 + 32);
    int code = -1; /* a reset would stop retransmission of what was lost */
    socklen_t length = sizeof code;
    assert_int_equal(getsockopt(fd[1], SOL_SOCKET, SO_ERROR, &code, &length), 0);
    assert_int_equal(code, 0);
    close(fd[1]);
}

static void a_reset_is_a_failure_with_a_sentence(void **state) {
    (void)state;
    int fd[2];
    tcp_pair(4, fd);
    struct stream *ours = open_stream(fd[0], true);
    struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd[1]);
    sleep_ms(20);
    struct error err;
    uint8_t message[32] = {0};
    assert_int_equal(stream_read(ours, &err), STREAM_FAILED);
    assert_non_null(strstr(err.text, "broke"));
    assert_int_equal(stream_send_ike(ours, span_of(message, sizeof message), &err), STREAM_FAILED); /* no SIGPIPE */
    stream_free(ours);
}

/* Both read into the same memory, in turns, and park with a part of a message. */
static void S9_streams_that_share_memory_keep_their_parts_apart(void **state) {
    (void)state;
    struct stream_memory memory = {0};
    struct stream *reader[2];
    int writer[2];
    struct error err;
    for (int i = 0; i < 2; i++) {
        int fd[2];
        tcp_pair(4, fd);
        struct stream_options options = {.transport = TRANSPORT_TCP, .write_queue_max = QUEUE_MOST, .memory = &memory};
        reader[i] = stream_new(fd[0], &options, &err);
        assert_non_null(reader[i]);
        writer[i] = fd[1];
    }
    uint8_t octets[6 + 2 + 100] = "IKETCP";
    frame_header(octets + 6, 100);
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < 2; i++) {
            struct span payload;
            size_t count = 0, from = part == 0 ? 0 : 50, to = part == 0 ? 50 : sizeof octets;
            memset(octets + 8, 'a' + i, 100);
            assert_int_equal(write(writer[i], octets + from, to - from), to - from);
            while (stream_read(reader[i], &err) == STREAM_AGAIN)
                sleep_ms(1);
            assert_int_equal(stream_payloads(reader[i], &payload, 1, &count, &err), STREAM_OK);
            assert_int_equal(count, part);
            for (size_t n = 0; part == 1 && n < payload.length; n++)
                assert_int_equal(payload.at[n], 'a' + i);
            stream_park(reader[i]);
            assert_non_null(memory.spare);
        }
    for (int i = 0; i < 2; i++) {
        stream_free(reader[i]);
        close(writer[i]);
    }
    stream_memory_free(&memory);
}

/* It waits for nothing: what a client says first must not stay for as long as it is silent afterwards. */
static void what_came_with_a_stream_is_given_back_when_it_was_taken(void **state) {
    (void)state;
    struct stream_memory memory = {0};
    uint8_t octets[64] = "IKETCP";
    size_t length = 6 + esp_frame(octets + 6, 9, 24, 3), count;
    struct stream_options options = {.transport = TRANSPORT_TCP,
        .octets = span_of(octets, length),
        .write_queue_max = QUEUE_MOST,
        .memory = &memory};
    int fd[2];
    tcp_pair(4, fd);
    struct error err;
    struct span payload;
    struct stream *theirs = stream_new(fd[1], &options, &err);
    assert_non_null(theirs);
    assert_int_equal(stream_read(theirs, &err), STREAM_OK);
    assert_int_equal(stream_payloads(theirs, &payload, 1, &count, &err), STREAM_OK);
    assert_int_equal(count, 1);
    stream_park(theirs);
    assert_int_equal(memory.size, length);
    stream_free(theirs);
    stream_memory_free(&memory);
    close(fd[0]);
}

/* The first read fills the first buffer: the second one is as large as what waits. */
static void a_stream_that_parks_after_each_read_still_reads_much_at_once(void **state) {
    (void)state;
    struct stream_memory memory = {0};
    struct stream_options options = {.transport = TRANSPORT_TCP, .write_queue_max = QUEUE_MOST, .memory = &memory};
    int fd[2], waiting = 0;
    tcp_pair(4, fd);
    struct error err;
    struct stream *theirs = stream_new(fd[1], &options, &err);
    assert_non_null(theirs);
    uint8_t *octets = malloc(50000);
    size_t length = 6, seen = 0;
    memcpy(octets, "IKETCP", 6);
    for (uint32_t i = 1; length + 1402 <= 50000; i++)
        length += esp_frame(octets + length, i, 1400, (uint8_t)i);
    send_all(fd[0], octets, length);
    for (int i = 0; i < 5000 && waiting < (int)length; i++) {
        assert_int_equal(ioctl(fd[1], FIONREAD, &waiting), 0);
        sleep_ms(1);
    }
    assert_int_equal(waiting, length);
    for (int reads = 0; reads < 2; reads++) {
        assert_int_equal(stream_read(theirs, &err), STREAM_OK);
        for (size_t count = 1; count > 0; seen += count) {
            struct span payload[64];
            assert_int_equal(stream_payloads(theirs, payload, 64, &count, &err), STREAM_OK);
        }
        stream_park(theirs);
    }
    assert_int_equal(seen, (length - 6) / 1402);
    assert_true(memory.size >= 65536);
    free(octets);
    stream_free(theirs);
    stream_memory_free(&memory);
    close(fd[0]);
}

/* Whatever came together: the kernel would miss what was read of the next frame. */
static void O5_a_stream_is_read_to_the_border_of_two_frames_and_no_further(void **state) {
    (void)state;
    for (size_t cut = 0; cut < 60; cut++) {
        int fd[2];
        tcp_pair(4, fd);
        struct stream *theirs = open_stream(fd[1], false);
        struct error err;
        struct span payload;
        size_t count;
        uint8_t octets[256] = "IKETCP", rest[256];
        size_t first = 6 + esp_frame(octets + 6, 7, 20, 1), second = first + esp_frame(octets + first, 7, 40, 2);
        size_t third = second + esp_frame(octets + second, 7, 30, 3);
        size_t early = first + cut < second ? first + cut : second;
        send_all(fd[0], octets, early);
        collect(theirs, &payload, 1, 1, &count);
        assert_int_equal(payload.length, 20);
        assert_int_equal(stream_at_border(theirs), early == first);
        send_all(fd[0], octets + early, third - early);
        if (early > first) {
            collect(theirs, &payload, 1, 1, &count);
            assert_int_equal(payload.length, 40);
        }
        for (int i = 0; i < 5; i++)
            assert_int_equal(stream_read(theirs, &err), STREAM_AGAIN);
        assert_true(stream_at_border(theirs));
        size_t border = early > first ? second : first;
        sleep_ms(5);
        ssize_t left = recv(fd[1], rest, sizeof rest, MSG_PEEK | MSG_DONTWAIT);
        assert_int_equal(left, third - border);
        assert_memory_equal(rest, octets + border, (size_t)left);
        stream_read_on(theirs); /* it does not go there after all */
        collect(theirs, &payload, 1, 1, &count);
        assert_int_equal(payload.length, border == first ? 40 : 30);
        stream_free(theirs);
        close(fd[0]);
    }
}

/* On a kernel that has it the stream goes there; the tests in a guest see what it does then. */
static void O5_a_stream_that_the_kernel_does_not_take_goes_on(void **state) {
    (void)state;
    struct ends ends = open_ends(4);
    struct error err;
    struct span payload;
    size_t count;
    uint8_t frame[64];
    size_t length = esp_frame(frame, 7, 20, 1);
    assert_false(stream_to_kernel(ends.theirs, &err)); /* before the prefix */
    assert_int_equal(stream_write_frames(ends.ours, frame, length, &err), STREAM_OK);
    collect(ends.theirs, &payload, 1, 1, &count);
    assert_int_equal(stream_payloads(ends.theirs, &payload, 1, &count, &err), STREAM_OK);
    assert_true(stream_at_border(ends.theirs));
    assert_false(stream_to_kernel(ends.theirs, &err)); /* it does not rest */
    stream_rest(ends.theirs);
    assert_int_equal(stream_write_frames(ends.theirs, frame, length, &err), STREAM_AGAIN);
    assert_int_equal(stream_send_ike(ends.theirs, span_of(frame, 10), &err), STREAM_OK); /* waits */
    sleep_ms(5);
    assert_int_equal(stream_read(ends.ours, &err), STREAM_AGAIN);
    if (!stream_to_kernel(ends.theirs, &err)) {
        assert_non_null(strstr(err.text, "espintcp"));
        stream_read_on(ends.theirs);
        assert_int_equal(stream_write_frames(ends.ours, frame, length, &err), STREAM_OK);
        collect(ends.theirs, &payload, 1, 1, &count);
        assert_int_equal(payload.length, 20);
        assert_int_equal(stream_flush(ends.theirs, &err), STREAM_OK);
    } else {
        assert_int_equal(stream_flush(ends.theirs, &err), STREAM_OK);
        uint8_t message[100] = {9};
        assert_int_equal(stream_write_frames(ends.theirs, frame, length, &err), STREAM_AGAIN);
        assert_int_equal(stream_send_ike(ends.ours, span_of(message, sizeof message), &err), STREAM_OK);
        collect(ends.theirs, &payload, 1, 1, &count);
        assert_int_equal(payload.length, 4 + sizeof message);
    }
    collect(ends.ours, &payload, 1, 1, &count);
    assert_int_equal(payload.length, 4 + 10);
    close_ends(ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(O5_a_stream_is_read_to_the_border_of_two_frames_and_no_further),
        cmocka_unit_test(O5_a_stream_that_the_kernel_does_not_take_goes_on),
        cmocka_unit_test(S1_S13_prefix_and_first_message_leave_in_one_segment),
        cmocka_unit_test(S1_prefix_is_sent_once_and_never_by_the_Responder),
        cmocka_unit_test(S2_S11_nothing_is_accepted_before_the_prefix),
        cmocka_unit_test(S5_messages_before_a_bad_length_are_delivered_and_then_it_is_corrupt),
        cmocka_unit_test(S7_the_longest_message_passes_and_one_more_octet_is_a_sentence),
        cmocka_unit_test(S7_every_length_is_read_while_the_buffer_grows),
        cmocka_unit_test(S8_a_message_cut_off_by_the_end_is_discarded),
        cmocka_unit_test(S9_streams_that_share_memory_keep_their_parts_apart),
        cmocka_unit_test(a_stream_that_parks_after_each_read_still_reads_much_at_once),
        cmocka_unit_test(what_came_with_a_stream_is_given_back_when_it_was_taken),
        cmocka_unit_test(S9_octets_one_at_a_time_give_the_same_messages),
        cmocka_unit_test(octets_read_before_it_had_an_owner_come_first),
        cmocka_unit_test(ike_overtakes_esp_only_at_the_border_of_a_frame),
        cmocka_unit_test(frames_stay_whole_and_in_order_whatever_the_socket_takes),
        cmocka_unit_test(where_memory_is_short_for_the_end_of_a_frame_the_stream_fails),
        cmocka_unit_test(ike_to_a_peer_that_never_reads_is_bounded),
        cmocka_unit_test(what_was_queued_arrives_before_the_FIN_though_octets_were_unread),
        cmocka_unit_test(a_reset_is_a_failure_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
