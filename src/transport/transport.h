/* transport.h: the face of transport/: sockets. Listeners (evconnlistener, O2), streams that are being accepted or
 * connected, and the plain reading and writing of streams and UDP sockets that the workers do.
 *
 * Control thread: tcp_listener, tcp_connector, with libevent. Worker: `struct stream`, udp_*: no events of their own.
 * No socket that needs privilege is made here: descriptors come from the monitor. */
#ifndef IKETCP_TRANSPORT_TRANSPORT_H
#define IKETCP_TRANSPORT_TRANSPORT_H

#include "base/base.h"
#include "path/path.h"
#include "wire/wire.h"
#include <sys/types.h>

struct event_base;

/* ---- addresses and the sockets' structs ---- */
struct sockaddr_storage;
unsigned address_to_sockaddr(const struct address *, struct sockaddr_storage *); /* returns the length */
void address_from_sockaddr(const struct sockaddr_storage *, struct address *); /* IPv4-mapped becomes IPv4 */

/* ---- TLS (RFC 9329, appendix A): for getting through, not for trust, since IKE authenticates the peer (T2) ---- */

struct tls; /* one TLS connection, bound to a socket that is not its own; goes to the worker with its stream */
void tls_free(struct tls *); /* frees only: stream_free says close_notify */
/* "TLS 1.3, TLS_AES_128_GCM_SHA256, resumed"; valid as long as `out`. */
#define TLS_TEXT_MAX 96
const char *tls_text(const struct tls *, char out[TLS_TEXT_MAX]);

/* What a gateway shows to its clients. Streams keep what they need of it. */
struct tls_server;
/* PEM texts: the certificate with its chain, and its key. Both NULL: a self-signed one (EC P-256) that lives as long as
 * this. NULL and *err: one is not readable, or they are no pair. */
struct tls_server *tls_server_new(const char *certificate, const char *key, struct error *);
void tls_server_free(struct tls_server *);

/* What an Originator's TLS streams share: sessions, to be resumed when a stream is opened again (T5). Streams use it from
 * the worker's thread: free it after them. */
struct tls_client;
struct tls_client *tls_client_new(struct error *);
void tls_client_free(struct tls_client *);
struct tls_wanted { /* of one connection */
    char server_name
        [256]; /* what is asked for (SNI) and, with `verify`, must be in the certificate: a name or address */
    char alpn[64]; /* protocols, commas between them, such as "http/1.1"; empty: none */
    bool verify; /* else any certificate will do (T2) */
    const char *ca; /* PEM text of those who may sign it; NULL: the system's */
};

/* ---- proxies in front of TCP and TLS: HTTP CONNECT (RFC 9110), SOCKS 5 (RFC 1928, 1929) ---- */

enum proxy_kind { PROXY_NONE, PROXY_HTTP, PROXY_SOCKS5 };
struct proxy_wanted {
    enum proxy_kind kind;
    char user[256], password[256]; /* 255 octets are RFC 1929's most; user empty: neither */
    char host[256]; /* whom the proxy shall call: an address, or a name that the proxy looks up */
    uint16_t port;
};

/* ---- a stream before it has an owner ---- */

/* An accepted connection whose prefix and first message (or enough of it to name its SPI) came. Everything that was
 * read, prefix included, is in `octets`; the taker owns fd and must copy octets. */
struct accepted_stream {
    int fd; /* non-blocking, TCP_NODELAY, keepalive 60 s (K6) */
    enum transport transport;
    struct tls *tls; /* the taker's too; NULL: plain TCP. What follows was read through it */
    struct address local, remote;
    const uint8_t *octets;
    size_t length;
    uint8_t worker; /* from the SPI of the first message: whose it is; 0 for an IKE_SA_INIT */
};

struct accept_limits {
    uint32_t streams_max; /* not yet handed over, in all */
    uint32_t streams_per_source; /* the same, per source address (IPv6: per /64) */
    int descriptor_most; /* none above is kept: what is left of the process's limit is for what we open ourselves */
    uint64_t first_message_ms; /* L12: closed without a word when the first message is not there by then */
    uint32_t guests_max; /* connections that were handed on to a web server, in all; per source as above */
    uint64_t guest_idle_ms; /* closed when neither side said anything for so long */
};
void accept_limits_defaults(struct accept_limits *);

