/* driver.c: runs a fuzz target with any compiler.
 *
 *      fuzz_open [--seconds N] [--seed N] [file ...]
 *
 * First every file (or every file of a folder) and the target's own seeds are
 * replayed, then, for N seconds, mutations of them.  Where clang is at hand the
 * same targets link with -fsanitize=fuzzer instead; this file is then left out.
 * An input that makes the target abort, or a sanitizer complain, is left in
 * crash-<target>, to be replayed. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

enum { MOST_INPUTS = 4096, LARGEST = 1 << 20, EXTRA = 64 };

typedef struct input {
    uint8_t *data;
    size_t length;
} input;

static input inputs[MOST_INPUTS];
static size_t n_inputs;
static uint64_t state = 1;
static char crash_path[256];
static input running;

/* Of the sanitizers' run time; absent where none is linked in. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void keep_input(void) {
    FILE *file = fopen(crash_path, "wb");
    if (file == NULL)
        return;
    fwrite(running.data, 1, running.length, file);
    fclose(file);
    fprintf(stderr, "the input is in %s\n", crash_path);
}

static void on_abort(int number) {
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

static uint32_t draw(uint32_t n) {
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) >> 16) % n;
}

void fuzz_seed(const uint8_t *data, size_t length) {
    if (n_inputs == MOST_INPUTS || length > LARGEST)
        return;
    uint8_t *copy = malloc(length + 1);
    if (copy == NULL)
        abort();
    if (length > 0)
        memcpy(copy, data, length);
    inputs[n_inputs++] = (input){copy, length};
}

static void read_path(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    if (S_ISDIR(status.st_mode)) {
        DIR *folder = opendir(path);
        for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
            char inner[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            read_path(inner);
        }
        if (folder != NULL)
            closedir(folder);
        return;
    }
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(LARGEST);
    if (file == NULL || data == NULL)
        exit(2);
    const size_t length = fread(data, 1, LARGEST, file);
    fclose(file);
    fuzz_seed(data, length);
    free(data);
}

static void run(const uint8_t *data, size_t length) {
    /* A copy of its exact size, so that a read behind it is seen. */
    uint8_t *exact = malloc(length == 0 ? 1 : length);
    if (exact == NULL)
        abort();
    if (length > 0)
        memcpy(exact, data, length);
    running = (input){exact, length};
    (void)LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

/* One of the usual small damages.  Returns the new length. */
static size_t mutate(uint8_t *data, size_t length, size_t room) {
    static const uint32_t telling[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF,
        0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    const uint32_t at = length == 0 ? 0 : draw((uint32_t)length);
    switch (draw(8)) {
    case 0: /* a bit */
        if (length > 0)
            data[at] ^= (uint8_t)(1u << draw(8));
        return length;
    case 1: /* a byte */
        if (length > 0)
            data[at] = (uint8_t)draw(256);
        return length;
    case 2: /* a number, aligned, that programs trip over */
        if (length >= 4) {
            const uint32_t value = telling[draw(sizeof telling / sizeof *telling)];
            memcpy(data + at / 4 * 4 - (at / 4 * 4 + 4 > length ? 4 : 0), &value, 4);
        }
        return length;
    case 3: /* a number off by a little */
        if (length >= 4) {
            uint32_t value = 0;
            uint8_t *place = data + at / 4 * 4 - (at / 4 * 4 + 4 > length ? 4 : 0);
            memcpy(&value, place, 4);
            value += draw(9) - 4;
            memcpy(place, &value, 4);
        }
        return length;
    case 4: /* cut */ return draw(8) == 0 ? at : length;
    case 5: /* a run copied to another place */
        if (length > 1) {
            const uint32_t from = draw((uint32_t)length);
            const uint32_t most = (uint32_t)length - (from > at ? from : at);
            memmove(data + at, data + from, draw(most < 64 ? most + 1 : 64));
        }
        return length;
    case 6: /* bytes put in */
        if (length + EXTRA < room) {
            const uint32_t more = 1 + draw(8);
            memmove(data + at + more, data + at, length - at);
            for (uint32_t i = 0; i < more; i++)
                data[at + i] = (uint8_t)draw(256);
            return length + more;
        }
        return length;
    default: /* bytes taken out */
        if (length > 8) {
            const uint32_t less = 1 + draw(8);
            if (at + less < length) {
                memmove(data + at, data + at + less, length - at - less);
                return length - less;
            }
        }
        return length;
    }
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    double seconds = 0;
    const char *name = strrchr(argv[0], '/');
    snprintf(crash_path, sizeof crash_path, "crash-%s", name == NULL ? argv[0] : name + 1);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            state = strtoull(argv[++i], NULL, 10);
        else
            read_path(argv[i]);
    }
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(keep_input);
    fuzz_seeds();
    for (size_t i = 0; i < n_inputs; i++)
        run(inputs[i].data, inputs[i].length);
    const size_t replayed = n_inputs;
    uint8_t *data = malloc(LARGEST + EXTRA);
    if (data == NULL)
        return 2;
    size_t runs = 0;
    const double until = seconds_now() + seconds;
    for (; n_inputs > 0 && seconds_now() < until; runs++) {
        const input *from = &inputs[draw((uint32_t)n_inputs)];
        memcpy(data, from->data, from->length);
        size_t length = from->length;
        for (uint32_t changes = 1 + draw(4); changes > 0; changes--)
            length = mutate(data, length, LARGEST + EXTRA);
        run(data, length);
    }
    free(data);
    for (size_t i = 0; i < n_inputs; i++)
        free(inputs[i].data);
    printf("%s: %zu inputs replayed, %zu mutations run\n", argv[0], replayed, runs);
    return 0;
}
