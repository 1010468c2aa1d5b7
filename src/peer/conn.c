/* conn.c: configured connections, and what a reload changes: equal revisions keep their SAs, the rest goes politely. */
#include "peer/internal.h"

#include <stdlib.h>
#include <string.h>

struct conn *conn_new(const struct peer_config *config) {
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->config = *config;
    conn->config.ike.name = conn->config.name;
    size_t children = config->ike.children;
    for (size_t i = 0; i < children && i < IKE_CHILD_CONFIGS_MAX; i++) {
        conn->child_name[i] = strdup(config->ike.child[i].name ? config->ike.child[i].name : config->name);
        if (!conn->child_name[i]) {
            conn_free(conn);
            return NULL;
        }
        conn->config.ike.child[i].name = conn->child_name[i];
    }
    conn->on_demand = config->start == PEER_START_ONDEMAND;
    return conn;
}

void conn_free(struct conn *conn) {
    for (size_t i = 0; i < IKE_CHILD_CONFIGS_MAX; i++)
        free(conn->child_name[i]);
    resume_forget(conn);
    free(conn);
}

struct conn *conn_find(const struct peers *peers, const char *name) {
    for (struct conn *conn = peers->conns; conn; conn = conn->next)
        if (!conn->gone && strcmp(conn->config.name, name) == 0)
            return conn;
    return NULL;
}

void conn_reap(struct peers *peers) {
    struct conn **at = &peers->conns;
    while (*at) {
        struct conn *conn = *at;
        if (!conn->gone || conn->peers > 0) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        conn_free(conn);
    }
}

static bool still_configured(const struct conn *conn, const struct peer_config *config, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(config[i].name, conn->config.name) == 0)
            return config[i].revision == conn->config.revision;
    return false;
}

static void drop_changed(struct peers *peers, const struct peer_config *config, size_t count) {
    for (struct conn *conn = peers->conns; conn; conn = conn->next) {
        conn->memory = (struct path_memory){0}; /* C4: after a reload UDP is first again */
        if (!conn->gone && !still_configured(conn, config, count))
            conn->gone = true;
    }
    for (struct peer *peer = peers->peer_list, *next; peer; peer = next) {
        next = peer->next;
        if (peer->conn->gone)
            peer_delete(peers, peer, "the connection is no longer configured so");
    }
}

/* The last one of the list, so that connections keep the order of the file. */
static void append(struct peers *peers, struct conn *conn) {
    struct conn **at = &peers->conns;
    while (*at)
        at = &(*at)->next;
    *at = conn;
}

struct peer_output peers_configure(struct peers *peers, uint64_t now, const struct peer_config *config, size_t count) {
    peers_begin(peers, now);
    drop_changed(peers, config, count);
    for (size_t i = 0; i < count; i++) {
        if (conn_find(peers, config[i].name))
            continue;
        struct conn *conn = conn_new(&config[i]);
        if (!conn)
            continue;
        append(peers, conn);
        if (config[i].start == PEER_START_AUTO && config[i].may_initiate && !peers->shutting_down)
            initiate(peers, conn, true);
    }
    resume_configure(peers);
    return peers_finish(peers);
}

void peers_set_network(struct peers *peers, uint64_t network) {
    peers->network = network;
}
