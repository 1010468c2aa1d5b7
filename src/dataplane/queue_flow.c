/* queue_flow.c: which flow a packet is of: by addresses, protocol and ports, in a table where each has eight places, so that
 * two busy flows share one only when there are hundreds. */
#include "dataplane/octets.h"
#include "dataplane/queue_internal.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t word_at(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static bool has_ports(uint8_t protocol) {
    return protocol == IP_TCP || protocol == IP_UDP || protocol == 132; /* SCTP */
}

/* Fragments are told apart by their addresses alone, or the later ones would leave before the first. */
static uint64_t hash_of(uint64_t hash, const struct cut *cut) {
    const uint8_t *packet = cut->packet;
    size_t ports = IPV6_HEADER;
    uint8_t protocol = packet[6];
    if (cut->version == 4) {
        hash = mix(hash, word_at(packet + 12));
        ports = (size_t)(packet[0] & 15) * 4;
        protocol = packet[9];
        if ((get_u16(packet + 6) & 0x3fff) != 0)
            return hash;
    } else {
        for (size_t at = 8; at < IPV6_HEADER; at += 8)
            hash = mix(hash, word_at(packet + at));
    }
    hash = mix(hash, protocol);
    return has_ports(protocol) && ports + 4 <= cut->length ? mix(hash, get_u32(packet + ports)) : hash;
}

/* A flow that was idle for as long as it took to be idle keeps what CoDel knows of it only if it is the same one. */
static void begin(struct queue_flow *flow, uint32_t tag) {
    if (flow->tag == tag)
        return;
    flow->tag = tag;
    flow->dropping = false;
    flow->count = 0;
    flow->above_at = flow->next_at = 0;
}

struct queue_flow *queue_flow_of(struct queue *queue, const struct queue_line *line, const struct cut *cut) {
    uint64_t hash = hash_of(mix(queue->seed, line->number), cut);
    uint32_t tag = (uint32_t)(hash >> 32) | 1u;
    struct queue_flow *set = &queue->flow[hash % (QUEUE_FLOWS / QUEUE_WAYS) * QUEUE_WAYS], *idle = NULL, *shared = NULL;
    for (size_t i = 0; i < QUEUE_WAYS; i++) {
        struct queue_flow *flow = &set[i];
        if (flow->line == line && flow->tag == tag)
            return flow;
        if (flow->line == NULL && (idle == NULL || flow->tag == tag))
            idle = flow;
        else if (flow->line == line)
            shared = flow;
    }
    if (idle == NULL)
        return shared;
    begin(idle, tag);
    if (STAILQ_EMPTY(&idle->bursts))
        STAILQ_INIT(&idle->bursts); /* the first time, its end is nowhere */
    return idle;
}
