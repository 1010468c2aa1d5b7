/* main.c: runs seeds, says which failed. sim [--first N] [--seeds N] [--verbose] */
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void) {
    fprintf(stderr, "usage: sim [--first=SEED] [--seeds=N] [--verbose] [--keep-going]\n");
    return 2;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"first", required_argument, NULL, 'f'},
        {"seeds", required_argument, NULL, 'n'}, {"verbose", no_argument, NULL, 'v'},
        {"keep-going", no_argument, NULL, 'k'}, {0}};
    uint64_t first = 1, seeds = 100, failed = 0;
    bool verbose = false, keep_going = false;
    for (int option; (option = getopt_long(argc, argv, "f:n:vk", options, NULL)) != -1;) {
        if (option == 'f')
            first = strtoull(optarg, NULL, 0);
        else if (option == 'n')
            seeds = strtoull(optarg, NULL, 0);
        else if (option == 'v')
            verbose = true;
        else if (option == 'k')
            keep_going = true;
        else
            return usage();
    }
    struct sim_result sum = {0};
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct sim_result result = {0};
        sim_run(seed, verbose, &result);
        sum.cuts += result.cuts;
        sum.delivered += result.delivered;
        sum.lost += result.lost;
        sum.rekeys += result.rekeys;
        sum.reconnects += result.reconnects;
        if (verbose)
            printf("seed %" PRIu64 ": trace %016" PRIx64 ", %" PRIu64 " packets arrived, %" PRIu64 " did not\n", seed,
                result.trace, result.delivered, result.lost);
        if (!result.failed)
            continue;
        failed++;
        printf("seed %" PRIu64 " failed %s\n", seed, result.failure);
        fflush(stdout);
        if (!keep_going)
            break;
    }
    printf("%" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " failed: %" PRIu64 " cuts, %" PRIu64 " reconnects, %" PRIu64
           " rekeys, %" PRIu64 " inner packets arrived, %" PRIu64 " were lost\n",
        seeds, first, failed, sum.cuts, sum.reconnects, sum.rekeys, sum.delivered, sum.lost);
    return failed ? 1 : 0;
}
