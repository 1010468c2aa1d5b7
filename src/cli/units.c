/* units.c: numbers as people say them. */
#include "internal.h"

#include <inttypes.h>

const char *octets_text(uint64_t octets, char *out) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)octets;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 " B", octets);
    else
        snprintf(out, UNITS_TEXT_MAX, "%.1f %s", value, units[unit]);
    return out;
}

const char *duration_text(uint64_t seconds, char *out) {
    uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (minutes == 0)
        snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 " s", seconds);
    else if (hours == 0)
        snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 " min %02" PRIu64 " s", minutes, seconds % 60);
    else if (days == 0)
        snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 " h %02" PRIu64 " min", hours, minutes % 60);
    else
        snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
    return out;
}

const char *count_text(uint64_t count, const char *one, const char *many, char *out, size_t size) {
    snprintf(out, size, "%" PRIu64 " %s", count, count == 1 ? one : many);
    return out;
}
