/* offload.c: cutting and joining against the reference of packets.c, with bursts and packets made by chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail
#include <stdlib.h>
#include <string.h>

#include "dataplane/offload.h"
#include "packets.h"
#include "wire/wire.h"

#define ROUNDS 400
#define EMITTED_MAX 2048

struct emitted {
    struct packet *packet; /* each with the header for the TUN in front */
    size_t count;
};

static void keep(void *context, const struct iovec *part, size_t count) {
    struct emitted *emitted = context;
    assert_true(emitted->count < EMITTED_MAX);
    struct packet *packet = &emitted->packet[emitted->count++];
    packet->length = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(packet->length + part[i].iov_len <= sizeof packet->octets);
        memcpy(packet->octets + packet->length, part[i].iov_base, part[i].iov_len);
        packet->length += part[i].iov_len;
    }
}

static struct emitted emitted_new(size_t most) {
    struct emitted emitted = {.packet = calloc(most, sizeof(struct packet))};
    assert_non_null(emitted.packet);
    return emitted;
}

static void the_sum_is_the_same_at_every_length_and_alignment(void **state) {
    (void)state;
    uint64_t seed = 1;
    struct random_source random = random_seeded(&seed);
    uint8_t from[700], to[700];
    for (size_t length = 0; length < 600; length++) {
        size_t at = chance(&random, 64);
        random.fill(random.context, from, sizeof from);
        uint16_t right = checksum_fold(checksum_add(0, from + at, length));
        memset(to, 0, sizeof to);
        assert_int_equal(checksum_fold(sum_of(from + at, length)), right);
        assert_int_equal(checksum_fold(sum_copy(to + 1, from + at, length)), right);
        assert_memory_equal(to + 1, from + at, length);
        assert_int_equal(to[0] | to[1 + length], 0);
    }
}

static void a_burst_is_cut_as_the_reference_cuts_it(void **state) {
    (void)state;
    struct packet *burst = malloc(sizeof *burst), *right = malloc(sizeof *right), *mine = malloc(sizeof *mine);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_by_chance(&random);
        burst_build(&random, &spec, burst);
        struct cut cut;
        assert_true(cut_begin(&cut, burst->octets, burst->length));
        size_t longest = cut_longest(&cut), seen = 0;
        for (size_t n = 0; n < burst_packets(&spec); n++) {
            reference_packet(&spec, burst, n, right);
            size_t length = cut_next_length(&cut);
            assert_int_equal(length, right->length - TUN_HEADER_LENGTH);
            mine->octets[length] = 0xa5;
            cut_next(&cut, mine->octets);
            assert_memory_equal(mine->octets, right->octets + TUN_HEADER_LENGTH, length);
            assert_int_equal(mine->octets[length], 0xa5);
            assert_true(checksums_valid(mine->octets, length));
            seen = length > seen ? length : seen;
        }
        assert_int_equal(cut_next_length(&cut), 0);
        assert_int_equal(seen, longest);
    }
    free(burst);
    free(right);
    free(mine);
}

static void a_mark_changes_nothing_else_and_a_packet_skipped_is_the_first(void **state) {
    (void)state;
    struct packet *burst = malloc(sizeof *burst), *right = malloc(sizeof *right), *mine = malloc(sizeof *mine);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 500;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_by_chance(&random), marked = spec;
        marked.tos |= 3;
        struct random_source again = random;
        uint64_t kept = seed;
        burst_build(&again, &marked, right);
        seed = kept; /* the same octets again */
        burst_build(&random, &spec, burst);
        struct packet *first = malloc(sizeof *first);
        struct cut cut;
        assert_true(cut_begin(&cut, burst->octets, burst->length));
        assert_int_equal(cut_packets(&cut), burst_packets(&spec));
        assert_true(cut_mark(&cut, burst->octets + TUN_HEADER_LENGTH) == ((spec.tos & 3) != 0));
        const struct burst_spec *wanted = (spec.tos & 3) != 0 ? &marked : &spec;
        cut_skip(&cut);
        assert_int_equal(cut_packets(&cut), burst_packets(&spec) - 1);
        for (size_t n = 1; n < burst_packets(&spec); n++) {
            reference_packet(wanted, (spec.tos & 3) != 0 ? right : burst, n, first);
            size_t length = cut_next_length(&cut);
            assert_int_equal(length, first->length - TUN_HEADER_LENGTH);
            cut_next(&cut, mine->octets);
            assert_memory_equal(mine->octets, first->octets + TUN_HEADER_LENGTH, length);
        }
        assert_int_equal(cut_next_length(&cut), 0);
        free(first);
    }
    free(burst);
    free(right);
    free(mine);
}

