// A throwaway that measures how fast user space can carry a TUN over one TCP stream: no IKE, a fixed key, IPv4 and TCP inside only, no error handling
// worth the name. It gives the bound that iketcp is compared with; it is no model of style and nothing to build on.
// usage: bound TUN listen|connect ADDRESS PORT MODE
//   MODE copy: no cipher, one frame per burst of the TUN; jumbo: the same, sealed; seg: a frame and a seal per inner packet (as ESP asks), joined again at the other end
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#define VH 10
static int tun, sk, mode;
static EVP_CIPHER_CTX *enc, *dec;
static uint64_t eseq;
static uint8_t tb[70000], ob[200000], ib[1 << 20], gb[70000];
static size_t il, ol, oo;
static void die(const char *w) {
    perror(w);
    exit(1);
}
static uint64_t csum_add(const uint8_t *p, size_t n, uint64_t s) {
    uint64_t a = 0, v;
    while (n >= 8) {
        memcpy(&v, p, 8);
        a += (uint32_t)v;
        a += v >> 32;
        p += 8;
        n -= 8;
    }
    if (n & 4) {
        uint32_t w;
        memcpy(&w, p, 4);
        a += w;
        p += 4;
    }
    if (n & 2) {
        uint16_t w;
        memcpy(&w, p, 2);
        a += w;
        p += 2;
    }
    if (n & 1)
        a += *p;
    return s + a;
}
static uint16_t fold(uint64_t s) {
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return ~s;
}
static void seal(uint8_t *p, size_t n, uint8_t *tag) { // in place
    if (!mode)
        return;
    uint8_t iv[12] = {0};
    int l;
    uint64_t s = ++eseq;
    memcpy(iv + 4, &s, 8);
    EVP_EncryptInit_ex(enc, 0, 0, 0, iv);
    EVP_EncryptUpdate(enc, 0, &l, iv, 8);
    EVP_EncryptUpdate(enc, p, &l, p, n);
    EVP_EncryptFinal_ex(enc, p + n, &l);
    EVP_CIPHER_CTX_ctrl(enc, EVP_CTRL_AEAD_GET_TAG, 16, tag);
    memcpy(tag + 16, &s, 8);
}
static void openf(uint8_t *p, size_t n, uint8_t *tag) {
    if (!mode)
        return;
    uint8_t iv[12] = {0};
    int l;
    memcpy(iv + 4, tag + 16, 8);
    EVP_DecryptInit_ex(dec, 0, 0, 0, iv);
    EVP_DecryptUpdate(dec, 0, &l, iv, 8);
    EVP_DecryptUpdate(dec, p, &l, p, n);
    EVP_CIPHER_CTX_ctrl(dec, EVP_CTRL_AEAD_SET_TAG, 16, tag);
    if (EVP_DecryptFinal_ex(dec, p + n, &l) != 1) {
        fprintf(stderr, "bad tag n=%zu\n", n);
        exit(1);
    }
}
// frame: 4 length | payload | 16 tag | 8 seq
static void frame(size_t n) {
    uint32_t l = n;
    memcpy(ob + ol, &l, 4);
    seal(ob + ol + 4, n, ob + ol + 4 + n);
    ol += 4 + n + 24;
}
static void flush(void) {
    while (oo < ol) {
        ssize_t w = write(sk, ob + oo, ol - oo);
        if (w < 0) {
            if (errno == EAGAIN)
                return;
            die("write");
        }
        oo += w;
    }
    oo = ol = 0;
}
static void from_tun(void) {
    ssize_t n = read(tun, tb, sizeof tb);
    if (n < 0) {
        if (errno == EAGAIN)
            return;
        die("tun read");
    }
    struct virtio_net_hdr h;
    memcpy(&h, tb, VH);
    if (mode < 2) {
        memcpy(ob + ol + 4, tb, n);
        frame(n);
        return;
    }
    uint8_t *ip = tb + VH;
    size_t len = n - VH;
    if (h.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
        if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
            size_t cs = h.csum_start;
            uint64_t s = csum_add(ip + cs, len - cs, 0);
            uint16_t c = fold(s);
            memcpy(ip + cs + h.csum_offset, &c, 2);
        }
        memcpy(ob + ol + 4, ip, len);
        frame(len);
        return;
    }
    size_t ihl = (ip[0] & 15) * 4;
    struct tcphdr *t = (void *)(ip + ihl);
    size_t thl = t->doff * 4, hl = ihl + thl, mss = h.gso_size;
    uint32_t seq = ntohl(t->seq);
    uint16_t id = ntohs(((struct iphdr *)ip)->id);
    for (size_t o = hl; o < len; o += mss) {
        size_t d = len - o < mss ? len - o : mss;
        uint8_t *q = ob + ol + 4;
        memcpy(q, ip, hl);
        memcpy(q + hl, ip + o, d);
        struct iphdr *i = (void *)q;
        struct tcphdr *x = (void *)(q + ihl);
        i->tot_len = htons(hl + d);
        i->id = htons(id++);
        i->check = 0;
        i->check = fold(csum_add(q, ihl, 0));
        x->seq = htonl(seq + (o - hl));
        if (o + d < len) {
            x->fin = 0;
            x->psh = 0;
        }
        x->check = 0;
        uint64_t s = csum_add(q + 12, 8, htons(6) + htons(thl + d));
        x->check = fold(csum_add(q + ihl, thl + d, s));
        frame(hl + d);
    }
}
static size_t gl, gsize, gn; // coalescing
static void put(const void *p, size_t n) {
    if (write(tun, p, n) < 0 && errno != EAGAIN && errno != EIO)
        die("tun write");
}
static void gflush(void) {
    if (!gl)
        return;
    struct virtio_net_hdr h = {0};
    uint8_t *ip = gb + VH;
    size_t ihl = 20, thl = ((struct tcphdr *)(ip + ihl))->doff * 4;
    if (gn > 1) {
        h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        h.gso_size = gsize;
        h.hdr_len = ihl + thl;
        h.csum_start = ihl;
        h.csum_offset = 16;
        struct iphdr *i = (void *)ip;
        i->tot_len = htons(gl);
        i->check = 0;
        i->check = fold(csum_add(ip, ihl, 0));
        struct tcphdr *x = (void *)(ip + ihl);
        uint64_t s = csum_add(ip + 12, 8, htons(6) + htons(gl - ihl));
        x->check = ~fold(s);
    } else
        h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    memcpy(gb, &h, VH);
    put(gb, VH + gl);
    gl = gn = 0;
}
static void deliver(uint8_t *p, size_t n) {
    if (mode < 2) {
        put(p, n);
        return;
    }
    struct iphdr *i = (void *)p;
    struct tcphdr *x = (void *)(p + 20);
    if (i->version == 4 && i->ihl == 5 && i->protocol == 6 && n > 40) {
        size_t thl = x->doff * 4, hl = 20 + thl, d = n - hl;
        uint64_t s = csum_add(p + 12, 8, htons(6) + htons(n - 20));
        int good = fold(csum_add(p + 20, n - 20, s)) == 0;
        if (good && d) {
            if (gl) {
                uint8_t *g = gb + VH;
                struct iphdr *gi = (void *)g;
                struct tcphdr *gx = (void *)(g + 20);
                if (gi->saddr == i->saddr && gi->daddr == i->daddr && gx->source == x->source && gx->dest == x->dest &&
                    gx->doff == x->doff && gx->ack_seq == x->ack_seq && ntohl(gx->seq) + (gl - hl) == ntohl(x->seq) &&
                    !memcmp(gx + 1, x + 1, thl - 20) && d <= gsize && gl + d < 65500) {
                    memcpy(g + gl, p + hl, d);
                    gl += d;
                    gn++;
                    gx->psh |= x->psh;
                    if (d < gsize || x->fin)
                        gflush();
                    return;
                }
                gflush();
            }
            memcpy(gb + VH, p, n);
            gl = n;
            gn = 1;
            gsize = d;
            return;
        }
    }
    gflush();
    struct virtio_net_hdr h = {0};
    memcpy(p - VH, &h, VH);
    put(p - VH, n + VH);
}
static int from_net(void) {
    ssize_t n = read(sk, ib + 64 + il, sizeof ib - 64 - il);
    if (n == 0)
        exit(0);
    if (n < 0) {
        if (errno == EAGAIN)
            return 0;
        die("read");
    }
    il += n;
    size_t o = 0;
    while (il - o >= 4) {
        uint32_t l;
        memcpy(&l, ib + 64 + o, 4);
        if (il - o < 4 + l + 24)
            break;
        uint8_t *p = ib + 64 + o + 4;
        openf(p, l, p + l);
        deliver(p, l);
        o += 4 + l + 24;
    }
    gflush();
    if (o)
        memmove(ib + 64, ib + 64 + o, il - o);
    il -= o;
    return 1;
}
int main(int c, char **v) {
    (void)c;
    mode = !strcmp(v[5], "copy") ? 0 : !strcmp(v[5], "jumbo") ? 1 : 2;
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    struct ifreq r = {0};
    strncpy(r.ifr_name, v[1], 15);
    r.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(tun, TUNSETIFF, &r))
        die("TUNSETIFF");
    if (ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
        die("offload");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(v[4]))};
    inet_pton(AF_INET, v[3], &a.sin_addr);
    int one = 1;
    sk = socket(AF_INET, SOCK_STREAM, 0);
    if (v[2][0] == 'l') {
        setsockopt(sk, SOL_SOCKET, SO_REUSEADDR, &one, 4);
        if (bind(sk, (void *)&a, sizeof a) || listen(sk, 1))
            die("listen");
        sk = accept(sk, 0, 0);
    } else
        while (connect(sk, (void *)&a, sizeof a)) {
            usleep(100000);
            close(sk);
            sk = socket(AF_INET, SOCK_STREAM, 0);
        }
    setsockopt(sk, IPPROTO_TCP, TCP_NODELAY, &one, 4);
    fcntl(sk, F_SETFL, O_NONBLOCK);
    uint8_t k[16] = "lab key lab key";
    enc = EVP_CIPHER_CTX_new();
    dec = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(enc, EVP_aes_128_gcm(), 0, k, 0);
    EVP_DecryptInit_ex(dec, EVP_aes_128_gcm(), 0, k, 0);
    for (;;) {
        struct pollfd p[2] = {{tun, ol ? 0 : POLLIN, 0}, {sk, POLLIN | (ol ? POLLOUT : 0), 0}};
        poll(p, 2, -1);
        if (p[1].revents & POLLOUT)
            flush();
        if (p[1].revents & POLLIN)
            from_net();
        if (p[0].revents & POLLIN && !ol) {
            from_tun();
            flush();
        }
    }
}
