/* policy.c: whether an inner packet is what was negotiated (RFC 4301 sections 4.4.1.1 and 5.2, RFC 7296 3.13.1). */
#include "esp/internal.h"

bool esp_sa_takes(const struct esp_sa *sa, const struct flow *flow) {
    return selectors_take(sa->config.local, flow, &flow->source) &&
           selectors_take(sa->config.remote, flow, &flow->destination);
}

bool esp_sa_allows_in(const struct esp_sa *sa, const struct flow *flow) {
    return selectors_take(sa->config.remote, flow, &flow->source) &&
           selectors_take(sa->config.local, flow, &flow->destination);
}
