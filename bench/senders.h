/* senders.h: clients that are up, each with its connection and its Child SA, which all send as much as the gateway takes. */
#ifndef IKETCP_BENCH_SENDERS_H
#define IKETCP_BENCH_SENDERS_H

#include "esp/esp.h"
#include "ike/ike.h"

void senders_add(int fd, const struct ike_child *); /* from the Child SA's first selectors, UDP to port 9 */
/* All of them at once, for so many seconds. Prints clients=N mbps=R jain=J least_kb=A most_kb=B: what the gateway's TCP took of each,
 * and Jain's index of that: 1 where all got the same, 1/N where one got all. */
void senders_run(unsigned seconds);

#endif
