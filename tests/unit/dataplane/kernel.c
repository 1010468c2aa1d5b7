/* kernel.c: cutting and joining against the kernel's own. In a network namespace of this process, packets are written to
 * one TUN device, routed by the kernel, and read from another one that takes no offload: what comes out there was cut by
 * the kernel. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail /* base/error.h has another one */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dataplane/offload.h"
#include "packets.h"

#define ROUNDS 150

static int in = -1, out = -1; /* where packets go in, with offload; where they come out */
static bool uso;

static int tun_open(const char *name, unsigned long offload) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETOFFLOAD, offload) < 0)
        return -1;
    return fd;
}

static int make_namespace(void **state) {
    (void)state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
        return 0; /* the tests say that they are skipped */
    in = tun_open("dataplane-in", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
    out = tun_open("dataplane-out", 0);
    if (in < 0 || out < 0)
        return 0;
    uso = ioctl(in, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6) == 0;
    static const char setup[] =
        "cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding && "
        "echo 0 >ipv4/conf/all/rp_filter && "
        "for dev in in out; do ip link set dataplane-$dev mtu 9500 up || exit 1; done && "
        "ip address add 10.1.0.1/24 dev dataplane-in && ip address add 10.2.0.1/24 dev dataplane-out && "
        "ip address add fd01::1/16 dev dataplane-in nodad && ip address add fd02::1/16 dev dataplane-out nodad";
    return system(setup) == 0 ? 0 : -1;
}

static void need_kernel(void) {
    if (in >= 0 && out >= 0)
        return;
    print_message("skipped: needs root, a network namespace and /dev/net/tun\n");
    skip();
}

/* The next of our packets (not the kernel's own chatter); false: none comes. */
static bool next_packet(struct packet *packet) {
    struct pollfd waiting = {.fd = out, .events = POLLIN};
    while (poll(&waiting, 1, 1000) == 1) {
        ssize_t length = read(out, packet->octets, sizeof packet->octets);
        if (length < (ssize_t)TUN_HEADER_LENGTH + 28)
            continue;
        packet->length = (size_t)length;
        const uint8_t *ip = packet->octets + TUN_HEADER_LENGTH;
        uint8_t protocol = ip[0] >> 4 == 4 ? ip[9] : ip[6];
        if (protocol == 6 || protocol == 17)
            return true;
    }
    return false;
}

static void put(const uint8_t *octets, size_t length) {
    assert_int_equal(write(in, octets, length), length);
}

static void put_joined(void *context, const struct iovec *part, size_t count) {
    (void)context;
    assert_true(writev(in, part, (int)count) > 0);
}

static struct burst_spec spec_for_kernel(struct random_source *random) {
    struct burst_spec spec;
    do
        spec = spec_by_chance(random);
    while (spec.protocol == 17 && !uso);
    if (spec.segment < 100)
        spec.segment += 100;
    if (spec.payload <= spec.segment)
        spec.payload = spec.segment + 1;
    size_t most = spec.segment * 60; /* UDP_MAX_SEGMENTS is 64 in older kernels */
    if (spec.payload > most)
        spec.payload = most;
    spec.tos &= 0xfc; /* ECN is not what is asked here */
    return spec;
}

/* What the kernel makes of the burst must be what we make of it; the router took one off the TTL. */
static void assert_kernel_agrees(const struct packet *burst) {
    static struct packet kernel;
    static uint8_t ours[70000];
    struct cut cut;
    assert_true(cut_begin(&cut, burst->octets, burst->length));
    for (size_t length; (length = cut_next_length(&cut)) > 0;) {
        cut_next(&cut, ours);
        reference_ttl_less(ours);
        assert_true(next_packet(&kernel));
        assert_int_equal(kernel.length - TUN_HEADER_LENGTH, length);
        assert_memory_equal(kernel.octets + TUN_HEADER_LENGTH, ours, length);
    }
}

static void the_kernel_cuts_a_burst_as_we_do(void **state) {
    (void)state;
    need_kernel();
    static struct packet burst;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 5000;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_for_kernel(&random);
        burst_build(&random, &spec, &burst);
        put(burst.octets, burst.length);
        assert_kernel_agrees(&burst);
    }
}

static void the_kernel_takes_what_we_joined_and_cuts_it_into_what_it_was(void **state) {
    (void)state;
    need_kernel();
    static struct packet burst;
    uint8_t *wire = malloc(1 << 20);
    struct joiner joiner;
    joiner_init(&joiner, true, uso, put_joined, NULL);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 6000;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_for_kernel(&random);
        burst_build(&random, &spec, &burst);
        struct cut cut;
        assert_true(cut_begin(&cut, burst.octets, burst.length));
        size_t used = 0;
        for (size_t length; (length = cut_next_length(&cut)) > 0; used += length) {
            cut_next(&cut, wire + used);
            join_add(&joiner, wire + used, length);
        }
        join_flush(&joiner);
        assert_kernel_agrees(&burst);
    }
    free(wire);
}

static void the_kernel_completes_a_checksum_as_we_do(void **state) {
    (void)state;
    need_kernel();
    static struct packet burst;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round + 7000;
        struct random_source random = random_seeded(&seed);
        struct burst_spec spec = spec_by_chance(&random);
        spec.payload = chance(&random, 1400);
        burst_build(&random, &spec, &burst);
        burst.octets[1] = VIRTIO_NET_HDR_GSO_NONE;
        put(burst.octets, burst.length);
        assert_kernel_agrees(&burst);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_cuts_a_burst_as_we_do),
        cmocka_unit_test(the_kernel_takes_what_we_joined_and_cuts_it_into_what_it_was),
        cmocka_unit_test(the_kernel_completes_a_checksum_as_we_do),
    };
    return cmocka_run_group_tests(tests, make_namespace, NULL);
}
