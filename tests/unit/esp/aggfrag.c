/* aggfrag.c: AGGFRAG payloads (RFC 9347): vectors written by hand from its figures, and packing then unpacking as the identity
 * however the outer packets are lost, doubled and reordered. */
#include "helper.h"

#define UNTIL 4000 /* rounds of random traffic */

static const struct cipher_suite gcm = {ENCR_AES_GCM_16, 128, AUTH_NONE};

static struct ends aggfrag_ends(uint32_t window) {
    struct esp_config left = config_of(gcm, true, window, true), right = config_of(gcm, true, window, false);
    left.aggfrag = right.aggfrag = true;
    return (struct ends){sa_of(&left), sa_of(&right)};
}

/* --- by hand: what aggfrag_next says of octets that lie in an ESP packet of some number --- */

struct found {
    size_t count, length[64], pieced;
    uint8_t octets[64][2048];
};

static void walk(struct esp_sa *sa, uint64_t sequence, uint8_t *payload, size_t length, struct found *found) {
    const struct esp_open_job job = {.inner = payload, .inner_length = length, .sequence = sequence};
    struct aggfrag_walk at;
    uint8_t *inner;
    size_t octets;
    bool pieced;
    found->count = found->pieced = 0;
    for (aggfrag_open(&at, sa, &job); aggfrag_next(&at, &inner, &octets, &pieced); found->count++) {
        assert_true(found->count < 64 && octets <= sizeof found->octets[0]);
        memcpy(found->octets[found->count], inner, octets);
        found->length[found->count] = octets;
        found->pieced += pieced;
        if (!pieced)
            assert_true(inner >= payload && inner + octets <= payload + length);
    }
}

/* Header (sub-type 0, BLOCK-OFFSET) and data; a copy of its own, so that a sanitizer sees the end. */
static void walk_data(
    struct esp_sa *sa, uint64_t sequence, uint16_t offset, const uint8_t *data, size_t length, struct found *found) {
    uint8_t *payload = malloc(AGGFRAG_HEADER_LENGTH + length);
    assert_non_null(payload);
    memcpy(payload, (uint8_t[]){0, 0, (uint8_t)(offset >> 8), (uint8_t)offset}, AGGFRAG_HEADER_LENGTH);
    if (length > 0)
        memcpy(payload + AGGFRAG_HEADER_LENGTH, data, length);
    walk(sa, sequence, payload, AGGFRAG_HEADER_LENGTH + length, found);
    free(payload);
}

static uint64_t drops(struct ends ends) {
    return atomic_load(&esp_sa_counters(ends.right)->policy_drops);
}

static void many_packets_and_padding_lie_behind_each_other(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t data[400] = {0};
    make_v4(data, 100, 1, 2, UDP, 1, 2);
    make_v6(data + 100, 80, 1, 2);
    make_v4(data + 180, 60, 1, 2, UDP, 3, 4);
    memset(data + 240, 0x0f, 160); /* a pad block: type 0, whatever follows */
    walk_data(ends.right, 1, 0, data, sizeof data, &found);
    assert_int_equal(found.count, 3);
    assert_int_equal(found.pieced, 0);
    assert_int_equal(found.length[0], 100);
    assert_int_equal(found.length[1], 80);
    assert_memory_equal(found.octets[2], data + 180, 60);
    assert_int_equal(atomic_load(&esp_sa_counters(ends.right)->packets_in), 3);
    assert_int_equal(atomic_load(&esp_sa_counters(ends.right)->bytes_in), 240);
    walk_data(ends.right, 2, 0, data, 240, &found); /* ends with a packet, without padding */
    assert_int_equal(found.count, 3);
    assert_int_equal(drops(ends), 0);
    ends_free(ends);
}