struct tcp_listener;
/* Takes over `fd`, which is bound and listening. on_stream is called from the event loop. NULL and *err on failure. */
struct tcp_listener *tcp_listener_new(struct event_base *, int fd, const struct accept_limits *,
    void (*on_stream)(void *context, const struct accepted_stream *), void *context, struct error *);
void tcp_listener_free(struct tcp_listener *); /* and all streams that were not handed over */
/* What is done with whom, told apart by the first octets: `IKETCP`, a TLS ClientHello, anything else. May change at any
 * time; who is there already keeps what he got. Without this call: plain streams only. */
struct listener_services {
    bool plain; /* `IKETCP` outside TLS is a stream */
    const struct tls_server *tls; /* NULL: no TLS. Must live until it is replaced, or the listener is freed */
    struct address web; /* other first octets, outside and inside TLS, go to this web server; port 0: are closed (S2) */
};
void tcp_listener_serve(struct tcp_listener *, const struct listener_services *);
/* Called, at most once a minute, when the system gives no descriptor or memory for who comes: he waits, and half a second later
 * it is tried again. `why` is a sentence; the context is on_stream's. */
void tcp_listener_on_trouble(struct tcp_listener *, void (*)(void *context, const struct error *why));
/* Stops and resumes accepting (limits reached elsewhere). */
void tcp_listener_pause(struct tcp_listener *, bool paused);
size_t tcp_listener_pending(const struct tcp_listener *);
size_t tcp_listener_guests(const struct tcp_listener *); /* of the web server */

struct tcp_connector;
/* Connects `fd` (a fresh non-blocking TCP socket, bound if wanted; taken over) to `remote`. Exactly one call of
 * on_done: fd >= 0 with both addresses, or fd -1 and the error ("TCP 192.0.2.1:4500 refused the connection: nothing
 * listens there"). Not called after tcp_connector_free. */
struct tcp_connector *tcp_connector_new(struct event_base *, int fd, const struct address *remote, uint64_t timeout_ms,
    void (*on_done)(
        void *context, int fd, const struct address *local, const struct address *remote, const struct error *),
    void *context, struct error *);
void tcp_connector_free(struct tcp_connector *);

/* The same with what may come behind TCP: a proxy's consent, then a TLS handshake. */
struct connect_wanted {
    struct address remote; /* of the peer; or of the proxy, which knows the peer by proxy.host */
    uint32_t flow_label; /* over IPv6, 20 bits (L13); 0: the kernel chooses */
    uint64_t timeout_ms; /* of TCP alone */
    uint64_t step_timeout_ms; /* of the proxy, and of TLS */
    struct proxy_wanted proxy;
    struct tls_client *tls; /* NULL: plain TCP. Must outlive the stream */
    struct tls_wanted tls_wanted;
};
struct connected_stream {
    int fd; /* the taker's, and so is tls; -1: it failed */
    struct tls *tls;
    struct address local, remote; /* of the socket: the proxy's, where there is one */
    const uint8_t *octets; /* what came behind the proxy's consent without TLS; valid during the call */
    size_t length;
};
struct stream_connector;
/* `fd` as for tcp_connector_new. Exactly one call of on_done, from the event loop; not after stream_connector_free. */
struct stream_connector *stream_connector_new(struct event_base *, int fd, const struct connect_wanted *,
    void (*on_done)(void *context, const struct connected_stream *, const struct error *), void *context,
    struct error *);
void stream_connector_free(struct stream_connector *);

/* ---- a stream that has an owner (worker) ---- */
#define STREAM_READ_MAX ((size_t)262144)

/* What the streams of one worker take turns with: the memory of a read. A stream has it from stream_read to stream_park. */
struct stream_memory {
    uint8_t *spare; /* NULL: none, or a stream has it */
    size_t size;
};
void stream_memory_free(struct stream_memory *);

struct stream; /* fd, framer, what was read and not yet a whole message, what was not yet written */
struct stream_options {
    bool originator; /* we opened it: the prefix goes out in front of the first write (S1, S13) */
    enum transport transport;
    struct tls *tls; /* taken over; NULL: plain TCP */
    struct span octets; /* already read (accepted), copied */
    struct stream_memory *memory; /* outlives the stream; NULL: it has its own */
    size_t write_queue_max; /* octets that may wait behind a full socket; more ESP is refused, IKE is not */
};
struct stream *stream_new(int fd, const struct stream_options *, struct error *); /* takes over fd */
void stream_free(
    struct stream *); /* closes; close_notify (T6) and FIN after what was queued if the socket takes it now */
