/* main.c: runs seeds, says which failed. */
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    uint64_t first, seeds;
    bool keep_going, twice;
    struct sim_options options;
};

static int usage(void) {
    fprintf(stderr, "usage: sim [--first=SEED] [--seeds=N] [--verbose] [--keep-going] [--twice] [--nodes=2|3]\n"
                    "           [--duplicates=PERMILLE] [--loss=PERMILLE] [--lifetime=SECONDS] [--staggered]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct plan *plan) {
    static const struct option options[] = {{"first", required_argument, NULL, 'f'},
        {"seeds", required_argument, NULL, 's'}, {"verbose", no_argument, NULL, 'v'},
        {"keep-going", no_argument, NULL, 'k'}, {"twice", no_argument, NULL, 't'},
        {"nodes", required_argument, NULL, 'n'}, {"duplicates", required_argument, NULL, 'd'},
        {"loss", required_argument, NULL, 'l'}, {"lifetime", required_argument, NULL, 'a'},
        {"staggered", no_argument, NULL, 'g'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "f:n:vk", options, NULL)) != -1;) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;
        switch (option) {
        case 'f':
            plan->first = number;
            break;
        case 's':
            plan->seeds = number;
            break;
        case 'v':
            plan->options.verbose = true;
            break;
        case 'k':
            plan->keep_going = true;
            break;
        case 't':
            plan->twice = true;
            break;
        case 'n':
            plan->options.nodes = (uint32_t)number;
            break;
        case 'd':
            plan->options.duplicates = (uint32_t)number;
            break;
        case 'l':
            plan->options.loss = (uint32_t)number;
            break;
        case 'g':
            plan->options.staggered = true;
            break;
        case 'a':
            plan->options.lifetime = number;
            break;
        default:
            return false;
        }
    }
    uint32_t nodes = plan->options.nodes;
    return optind == argc && (nodes == 0 || nodes == 2 || nodes == NODES_MAX);
}

static void add(struct sim_result *sum, const struct sim_result *one) {
    sum->cuts += one->cuts;
    sum->holes += one->holes;
    sum->attacks += one->attacks;
    sum->delivered += one->delivered;
    sum->lost += one->lost;
    sum->rekeys += one->rekeys;
    sum->reconnects += one->reconnects;
}

/* The same seed once more: octet for octet the same, or a failure could not be looked at again. */
static void run_again(const struct plan *plan, uint64_t seed, struct sim_result *result) {
    struct sim_result other = {0};
    sim_run(seed, &plan->options, &other);
    if (result->failed || other.trace == result->trace)
        return;
    result->failed = true;
    snprintf(result->failure, sizeof result->failure, "to repeat itself: trace %016" PRIx64 ", then %016" PRIx64,
        result->trace, other.trace);
}

static bool run_one(const struct plan *plan, uint64_t seed, struct sim_result *sum) {
    struct sim_result result = {0};
    sim_run(seed, &plan->options, &result);
    if (plan->twice)
        run_again(plan, seed, &result);
    add(sum, &result);
    if (plan->options.verbose)
        printf("seed %" PRIu64 ": trace %016" PRIx64 ", %" PRIu64 " packets arrived, %" PRIu64 " did not\n", seed,
            result.trace, result.delivered, result.lost);
    if (result.failed)
        printf("seed %" PRIu64 " failed %s\n", seed, result.failure);
    fflush(stdout);
    return !result.failed;
}

int main(int argc, char **argv) {
    struct plan plan = {.first = 1, .seeds = 100};
    if (!read_options(argc, argv, &plan))
        return usage();
    struct sim_result sum = {0};
    uint64_t failed = 0, done = 0;
    while (done < plan.seeds && (failed == 0 || plan.keep_going))
        failed += !run_one(&plan, plan.first + done++, &sum);
    printf("%" PRIu64 " seeds from %" PRIu64 "%s, %" PRIu64 " failed: %" PRIu64 " cuts, %" PRIu64
           " black holes, %" PRIu64 " reconnects, %" PRIu64 " rekeys, %" PRIu64 " attacks, %" PRIu64
           " inner packets arrived, %" PRIu64 " were lost\n",
        done, plan.first, plan.twice ? ", each twice" : "", failed, sum.cuts, sum.holes, sum.reconnects, sum.rekeys,
        sum.attacks, sum.delivered, sum.lost);
    return failed ? 1 : 0;
}