/* RFC 9347 appendix A: one begins at the end of a payload, fills the next and ends in the third. */
static void a_packet_over_three_payloads_comes_out_whole(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t long_one[1000], data[1000];
    make_v4(long_one, sizeof long_one, 1, 2, UDP, 7, 8);
    make_v4(data, 100, 1, 2, UDP, 1, 2);
    memcpy(data + 100, long_one, 300);
    walk_data(ends.right, 1, 0, data, 400, &found);
    assert_int_equal(found.count, 1);
    walk_data(ends.right, 2, 700, long_one + 300, 400, &found); /* BLOCK-OFFSET points past the end */
    assert_int_equal(found.count, 0);
    memcpy(data, long_one + 700, 300);
    make_v6(data + 300, 60, 1, 2);
    walk_data(ends.right, 3, 300, data, 360, &found);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.pieced, 1);
    assert_int_equal(found.length[0], sizeof long_one);
    assert_memory_equal(found.octets[0], long_one, sizeof long_one);
    assert_int_equal(found.length[1], 60);
    assert_int_equal(drops(ends), 0);
    ends_free(ends);
}

static void pieces_join_in_any_order_and_over_payloads_of_padding(void **state) {
    (void)state;
    static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}, {0, 2, 1, 3}};
    uint8_t packet[300];
    make_v4(packet, sizeof packet, 1, 2, UDP, 7, 8);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct ends ends = aggfrag_ends(64);
        struct found found;
        size_t whole = 0;
        uint8_t other[24];
        make_v4(other, sizeof other, 1, 2, UDP, 9, 9);
        walk_data(
            ends.right, 9, 0, other, 3, &found); /* of a packet that never goes on: there is memory for pieces now */
        for (size_t j = 0; j < 4; j++) {
            unsigned which = orders[i][j];
            if (which == 0)
                walk_data(ends.right, 20, 0, packet, 2, &found); /* not even its length */
            else if (which == 1)
                walk_data(ends.right, 21, 0, (const uint8_t[8]){0}, 8, &found); /* all padding */
            else if (which == 2)
                walk_data(ends.right, 22, 298, packet + 2, 198, &found);
            else
                walk_data(ends.right, 23, 100, packet + 200, 100, &found);
            assert_int_equal(found.count, j == 3);
            whole += found.count == 1 && found.length[0] == sizeof packet &&
                     memcmp(found.octets[0], packet, sizeof packet) == 0;
        }
        assert_int_equal(whole, 1);
        ends_free(ends);
    }
}

static void a_lost_payload_costs_its_own_packets_only(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t packet[200], data[300];
    make_v4(packet, sizeof packet, 1, 2, UDP, 7, 8);
    walk_data(ends.right, 1, 0, packet, 50, &found);
    /* number 2, with the middle, is lost; 3 has the end, and packets behind it */
    memcpy(data, packet + 150, 50);
    make_v4(data + 50, 100, 1, 2, UDP, 1, 2);
    walk_data(ends.right, 3, 50, data, 150, &found);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.length[0], 100);
    assert_int_equal(drops(ends), 0);
    ends_free(ends);
}

static void what_a_sender_says_wrongly_is_dropped_and_nothing_else(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t good[100], data[300];
    make_v4(good, sizeof good, 1, 2, UDP, 1, 2);
    struct {
        const char *why;
        size_t whole; /* good ones in front */
        uint8_t octets[24];
        size_t length;
    } bad[] = {{"type 5", 1, {0x50}, 24}, {"an IPv4 packet shorter than its header", 1, {0x45, 0, 0, 19}, 24},
        {"no length at all", 1, {0x45, 0, 0, 0}, 24}, {"a header longer than the packet", 0, {0x46, 0, 0, 20}, 20}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(data, good, sizeof good);
        memcpy(data + sizeof good, bad[i].octets, bad[i].length);
        walk_data(ends.right, 10 + i, 0, data, sizeof good + bad[i].length, &found);
        assert_int_equal(found.count, 1);
        assert_int_equal(drops(ends), i + 1);
    }
    uint8_t header[4] = {2, 0, 0, 0}; /* a sub-type that nobody has */
    walk(ends.right, 30, header, sizeof header, &found);
    walk(ends.right, 31, header, 3, &found); /* no header */
    assert_int_equal(drops(ends), 6);
    /* the beginning says 100 octets, and the end comes with 90 and then none is left to come */
    walk_data(ends.right, 40, 0, good, 50, &found);
    walk_data(ends.right, 41, 40, good + 50, 40, &found);
    assert_int_equal(found.count, 0);
    assert_int_equal(drops(ends), 7);
    /* the beginning of one, and a next payload that knows nothing of it: the end two later finds nobody */
    walk_data(ends.right, 50, 0, good, 50, &found);
    walk_data(ends.right, 51, 0, good, sizeof good, &found);
    assert_int_equal(found.count, 1);
    walk_data(ends.right, 52, 50, good + 50, 50, &found);
    assert_int_equal(found.count, 0);
    ends_free(ends);
}