int stream_fd(const struct stream *);

enum stream_result { STREAM_OK, STREAM_AGAIN, STREAM_CLOSED, STREAM_CORRUPT, STREAM_FAILED };
/* Reads once (up to STREAM_READ_MAX), or takes the octets that were there from the start. */
enum stream_result stream_read(struct stream *, struct error *);
/* More can be read though the socket may not be readable: TLS has it already. Never of plain TCP. */
bool stream_pending(const struct stream *);
/* The next payloads of what was read, in place, valid until the next stream_read: at most `max`; *count 0: read again. */
enum stream_result stream_payloads(struct stream *, struct span *payload, size_t max, size_t *count, struct error *);
/* The payloads are done with: an idle stream has no memory but for what is read and not yet a whole message. Without this call it
 * keeps what it read into. */
void stream_park(struct stream *);
/* Queues one IKE message, marker and length in front, ahead of ESP that waits at a frame's border; then flushes.
 * STREAM_AGAIN and *err: it is dropped, since it is longer than a frame takes (S7) or the peer reads nothing. */
enum stream_result stream_send_ike(struct stream *, struct span message, struct error *);
/* Writes frames that are complete (length fields included) in one sendmsg, or one TLS record for each 16 KiB; what the socket does not take is kept.
 * STREAM_AGAIN: nothing was taken, the queue is full (drop them). While octets wait, frames are only queued: call
 * stream_flush when the socket is writable. How much the socket takes ahead of the network is its owner's choice
 * (TCP_NOTSENT_LOWAT). */
enum stream_result stream_write_frames(struct stream *, const uint8_t *frames, size_t length, struct error *);
enum stream_result stream_flush(struct stream *, struct error *); /* on writability */
bool stream_wants_write(const struct stream *);
size_t stream_queued(const struct stream *); /* octets: ours and, by SIOCOUTQNSD, unsent in the socket */

/* The kernel is to read the stream's frames and to take ESP out of it (espintcp, Linux 5.6). First reading must come to the
 * border of two frames: from this call on stream_read goes no further than that. True: it is there; nothing is kept that the
 * kernel would miss. */
bool stream_at_border(struct stream *);
/* Nothing is written any more, while nothing waits to be: IKE is queued. */
void stream_rest(struct stream *);
void stream_read_on(struct stream *); /* as before all this */
/* One that rests at the border: hands it over, for good. IKE is sent and received as before; frames can no longer be
 * written. False and *err: the kernel can't, nothing has changed. Never over TLS. */
MUST_USE bool stream_to_kernel(struct stream *, struct error *);

/* ---- UDP (worker) ---- */
#define UDP_BATCH_MAX 64
#define UDP_RECEIVE_MAX 2048 /* datagrams that one udp_receive may return: UDP_GRO packs up to 64 into one */
#define UDP_DATAGRAM_MAX ((size_t)65535)
struct udp_datagram {
    uint8_t *octets;
    size_t length;
    struct address local, remote; /* local address by PKTINFO, port of the socket */
};
/* Non-blocking; one recvmmsg; returns how many came (0: none; at most UDP_RECEIVE_MAX), -1 and *err. Memory of the
 * datagrams is `udp`'s, valid until the next udp_receive. With UDP_GRO one datagram may have been several: they are
 * already apart. */
struct udp_socket;
struct udp_socket *udp_socket_new(int fd, uint16_t port, struct error *); /* takes over fd (bound; v4 or v6) */
void udp_socket_free(struct udp_socket *);
int udp_socket_fd(const struct udp_socket *);
int udp_receive(struct udp_socket *, struct udp_datagram **, struct error *);
/* One sendmmsg per UDP_BATCH_MAX (with UDP_SEGMENT where neighbours' lengths allow). Local addresses that are set go into
 * PKTINFO. Returns how many the socket took; the others are lost, as UDP loses. -1 and *err: none, for a reason that is
 * not a full socket. */
int udp_send(struct udp_socket *, const struct udp_datagram *, size_t count, struct error *);
/* An ICMP error that was queued for this socket (IP_RECVERR): true once per error. Take them all whenever the socket is
 * readable: a queue that is not empty keeps it so. `remote`: where our datagram was going. */
bool udp_take_error(struct udp_socket *, struct address *remote, struct error *);

#endif
