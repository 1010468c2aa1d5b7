/* facts.c: asks the monitor which addresses of a configuration are this host's, and where %defaultroute leads. */
#include "daemon/engine/internal.h"

#include <stdlib.h>

struct gathering {
    struct engine *engine;
    struct facts *facts;
    facts_done done;
    size_t asked, answered;
};

struct question { /* one request to the monitor */
    struct gathering *gathering;
    struct address *default_route; /* where its answer goes, or NULL and ... */
    struct fact *fact; /* ... there */
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

static void settle(struct gathering *gathering) {
    if (gathering->answered < gathering->asked)
        return;
    struct engine *engine = gathering->engine;
    struct facts *facts = gathering->facts;
    facts_done done = gathering->done;
    free(gathering);
    done(engine, facts);
}

static void on_answer(void *context, const struct monitor_answer *answer) {
    struct question *question = context;
    struct gathering *gathering = question->gathering;
    if (answer->error.origin == ORIGIN_NONE) {
        if (question->default_route != NULL)
            *question->default_route = answer->address;
        else
            question->fact->ours = answer->yes;
        if (answer->network != 0)
            peers_set_network(gathering->engine->peers, answer->network);
    }
    free(question);
    gathering->answered++;
    settle(gathering);
}

static bool ask(struct gathering *gathering, const struct address *address, struct address *route, struct fact *fact) {
    struct question *question = malloc(sizeof *question);
    if (question == NULL)
        return false;
    *question = (struct question){.gathering = gathering, .default_route = route, .fact = fact};
    gathering->asked++;
    monitor_address(gathering->engine->monitor, address, on_answer, question);
    return true;
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
    struct address any4 = {.family = 4}, any6 = {.family = 6};
    if (!ask(gathering, &any4, &facts->default4, NULL)) {
        facts_free(facts);
        free(gathering);
        return false;
    }
    bool asked = ask(gathering, &any6, &facts->default6, NULL);
    for (size_t i = 0; i < facts->count && asked; i++)
        asked = ask(gathering, &facts->list[i].address, NULL, &facts->list[i]);
    return true; /* what could not be asked counts as not ours */
}