static void each_inner_packet_is_held_to_the_selectors(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t data[300];
    make_v4(data, 100, 1, 2, UDP, 1, 2);
    make_v4(data + 100, 100, 3, 2, UDP, 1, 2); /* from a network that is not left's */
    make_v4(data + 200, 100, 1, 2, UDP, 1, 2);
    walk_data(ends.right, 1, 0, data, 300, &found);
    assert_int_equal(found.count, 2);
    assert_int_equal(drops(ends), 1);
    walk_data(ends.right, 2, 0, data + 100, 60, &found); /* ... and in pieces */
    walk_data(ends.right, 3, 40, data + 160, 40, &found);
    assert_int_equal(found.count, 0);
    assert_int_equal(drops(ends), 2);
    ends_free(ends);
}

static void the_congestion_header_is_passed_over(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t payload[24 + 100] = {1, 3};
    memset(payload + 4, 0xee, 20);
    make_v4(payload + 24, 100, 1, 2, UDP, 1, 2);
    walk(ends.right, 1, payload, sizeof payload, &found);
    assert_int_equal(found.count, 1);
    walk(ends.right, 2, payload, 24, &found); /* an empty payload reports and carries nothing */
    assert_int_equal(found.count, 0);
    assert_int_equal(drops(ends), 0);
    walk(ends.right, 3, payload, 23, &found);
    assert_int_equal(drops(ends), 1);
    ends_free(ends);
}

static void incomplete_packets_take_bounded_memory_and_newer_ones_win(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64);
    struct found found;
    uint8_t packet[100];
    make_v4(packet, sizeof packet, 1, 2, UDP, 1, 2);
    for (uint64_t sequence = 10; sequence < 10 + 10 * (PIECES_RUNS + 1); sequence += 10)
        walk_data(ends.right, sequence, 0, packet, 60, &found);
    for (uint64_t sequence = 20; sequence < 10 + 10 * (PIECES_RUNS + 1); sequence += 10) {
        walk_data(ends.right, sequence + 1, 40, packet + 60, 40, &found);
        assert_int_equal(found.count, 1);
    }
    walk_data(ends.right, 11, 40, packet + 60, 40, &found);
    assert_int_equal(found.count, 0);
    ends_free(ends);
}

/* An SA of this mode carries nothing else (section 2.3), and others do not carry this. */
static void aggfrag_and_bare_packets_do_not_mix(void **state) {
    (void)state;
    struct ends ends = aggfrag_ends(64), plain = ends_of(gcm, true, 64);
    uint8_t packet[ROOM], inner[104] = {0};
    make_v4(inner + 4, 100, 1, 2, UDP, 1, 2);
    assert_int_equal(open_one(ends.right, packet, seal_one(ends.left, packet, inner + 4, 100, 4)), ESP_POLICY);
    assert_int_equal(open_one(plain.right, packet, seal_one(plain.left, packet, inner, 104, 144)), ESP_POLICY);
    assert_int_equal(open_one(ends.right, packet, seal_one(ends.left, packet, inner, 104, 59)), ESP_DUMMY);
    assert_int_equal(drops(ends), 1);
    struct esp_config config = config_of(gcm, true, 64, true);
    struct error err = {0};
    make_transport(&config);
    config.aggfrag = true;
    assert_null(esp_sa_new(&config, &err));
    ends_free(ends);
    ends_free(plain);
}

