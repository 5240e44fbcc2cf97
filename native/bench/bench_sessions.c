/* bench_sessions.c: what the session table carries.
 *
 *      bench_sessions [sessions [processes]]         default 1000000 2
 *
 * One table in a file under TMPDIR (/tmp), of so many sessions, filled with as
 * many new ones and with as many again, which evict; between them reads and
 * second queries.  One process first, then the new sessions of all at once.
 * Seconds of the wall clock; the calibration line (a fixed arithmetic loop) is
 * for comparing runs. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "../include/espalier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 20000, SHARE = 50 };

static const char *const words[] = {"running", "shoes", "nike", "garden", "hose", "cheap",
    "flights", "to", "lisbon", "weather", "tomorrow", "used", "cars"};
enum { WORDS = sizeof words / sizeof *words };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void calibrate(void) {
    const double start = seconds();
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 200000000; i++)
        sum += i ^ (i >> 3);
    printf("calibration: %.3f s\n", seconds() - start);
}

static esp_sessions *open_table(const char *path, uint64_t sessions) {
    const esp_sessions_options options = {
        .struct_size = sizeof options, .capacity = sessions, .ttl_ms = 86400000};
    esp_sessions *table = NULL;
    esp_error error = {0};
    if (esp_sessions_open(path, &options, &table, &error) != ESP_OK) {
        fprintf(stderr, "%s: %s\n", path, error.message);
        exit(1);
    }
    return table;
}

typedef void (*operation)(esp_sessions *table, uint64_t number, uint64_t now);

static size_t text_of(uint64_t number, uint64_t now, char out[64]) {
    return (size_t)snprintf(out, 64, "%s %s %s", words[number % WORDS],
        words[(number / WORDS + now) % WORDS], words[(number / 7) % WORDS]);
}

static void record(esp_sessions *table, uint64_t number, uint64_t now) {
    char id[40];
    char text[64];
    uint32_t known = 0;
    const size_t length = text_of(number, now, text);
    const size_t id_length =
        (size_t)snprintf(id, sizeof id, "session-%016llx", (unsigned long long)number);
    if (esp_sessions_record(table, (const uint8_t *)id, id_length, (const uint8_t *)text, length,
            now, &known, NULL) != ESP_OK)
        exit(1);
}

static void read_one(esp_sessions *table, uint64_t number, uint64_t now) {
    char id[40];
    esp_session session;
    const size_t id_length =
        (size_t)snprintf(id, sizeof id, "session-%016llx", (unsigned long long)number);
    if (esp_sessions_read(table, (const uint8_t *)id, id_length, now, &session, NULL) != ESP_OK)
        exit(1);
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs `work` for [from, from + n), every SHARE-th call timed alone. */
static void measure(const char *what, esp_sessions *table, operation work, uint64_t from,
    uint64_t n, uint64_t stride, uint64_t now) {
    static double sample[SAMPLES];
    size_t samples = 0;
    const double start = seconds();
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t number = from + i * stride % n;
        if (i % SHARE == 0 && samples < SAMPLES) {
            const double before = seconds();
            work(table, number, now + i / 1000);
            sample[samples++] = seconds() - before;
        } else {
            work(table, number, now + i / 1000);
        }
    }
    const double took = seconds() - start;
    qsort(sample, samples, sizeof *sample, compare);
    printf("%-44s %9.0f a second, p50 %5.2f us, p99 %6.2f us\n", what, (double)n / took,
        1e6 * sample[samples / 2], 1e6 * sample[samples - samples / 100 - 1]);
}

static void all_at_once(const char *path, uint64_t sessions, uint32_t processes) {
    const double start = seconds();
    fflush(stdout);
    for (uint32_t p = 0; p < processes; p++)
        if (fork() == 0) {
            esp_sessions *table = open_table(path, sessions);
            for (uint64_t i = 0; i < sessions / processes; i++)
                record(table, 8 * sessions + i * processes + p, 90000 + i / 1000);
            _exit(0);
        }
    int bad = 0;
    for (uint32_t p = 0; p < processes; p++) {
        int status = 0;
        wait(&status);
        bad += status != 0;
    }
    if (bad > 0)
        exit(1);
    printf("%-44s %9.0f a second, %u processes\n", "new sessions, others evicted",
        (double)sessions / (seconds() - start), processes);
}

int main(int argc, char **argv) {
    const uint64_t sessions = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const uint32_t processes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2;
    char path[256];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/bench-sessions-%d.est",
        folder != NULL && strlen(folder) < 200 ? folder : "/tmp", (int)getpid());
    calibrate();
    const double start = seconds();
    esp_sessions *table = open_table(path, sessions);
    printf("made and opened in %.1f ms\n", 1e3 * (seconds() - start));
    /* A prime stride: every session once, in no order of memory. */
    const uint64_t stride = 7368787;
    measure("new sessions", table, record, 0, sessions, 1, 1000);
    measure("new sessions' second query", table, record, 0, sessions, stride, 20000);
    measure("reads", table, read_one, 0, sessions, stride, 40000);
    measure("reads of sessions that do not exist", table, read_one, 4 * sessions, sessions, stride,
        50000);
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    printf("%llu sessions held, %llu evicted, in %.1f MiB, all of it allocated\n",
        (unsigned long long)info.sessions, (unsigned long long)info.evicted,
        (double)info.bytes / (1 << 20));
    measure("new sessions, others evicted", table, record, 2 * sessions, sessions, 1, 60000);
    const double swept = seconds();
    esp_sessions_sweep(table, 70000, info.records);
    printf("sweep of the whole table: %.0f records a second\n",
        (double)info.records / (seconds() - swept));
    all_at_once(path, sessions, processes);
    esp_sessions_report report;
    esp_sessions_check(table, &report);
    printf("afterwards %llu sessions, %llu damaged, %llu lost\n",
        (unsigned long long)report.sessions, (unsigned long long)report.damaged,
        (unsigned long long)(report.lost + report.held + report.twice));
    esp_sessions_close(table);
    unlink(path);
    return 0;
}
