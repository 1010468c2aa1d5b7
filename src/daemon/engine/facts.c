/* facts.c: asks the monitor which addresses of a configuration are this host's, and where %defaultroute leads. */
#include "daemon/engine/internal.h"

#include <stdlib.h>

struct gathering {
    struct engine *engine;
    struct facts *facts;
    facts_done done;
    size_t next; /* of the list; behind it the two default routes */
};

bool facts_is_ours(const struct facts *facts, const struct address *address) {
    for (size_t i = 0; i < facts->count; i++)
        if (address_same_host(&facts->list[i].address, address))
            return facts->list[i].ours;
    return false;
}

void facts_free(struct facts *facts) {
    if (facts == NULL)
        return;
    free(facts->list);
    free(facts);
}

static void ask_next(struct gathering *);

/* One question at a time: the monitor takes only so many at once. What it can't answer counts as not ours. */
static void on_answer(void *context, const struct monitor_answer *answer) {
    struct gathering *gathering = context;
    struct facts *facts = gathering->facts;
    size_t asked = gathering->next++;
    if (answer->network != 0)
        peers_set_network(gathering->engine->peers, answer->network);
    if (answer->error.origin == ORIGIN_NONE) {
        if (asked < facts->count)
            facts->list[asked].ours = answer->yes;
        else if (asked == facts->count)
            facts->default4 = answer->address;
        else
            facts->default6 = answer->address;
    }
    ask_next(gathering);
}

static void ask_next(struct gathering *gathering) {
    struct engine *engine = gathering->engine;
    struct facts *facts = gathering->facts;
    struct address any = {.family = gathering->next == facts->count ? 4 : 6};
    if (gathering->next < facts->count + 2) {
        monitor_address(engine->monitor, gathering->next < facts->count ? &facts->list[gathering->next].address : &any,
            on_answer, gathering);
        return;
    }
    facts_done done = gathering->done;
    free(gathering);
    done(engine, facts);
}

static void add_end(struct facts *facts, const struct config_end *end) {
    if (end->kind != HOST_ADDRESS)
        return;
    for (size_t i = 0; i < facts->count; i++)
        if (address_same_host(&facts->list[i].address, &end->address))
            return;
    facts->list[facts->count++] = (struct fact){.address = end->address};
}

bool facts_gather(struct engine *engine, const struct config *config, facts_done done) {
    struct gathering *gathering = calloc(1, sizeof *gathering);
    struct facts *facts = calloc(1, sizeof *facts);
    struct fact *list = calloc(config->connections * 2 + 1, sizeof *list);
    if (gathering == NULL || facts == NULL || list == NULL) {
        free(gathering);
        free(facts);
        free(list);
        return false;
    }
    facts->list = list;
    *gathering = (struct gathering){.engine = engine, .facts = facts, .done = done};
    for (size_t i = 0; i < config->connections; i++) {
        add_end(facts, &config->connection[i].left);
        add_end(facts, &config->connection[i].right);
    }
    ask_next(gathering);
    return true;
}