/* --- packing, the network, unpacking --- */

static uint64_t rng;
static uint32_t draw(uint32_t below) {
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(rng >> 33) % below;
}

#define HELD 6 /* outer packets under way */
#define OUTER ((size_t)4096)
struct net {
    struct ends ends;
    uint8_t outer[HELD][OUTER];
    size_t length[HELD];
    uint32_t loss, reorder, twice; /* permille */
    uint32_t sent, came; /* inner packets, by the number that each carries */
    uint8_t *seen, *spoilt; /* spoilt: by the loss of an outer packet that had a part of it */
    struct aggfrag_fill fill;
    uint32_t first, last; /* inner packets of the payload being filled */
    bool any;
    size_t room;
    uint8_t building[OUTER];
};

static void arrives(struct net *net, const uint8_t *outer, size_t length) {
    uint8_t copy[OUTER];
    memcpy(copy, outer, length);
    struct esp_open_job job = {.packet = copy, .length = length};
    if (esp_open(net->ends.right, 1, &job, 1) == 0)
        return;
    assert_int_equal(job.verdict, ESP_AGGREGATE);
    struct aggfrag_walk at;
    uint8_t *inner;
    size_t octets;
    bool pieced;
    for (aggfrag_open(&at, net->ends.right, &job); aggfrag_next(&at, &inner, &octets, &pieced); net->came++) {
        uint32_t number;
        uint8_t expected[8192];
        memcpy(&number, inner + (inner[0] >> 4 == 4 ? 24 : 48), sizeof number);
        assert_true(number < net->sent && !net->seen[number]);
        net->seen[number] = 1;
        if (inner[0] >> 4 == 4)
            make_v4(expected, octets, 1, 2, UDP, 5, 6);
        else
            make_v6(expected, octets, 1, 2);
        memcpy(expected + (inner[0] >> 4 == 4 ? 24 : 48), &number, sizeof number);
        assert_memory_equal(inner, expected, octets);
    }
}

static void late(struct net *net, size_t slot) {
    if (net->length[slot] > 0)
        arrives(net, net->outer[slot], net->length[slot]);
    net->length[slot] = 0;
}

static void leaves(struct net *net) {
    if (net->fill.payload == NULL)
        return;
    struct esp_seal_job job = {.packet = net->building,
        .inner = net->fill.used,
        .next_header = ESP_NEXT_AGGFRAG,
        .packets = net->fill.packets};
    assert_int_equal(esp_seal(net->ends.left, &job, 1), 1);
    net->fill.payload = NULL;
    bool any = net->any;
    net->any = false;
    if (draw(1000) < net->loss) {
        for (uint32_t i = net->first; any && i <= net->last; i++)
            net->spoilt[i] = 1;
        return;
    }
    if (draw(1000) < net->reorder) {
        size_t slot = draw(HELD);
        late(net, slot);
        memcpy(net->outer[slot], net->building, job.length);
        net->length[slot] = job.length;
    } else {
        arrives(net, net->building, job.length);
        if (draw(1000) < net->twice)
            arrives(net, net->building, job.length);
    }
    for (size_t i = 0; i < HELD; i++)
        if (draw(3) == 0)
            late(net, i);
}

static void is_in(struct net *net, uint32_t number) {
    net->first = net->any ? net->first : number;
    net->last = number;
    net->any = true;
}

static void opens(struct net *net, size_t rest) {
    if (net->fill.payload == NULL)
        aggfrag_begin(&net->fill, net->building + esp_seal_offset(net->ends.left), net->room, rest);
}