static void a_checksum_left_to_the_device_is_completed(void **state) {
    (void)state;
    struct packet *burst = malloc(sizeof *burst), *mine = malloc(sizeof *mine);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 1000;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_by_chance(&random);
        spec.payload = chance(&random, 1400);
        burst_build(&random, &spec, burst);
        struct virtio_net_hdr header;
        memcpy(&header, burst->octets, sizeof header);
        header.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        memcpy(burst->octets, &header, sizeof header);
        struct cut cut;
        assert_true(cut_begin(&cut, burst->octets, burst->length));
        size_t length = cut_next_length(&cut);
        assert_int_equal(length, burst->length - TUN_HEADER_LENGTH);
        cut_next(&cut, mine->octets);
        assert_int_equal(cut_next_length(&cut), 0);
        assert_true(checksums_valid(mine->octets, length));
        checksums_set(burst->octets + TUN_HEADER_LENGTH, length);
        checksums_set(mine->octets, length); /* TCP's 0 may be written as 0xffff */
        assert_memory_equal(mine->octets, burst->octets + TUN_HEADER_LENGTH, length);
    }
    free(burst);
    free(mine);
}

static void cutting_and_joining_gives_the_burst_back(void **state) {
    (void)state;
    struct packet *burst = malloc(sizeof *burst);
    struct emitted emitted = emitted_new(EMITTED_MAX);
    uint8_t *wire = malloc(1 << 20);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 2000;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_by_chance(&random);
        burst_build(&random, &spec, burst);
        struct cut cut;
        struct joiner joiner;
        joiner_init(&joiner, true, true, keep, &emitted);
        emitted.count = 0;
        assert_true(cut_begin(&cut, burst->octets, burst->length));
        size_t used = 0, length;
        while ((length = cut_next_length(&cut)) > 0) {
            cut_next(&cut, wire + used);
            join_add(&joiner, wire + used, length);
            used += length;
        }
        join_flush(&joiner);
        assert_int_equal(emitted.count, 1);
        assert_int_equal(emitted.packet[0].length, burst->length);
        assert_memory_equal(emitted.packet[0].octets, burst->octets, burst->length);
    }
    free(burst);
    free(emitted.packet);
    free(wire);
}

/* ---- several flows at once, and packets that must not be joined ---- */

#define FLOWS 12
#define PER_FLOW 60

struct stream_of_packets {
    struct packet packet[PER_FLOW]; /* without the header for the TUN */
    size_t count, sent, seen;
};

/* Changes one thing about a packet that keeps it out of a burst, or leaves it as it is. */
static void disturb(struct random_source *random, uint8_t *packet, size_t length) {
    size_t transport = packet[0] >> 4 == 4 ? 20 : 40;
    bool tcp = (packet[0] >> 4 == 4 ? packet[9] : packet[6]) == 6;
    switch (chance(random, 30)) {
    case 0: /* TTL or hop limit */
        packet[packet[0] >> 4 == 4 ? 8 : 7] ^= 1;
        break;
    case 1: /* ECN or traffic class */
        packet[1] ^= packet[0] >> 4 == 4 ? 0x03 : 0x30;
        break;
    case 2: /* acknowledgement or UDP payload */
        packet[transport + 8] ^= 0xff;
        break;
    case 3: /* flags: URG, RST, SYN, PSH, FIN, CWR, ECE */
        if (tcp)
            packet[transport + 13] ^= (uint8_t)(1u << chance(random, 8));
        break;
    case 4: /* window */
        if (tcp)
            packet[transport + 15] ^= 1;
        break;
    case 5: /* identification */
        if (packet[0] >> 4 == 4)
            packet[5] ^= 0x40;
        break;
    case 6: /* wrong checksum, which stays wrong */
        packet[transport + (tcp ? 16 : 6)] ^= 0x55;
        return;
    case 7: /* sequence */
        if (tcp)
            packet[transport + 5] ^= 0x10;
        break;
    default:
        return;
    }
    checksums_set(packet, length);
}

