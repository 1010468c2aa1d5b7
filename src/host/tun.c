/* tun.c: the TUN device: not persistent, so that it ends with its descriptor; with segmentation offloads, so that it moves
 * bursts; without link-local noise. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/internal.h"

#define QUEUE_PACKETS 1000
#define ADDRESSES_GENERATED_NONE 1 /* IN6_ADDR_GEN_MODE_NONE */
/* Newer than the headers we build with; a kernel that does not know them says so. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* The first of the names that is free; with a number's place in it, the kernel counts. */
static bool take_name(int fd, const char *const names[], size_t count, char name[16], struct error *err) {
    int why = 0;
    for (size_t i = 0; i < count; i++) {
        struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
        memcpy(request.ifr_name, names[i], strnlen(names[i], IFNAMSIZ - 1));
        if (ioctl(fd, TUNSETIFF, &request) == 0) {
            memcpy(name, request.ifr_name, 16);
            name[15] = 0;
            return true;
        }
        why = errno;
        if (why != EBUSY && why != EEXIST && why != EINVAL)
            break;
    }
    return fail(err, HOST, 0, "a TUN device can't be made: %s", strerror(why));
}

static bool ask_offloads(int fd) {
    const unsigned long usual = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, datagrams = TUN_F_USO4 | TUN_F_USO6;
    return ioctl(fd, TUNSETOFFLOAD, usual | datagrams) == 0 || ioctl(fd, TUNSETOFFLOAD, usual) == 0;
}

/* Hosts without IPv6 refuse it, and need it not. */
static void no_link_local_address(struct host *h, int index) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct nl_msg *m = netlink_message(RTM_SETLINK, 0, &info, sizeof info);
    struct nlattr *families = m != NULL ? nla_nest_start(m, IFLA_AF_SPEC) : NULL;
    struct nlattr *v6 = families != NULL ? nla_nest_start(m, AF_INET6) : NULL;
    if (v6 == NULL || nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, ADDRESSES_GENERATED_NONE) != 0) {
        nlmsg_free(m);
        return;
    }
    nla_nest_end(m, v6);
    nla_nest_end(m, families);
    (void)netlink_send(h, m);
}

bool tun_bring_up(struct host *h, int index, uint32_t mtu, struct error *err) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    no_link_local_address(h, index);
    struct nl_msg *m = netlink_message(RTM_NEWLINK, 0, &info, sizeof info);
    if (m == NULL || (mtu != 0 && nla_put_u32(m, IFLA_MTU, mtu) != 0) ||
        nla_put_u32(m, IFLA_TXQLEN, QUEUE_PACKETS) != 0) {
        nlmsg_free(m);
        return fail(err, OURS, 0, "no memory for the TUN device");
    }
    int result = netlink_send(h, m);
    return result == 0 ||
           fail(err, HOST, 0, "the TUN device can't be brought up with MTU %u: %s", mtu, nl_geterror(result));
}

bool tun_open(const char *const names[], size_t count, int *fd, char name[16], bool *offload, struct error *err) {
    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return fail(err, HOST, 0, "/dev/net/tun: %s", strerror(errno));
    if (take_name(*fd, names, count, name, err)) {
        *offload = ask_offloads(*fd);
        return true;
    }
    close(*fd);
    *fd = -1;
    return false;
}

/* The wanted name if it is free, else the kernel's choice. */
bool host_tun_open(
    struct host *h, const char *wanted_name, uint32_t mtu, int *fd, char name[16], bool *offload, struct error *err) {
    const char *const names[] = {wanted_name, "iketcp%d"};
    bool named = wanted_name != NULL && wanted_name[0] != 0;
    h->warning[0] = 0;
    if (!tun_open(named ? names : names + 1, named ? 2 : 1, fd, name, offload, err))
        return false;
    int index = (int)if_nametoindex(name);
    if (tun_bring_up(h, index, mtu, err)) {
        h->tun_index = index;
        return true;
    }
    close(*fd);
    *fd = -1;
    return false;
}