/* As the worker does: whole where it fits, else whole in the next one, else in pieces. */
static void send(struct net *net, const uint8_t *packet, size_t length, bool cut_anyway) {
    uint32_t number = net->sent++;
    opens(net, 0);
    uint8_t *at = cut_anyway ? NULL : aggfrag_whole(&net->fill, length);
    if (at == NULL && !cut_anyway && length <= net->room - AGGFRAG_HEADER_LENGTH) {
        leaves(net);
        opens(net, 0);
        at = aggfrag_whole(&net->fill, length);
        assert_non_null(at);
    }
    if (at != NULL) {
        memcpy(at, packet, length);
        is_in(net, number);
        return;
    }
    for (size_t done = 0; done < length;) {
        size_t part = aggfrag_part(&net->fill, packet, length, done);
        done += part;
        if (part > 0)
            is_in(net, number);
        if (done < length) {
            leaves(net);
            opens(net, done > 0 ? length - done : 0);
        }
    }
}

static void run(uint64_t seed, uint32_t loss, uint32_t reorder, uint32_t twice) {
    static struct net net;
    memset(&net, 0, sizeof net);
    net.ends = aggfrag_ends(64);
    net.loss = loss;
    net.reorder = reorder;
    net.twice = twice;
    net.seen = calloc(UNTIL, 1);
    net.spoilt = calloc(UNTIL, 1);
    assert_true(net.seen != NULL && net.spoilt != NULL);
    rng = seed;
    net.room = 300 + draw(1500);
    uint64_t octets = 0;
    while (net.sent < UNTIL) {
        uint8_t packet[8192];
        size_t length = draw(10) == 0 ? 60 + draw(6000) : 60 + draw(400);
        uint32_t number = net.sent, at = 24;
        if (draw(3) == 0) {
            make_v6(packet, length, 1, 2);
            at = 48;
        } else {
            make_v4(packet, length, 1, 2, UDP, 5, 6);
        }
        memcpy(packet + at, &number, sizeof number);
        send(&net, packet, length, draw(5) == 0);
        octets += length;
        if (draw(4) == 0)
            leaves(&net); /* nothing waits until a payload is full */
    }
    leaves(&net);
    for (size_t i = 0; i < HELD; i++)
        late(&net, i);
    size_t spoilt = 0, missing = 0;
    for (size_t i = 0; i < UNTIL; i++) {
        spoilt += net.spoilt[i];
        missing += !net.seen[i];
        if (net.spoilt[i])
            assert_false(net.seen[i]); /* a part of it never came */
    }
    assert_int_equal(missing + net.came, UNTIL);
    assert_int_equal(missing, spoilt); /* whoever lost nothing comes out */
    struct esp_counters *out = esp_sa_counters(net.ends.left), *in = esp_sa_counters(net.ends.right);
    assert_int_equal(atomic_load(&out->packets_out), UNTIL);
    assert_int_equal(atomic_load(&out->bytes_out), octets);
    assert_int_equal(atomic_load(&in->packets_in), net.came);
    assert_int_equal(atomic_load(&in->policy_drops), 0);
    free(net.seen);
    free(net.spoilt);
    ends_free(net.ends);
}

static void packing_then_unpacking_is_the_identity(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 0, 0, 0);
}

static void loss_spoils_no_packet_but_those_it_had_a_part_of(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 50, 0, 100);
}

static void reordered_and_doubled_payloads_give_each_packet_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 20, 100, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_packets_and_padding_lie_behind_each_other),
        cmocka_unit_test(a_packet_over_three_payloads_comes_out_whole),
        cmocka_unit_test(pieces_join_in_any_order_and_over_payloads_of_padding),
        cmocka_unit_test(a_lost_payload_costs_its_own_packets_only),
        cmocka_unit_test(what_a_sender_says_wrongly_is_dropped_and_nothing_else),
        cmocka_unit_test(each_inner_packet_is_held_to_the_selectors),
        cmocka_unit_test(the_congestion_header_is_passed_over),
        cmocka_unit_test(incomplete_packets_take_bounded_memory_and_newer_ones_win),
        cmocka_unit_test(aggfrag_and_bare_packets_do_not_mix),
        cmocka_unit_test(packing_then_unpacking_is_the_identity),
        cmocka_unit_test(loss_spoils_no_packet_but_those_it_had_a_part_of),
        cmocka_unit_test(reordered_and_doubled_payloads_give_each_packet_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
