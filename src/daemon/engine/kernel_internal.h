/* kernel_internal.h: what kernel.c and kernel_tick.c share: anchors whose ESP the kernel does, or may come to do. */
#ifndef DAEMON_ENGINE_KERNEL_INTERNAL_H
#define DAEMON_ENGINE_KERNEL_INTERNAL_H

#include "daemon/engine/internal.h"

enum kernel_state { KERNEL_OURS, KERNEL_ENDING, KERNEL_SETTING, KERNEL_KERNEL, KERNEL_TAKING };

struct kernel_sa {
    SLIST_ENTRY(kernel_sa) next;
    struct esp_sa *sa; /* the worker's; alive until it is retired, which is seen here first */
    uint32_t spi_in;
    bool outbound; /* to be used at once */
    bool lent; /* the worker leaves it alone */
    bool mute; /* ... for sending, until the kernel has it ... */
    uint64_t mute_until; /* ... or then (ms) */
    bool in_kernel, been; /* now; or the kernel must not have it: it came back, or has sent here */
    bool failed; /* the kernel did not take it */
    bool spent; /* the kernel had it: it receives here, and sends no more */
    bool lost; /* nobody knows its numbers any more: it stays lent until it is replaced */
    struct host_esp_state seen; /* what was counted */
    uint64_t rekey_at; /* ms: asked for not before */
};
SLIST_HEAD(kernel_sa_list, kernel_sa);

struct kernel_anchor {
    LIST_ENTRY(kernel_anchor) next;
    uint32_t number, round; /* answers of an earlier round are nobody's */
    char connection[64];
    struct carrier carrier, lent; /* now; and which the kernel has */
    enum kernel_state state;
    bool refused; /* the kernel can't, or nobody wants it: it is not asked again */
    bool differs; /* the worker lent others than these: again with the next tick */
    bool stranded; /* in the tick before, the kernel had its stream and not its SAs */
    unsigned asked; /* answers of the monitor to come, in this round */
    struct error error; /* why the kernel can't */
    struct kernel_sa_list sas;
};

struct kernel_asked {
    struct engine *engine;
    uint32_t anchor, round, spi_in;
    peer_id peer;
};

struct kernel_anchor *kernel_find(struct engine *, uint32_t number); /* NULL: none */
struct kernel_sa *kernel_find_sa(const struct kernel_anchor *, uint32_t spi_in); /* NULL: none */
struct kernel_asked *kernel_asked_new(struct engine *, const struct kernel_anchor *, uint32_t spi_in, peer_id);
struct kernel_anchor *kernel_answered(const struct kernel_asked *);
void kernel_count_up(struct kernel_sa *, const struct host_esp_state *);

void kernel_decide(struct engine *, struct kernel_anchor *); /* takes the next step, if it is time for one */
void kernel_cancel(struct engine *, struct kernel_anchor *); /* of KERNEL_ENDING: all is ours again */
void kernel_unmute(struct engine *, struct kernel_sa *); /* it never went to the kernel: ours again */
void kernel_give_up(struct engine *, struct kernel_anchor *); /* a->error says why; calls peers, which may free it */
void kernel_close_stream(struct engine *, uint32_t stream, const struct error *why); /* calls peers */

#endif