static void fill_flow(struct random_source *random, struct stream_of_packets *flow, uint16_t port) {
    static struct packet burst, one;
    flow->count = flow->sent = flow->seen = 0;
    struct burst_spec spec = spec_by_chance(random);
    spec.source_port = port;
    while (flow->count < PER_FLOW) {
        if (spec.segment > 1400)
            spec.segment = 1400;
        spec.payload = spec.segment * (1 + chance(random, 20)) + chance(random, (uint32_t)spec.segment);
        if (spec.payload > 60000)
            spec.payload = 60000;
        burst_build(random, &spec, &burst);
        for (size_t n = 0; n < burst_packets(&spec) && flow->count < PER_FLOW; n++) {
            reference_packet(&spec, &burst, n, &one);
            struct packet *packet = &flow->packet[flow->count++];
            packet->length = one.length - TUN_HEADER_LENGTH;
            memcpy(packet->octets, one.octets + TUN_HEADER_LENGTH, packet->length);
            disturb(random, packet->octets, packet->length);
        }
        spec.sequence += (uint32_t)spec.payload;
        spec.id = (uint16_t)(spec.id + burst_packets(&spec));
    }
}

static struct stream_of_packets *flow_of(struct stream_of_packets *flows, const uint8_t *packet) {
    size_t transport = packet[0] >> 4 == 4 ? 20 : 40;
    size_t port = (size_t)packet[transport] << 8 | packet[transport + 1];
    assert_in_range(port, 7000, 7000 + FLOWS - 1);
    return &flows[port - 7000];
}

/* Cuts what was emitted; each flow's packets must come out as they went in, in their order. */
static void take_apart(struct stream_of_packets *flows, const struct emitted *emitted) {
    static uint8_t one[70000];
    for (size_t i = 0; i < emitted->count; i++) {
        struct cut cut;
        size_t length;
        assert_true(cut_begin(&cut, emitted->packet[i].octets, emitted->packet[i].length));
        while ((length = cut_next_length(&cut)) > 0) {
            cut_next(&cut, one);
            struct stream_of_packets *flow = flow_of(flows, one);
            assert_true(flow->seen < flow->count);
            const struct packet *right = &flow->packet[flow->seen++];
            assert_int_equal(length, right->length);
            assert_memory_equal(one, right->octets, length);
        }
    }
}

static void interleaved_flows_keep_every_packet_and_their_order(void **state) {
    (void)state;
    struct stream_of_packets *flows = calloc(FLOWS, sizeof *flows);
    struct emitted emitted = emitted_new(EMITTED_MAX);
    uint8_t *wire = malloc((size_t)FLOWS * PER_FLOW * 2000);
    size_t bursts = 0;
    for (uint64_t round = 0; round < 40; round++) {
        uint64_t seed = round + 3000;
        struct random_source random = random_seeded(&seed);
        struct joiner joiner;
        joiner_init(&joiner, true, true, keep, &emitted);
        emitted.count = 0;
        for (size_t i = 0; i < FLOWS; i++)
            fill_flow(&random, &flows[i], (uint16_t)(7000 + i));
        size_t used = 0, active = 1 + chance(&random, FLOWS);
        for (size_t left = active * PER_FLOW; left > 0;) {
            struct stream_of_packets *flow = &flows[chance(&random, (uint32_t)active)];
            if (flow->sent == flow->count)
                continue;
            const struct packet *packet = &flow->packet[flow->sent++];
            memcpy(wire + used, packet->octets, packet->length);
            join_add(&joiner, wire + used, packet->length);
            used += packet->length;
            left--;
            if (chance(&random, 100) == 0)
                join_flush(&joiner);
        }
        join_flush(&joiner);
        take_apart(flows, &emitted);
        for (size_t i = 0; i < active; i++)
            assert_int_equal(flows[i].seen, PER_FLOW);
        bursts += emitted.count < active * PER_FLOW;
    }
    assert_int_equal(bursts, 40); /* and something was joined each time */
    free(flows);
    free(emitted.packet);
    free(wire);
}

