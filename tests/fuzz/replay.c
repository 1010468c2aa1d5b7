/* replay.c: runs a target without a fuzzer, for ./run test: every file of its corpus as it is, then a few thousand variants of
 * them, always the same ones. Which input was the last is in the environment's REPLAY_LAST, a file, when it is set.
 *
 *   replay NAME FOLDER */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)4096)
#define INPUTS_MAX 256
#define VARIANTS 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t octets[INPUT_MAX];
    size_t length;
};
static struct input input[INPUTS_MAX];
static size_t inputs;
static uint64_t seed = 1;

static uint32_t chance(uint32_t below) { /* xorshift: the same everywhere */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

static void run(const uint8_t *octets, size_t length) {
    const char *path = getenv("REPLAY_LAST");
    FILE *last = path ? fopen(path, "wb") : NULL;
    if (last) {
        fwrite(octets, 1, length, last);
        fclose(last);
    }
    uint8_t *exact = malloc(length + 1); /* so that a read behind the end is found */
    if (!exact)
        abort();
    memcpy(exact + 1, octets, length);
    LLVMFuzzerTestOneInput(exact + 1, length);
    free(exact);
}

static void load(const char *folder) {
    struct dirent **entry;
    int count = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        FILE *file = entry[i]->d_name[0] != '.' && inputs < INPUTS_MAX ? fopen(path, "rb") : NULL;
        if (file) {
            input[inputs].length = fread(input[inputs].octets, 1, INPUT_MAX, file);
            inputs++;
            fclose(file);
        }
        free(entry[i]);
    }
    if (count >= 0)
        free(entry);
}

/* Octets changed, a part of another input put in, a part cut out. */
static void vary(struct input *out) {
    *out = input[chance((uint32_t)inputs)];
    for (uint32_t changes = 1 + chance(6); changes > 0; changes--) {
        const struct input *other = &input[chance((uint32_t)inputs)];
        size_t at = chance((uint32_t)out->length + 1), part = chance(40);
        switch (chance(3)) {
        case 0:
            if (at < out->length)
                out->octets[at] = (uint8_t)chance(256);
            break;
        case 1:
            part = part < other->length ? part : other->length;
            if (out->length + part > INPUT_MAX)
                break;
            memmove(out->octets + at + part, out->octets + at, out->length - at);
            memcpy(out->octets + at, other->octets + chance((uint32_t)(other->length - part) + 1), part);
            out->length += part;
            break;
        default:
            part = part < out->length - at ? part : out->length - at;
            memmove(out->octets + at, out->octets + at + part, out->length - at - part);
            out->length -= part;
        }
    }
}

int main(int count, char **argument) {
    static struct input variant;
    if (count != 3)
        return 2;
    load(argument[2]);
    if (inputs == 0) {
        printf("not ok %s: no corpus in %s\n", argument[1], argument[2]);
        return 1;
    }
    for (size_t i = 0; i < inputs; i++)
        run(input[i].octets, input[i].length);
    for (int i = 0; i < VARIANTS; i++) {
        vary(&variant);
        run(variant.octets, variant.length);
    }
    printf("ok %s: %zu inputs and %d variants of them\n", argument[1], inputs, VARIANTS);
    return 0;
}
