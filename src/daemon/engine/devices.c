/* devices.c: connections' own devices (ipsec-interface=): opened when their connection is loaded, closed when none is left that
 * has them, whatever becomes of its peer in between: rules and addresses of others' may hang on them. */
#include "daemon/engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct device *find(const struct engine *engine, uint32_t device) {
    for (size_t i = 0; i < engine->devices.count; i++)
        if (engine->devices.list[i].device == device)
            return &engine->devices.list[i];
    return NULL;
}

const char *device_name(const struct engine *engine, uint32_t device, char text[CONFIG_DEVICE_NAME_MAX]) {
    return device == 0 ? engine->tun : config_device_name(device, text);
}

uint32_t device_mtu(const struct engine *engine, uint32_t device) {
    const struct device *own = device != 0 ? find(engine, device) : NULL;
    return own != NULL ? own->mtu : engine->tun_mtu;
}

static uint32_t wanted_mtu(const struct peer_config *connection) {
    return connection->mtu > TUN_MTU_DEFAULT ? connection->mtu : TUN_MTU_DEFAULT;
}

/* What the monitor puts on the device, by its own reading of the same files. */
static uint64_t made_of(const struct config *config, uint32_t device) {
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        const struct config_end *us = config_us(c);
        if (c->device != device)
            continue;
        const uint64_t numbers[] = {
            us->interface_bits, c->route_table, c->mark_out.value, c->mark_out.mask, c->mark_in.value, c->mark_in.mask};
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t j = 0; j < sizeof us->interface_ip.octets; j++)
            hash = (hash ^ us->interface_ip.octets[j]) * UINT64_C(0x100000001b3);
        for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++)
            hash = (hash ^ numbers[j]) * UINT64_C(0x100000001b3);
        return hash;
    }
    return 0;
}

static void close_at(struct engine *engine, size_t i) {
    struct devices *devices = &engine->devices;
    char text[CONFIG_DEVICE_NAME_MAX];
    uint32_t device = devices->list[i].device;
    struct worker_command command = {.kind = WORKER_TUN, .device = device, .fd = -1};
    outbox_post(engine, &command);
    monitor_tun_close(engine->monitor, config_device_name(device, text));
    devices->list[i] = devices->list[--devices->count];
}

static bool make_room(struct devices *devices) {
    if (devices->count < devices->capacity)
        return true;
    size_t capacity = devices->capacity != 0 ? 2 * devices->capacity : 8;
    struct device *longer = realloc(devices->list, capacity * sizeof *longer);
    if (longer == NULL)
        return false;
    devices->list = longer;
    devices->capacity = capacity;
    return true;
}

static void open_next(struct engine *engine);

static void on_opened(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    struct devices *devices = &engine->devices;
    const struct peer_config *connection = &engine->configuring.connection[devices->asked];
    if (answer->error.origin != ORIGIN_NONE) {
        char why[sizeof((struct left_out *)0)->why];
        snprintf(why, sizeof why, "conn %s: %.200s", connection->name, answer->error.text);
        configure_leave_out(engine, devices->asked, why);
        open_next(engine);
        return;
    }
    devices->list[devices->count++] = (struct device){.device = connection->device,
        .mtu = wanted_mtu(connection),
        .made_of = made_of(engine->configuring.config, connection->device)};
    struct worker_command command = {.kind = WORKER_TUN,
        .device = connection->device,
        .fd = answer->fd,
        .mtu = wanted_mtu(connection),
        .offload = answer->yes};
    outbox_post(engine, &command);
    devices->asked++;
    open_next(engine);
}

/* True: it is open as it is wanted. One that is wanted otherwise is closed first. */
static bool is_open(struct engine *engine, const struct peer_config *connection) {
    const struct device *open = find(engine, connection->device);
    if (open == NULL)
        return false;
    if (open->mtu == wanted_mtu(connection) && open->made_of == made_of(engine->configuring.config, connection->device))
        return true;
    close_at(engine, (size_t)(open - engine->devices.list));
    return false;
}

static void open_next(struct engine *engine) {
    struct devices *devices = &engine->devices;
    struct configuring *configuring = &engine->configuring;
    char text[CONFIG_DEVICE_NAME_MAX];
    while (devices->asked < configuring->connections) {
        const struct peer_config *connection = &configuring->connection[devices->asked];
        if (connection->device == 0 || is_open(engine, connection)) {
            devices->asked++;
            continue;
        }
        if (make_room(devices)) {
            monitor_tun(engine->monitor, config_device_name(connection->device, text), wanted_mtu(connection),
                on_opened, engine);
            return;
        }
        configure_leave_out(engine, devices->asked, "memory is short for another device");
    }
    devices->done(engine);
}

void devices_open(struct engine *engine, devices_done done) {
    engine->devices.asked = 0;
    engine->devices.done = done;
    open_next(engine);
}

static bool is_wanted(const struct engine *engine, uint32_t device) {
    for (size_t i = 0; i < engine->connections; i++)
        if (engine->connection[i].device == device)
            return true;
    return false;
}

void devices_trim(struct engine *engine) {
    for (size_t i = engine->devices.count; i-- > 0;)
        if (!is_wanted(engine, engine->devices.list[i].device))
            close_at(engine, i);
}

void devices_free(struct engine *engine) {
    free(engine->devices.list);
    engine->devices = (struct devices){0};
}