static void five_interleaved_flows_join_as_if_each_were_alone(void **state) {
    (void)state;
    struct emitted emitted = emitted_new(64);
    static struct packet burst[5], one;
    uint8_t *wire = malloc(1 << 20);
    uint64_t seed = 4;
    struct random_source random = random_seeded(&seed);
    struct burst_spec spec[5];
    struct joiner joiner;
    joiner_init(&joiner, true, true, keep, &emitted);
    for (size_t i = 0; i < 5; i++) {
        spec[i] = (struct burst_spec){.version = i % 2 ? 4 : 6, .protocol = 6, .segment = 1000, .payload = 20000};
        spec[i].flags = 0x18;
        spec[i].source_port = (uint16_t)(7000 + i);
        burst_build(&random, &spec[i], &burst[i]);
    }
    size_t used = 0;
    for (size_t n = 0; n < 20; n++)
        for (size_t i = 0; i < 5; i++) {
            reference_packet(&spec[i], &burst[i], n, &one);
            memcpy(wire + used, one.octets + TUN_HEADER_LENGTH, one.length - TUN_HEADER_LENGTH);
            join_add(&joiner, wire + used, one.length - TUN_HEADER_LENGTH);
            used += one.length;
        }
    assert_int_equal(emitted.count, 5); /* PSH on the last of each: nothing was left to flush */
    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(emitted.packet[i].octets, burst[i].octets, burst[i].length);
    free(emitted.packet);
    free(wire);
}

static void without_offload_every_packet_goes_alone(void **state) {
    (void)state;
    struct emitted emitted = emitted_new(8);
    static struct packet burst, one;
    uint64_t seed = 5;
    struct random_source random = random_seeded(&seed);
    struct burst_spec spec = {.version = 4, .protocol = 6, .segment = 100, .payload = 500, .flags = 0x10};
    struct joiner joiner;
    joiner_init(&joiner, false, false, keep, &emitted);
    burst_build(&random, &spec, &burst);
    for (size_t n = 0; n < 5; n++) {
        reference_packet(&spec, &burst, n, &one);
        join_add(&joiner, one.octets + TUN_HEADER_LENGTH, one.length - TUN_HEADER_LENGTH);
        assert_int_equal(emitted.count, n + 1);
        assert_memory_equal(emitted.packet[n].octets, one.octets, one.length);
    }
    free(emitted.packet);
}

/* Whatever comes, nothing is read or written outside (the sanitizers look), and what is accepted can be cut. */
static void octets_without_sense_do_no_harm(void **state) {
    (void)state;
    struct emitted emitted = emitted_new(4);
    uint64_t seed = 6;
    struct random_source random = random_seeded(&seed);
    static struct packet burst;
    for (int round = 0; round < 20000; round++) {
        struct burst_spec spec = spec_by_chance(&random);
        spec.payload = spec.segment > 300 ? 300 : spec.payload > 3000 ? 3000 : spec.payload;
        burst_build(&random, &spec, &burst);
        for (uint32_t i = chance(&random, 6); i > 0; i--)
            burst.octets[chance(&random, 80)] = (uint8_t)random_u32(&random);
        size_t length = chance(&random, 4) ? burst.length : chance(&random, (uint32_t)burst.length + 1);
        uint8_t *exact = malloc(length + 1);
        memcpy(exact, burst.octets, length);
        struct cut cut;
        size_t next, packets = 0;
        if (cut_begin(&cut, exact, length))
            while ((next = cut_next_length(&cut)) > 0 && packets++ < 70000) {
                assert_true(next <= cut_longest(&cut));
                uint8_t *out = malloc(next);
                cut_next(&cut, out);
                free(out);
            }
        assert_true(packets < 70000);
        free(exact);
        struct joiner joiner;
        joiner_init(&joiner, true, true, keep, &emitted);
        emitted.count = 0;
        size_t inner = length > TUN_HEADER_LENGTH ? length - TUN_HEADER_LENGTH : 0;
        uint8_t *packet = malloc(inner + 1), *again = malloc(inner + 1);
        memcpy(packet, burst.octets + TUN_HEADER_LENGTH, inner);
        memcpy(again, packet, inner);
        join_add(&joiner, packet, inner);
        join_add(&joiner, again, inner);
        join_flush(&joiner);
        assert_in_range(emitted.count, 1, 2);
        free(packet);
        free(again);
    }
    free(emitted.packet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_the_same_at_every_length_and_alignment),
        cmocka_unit_test(a_burst_is_cut_as_the_reference_cuts_it),
        cmocka_unit_test(a_mark_changes_nothing_else_and_a_packet_skipped_is_the_first),
        cmocka_unit_test(a_checksum_left_to_the_device_is_completed),
        cmocka_unit_test(cutting_and_joining_gives_the_burst_back),
        cmocka_unit_test(interleaved_flows_keep_every_packet_and_their_order),
        cmocka_unit_test(five_interleaved_flows_join_as_if_each_were_alone),
        cmocka_unit_test(without_offload_every_packet_goes_alone),
        cmocka_unit_test(octets_without_sense_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
