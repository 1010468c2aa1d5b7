/* traffic.h: what the files of the worker's half share. traffic.c: anchors, SAs, commands; inbound.c: frames in;
 * policy.c: which SA an inner packet takes. Nothing here allocates per packet. */
#ifndef IKETCP_PEER_TRAFFIC_H
#define IKETCP_PEER_TRAFFIC_H

#include "peer/peer.h"
#include "peer/table.h"

#define UNKNOWN_PER_SECOND 200u /* reports of unknown SPIs */
#define UNKNOWN_LENGTH_MIN ((size_t)40) /* nobody gets back more than was sent */
#define REPORT_AGAIN 1024u /* batches or packets between two reports of the same */

struct anchor {
    uint32_t number;
    struct carrier carrier;
    bool over_stream; /* C5: over UDP only when a command says so */
    bool pinned; /* stays at the remote's UDP address */
    bool roams; /* MOBIKE: over UDP only another port of the same host is followed */
    bool unconfirmed; /* moved here by ESP, and no command said so yet */
    uint32_t batches; /* since then: a report may be lost on its way, so it is said again now and then */
    struct installed *sas;
};

/* An inner packet whose destination lies in `cover` may be this SA's; esp_sa_takes says exactly. */
struct policy_entry {
    struct policy_entry *next; /* with the same cover: narrower ones first, then newer ones */
    struct installed *owner;
    uint64_t key; /* of cover, in traffic.policy */
    uint8_t family, length;
    uint32_t narrowness;
};

struct installed {
    struct installed *next; /* of the same anchor */
    struct anchor *anchor;
    struct esp_sa *sa;
    uint32_t spi_in, replaces;
    uint32_t device; /* takes packets of this one alone */
    bool outbound; /* is in the policy */
    bool draining; /* and never will be again */
    bool lent; /* the kernel has it */
    bool mute; /* the kernel is to have it: nothing is sealed with it before */
    uint32_t soft_calls; /* of traffic_sealed since a rekey is due */
    size_t entries;
    struct policy_entry entry[]; /* as many as the SA has remote selectors */
};

/* Packets of transport mode, with the headers that they had: all of one traffic_receive. */
#define REBUILT_OCTETS_MAX (ESP_BATCH_MAX * (65535 + ESP_TRANSPORT_HEADER_MAX))

struct traffic {
    uint8_t worker;
    uint8_t *rebuilt; /* REBUILT_OCTETS_MAX; NULL before the first SA that needs it */
    size_t rebuilt_used;
    struct table by_anchor, by_spi, by_stream; /* by_stream: whose current carrier it is */
    struct table policy; /* key of a prefix -> first policy_entry */
    uint32_t covers[2][129]; /* how many entries there are of each length, IPv4 and IPv6 */
    size_t anchors, sas;
    uint64_t unknown_since; /* a second, and how many unknown SPIs were reported in it */
    uint32_t unknown;
};

void policy_enter(struct traffic *, struct installed *);
void policy_leave(struct traffic *, struct installed *);

bool anchor_may_move(const struct traffic *, const struct anchor *, const struct carrier *);
bool anchor_carry(struct traffic *, struct anchor *, const struct carrier *);

struct traffic_report *report_add(struct traffic_reports *, enum traffic_report_kind); /* NULL: full */

#endif
