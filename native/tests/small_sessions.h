/* small_sessions.h: session tables for tests, in a folder that goes away. */
#ifndef ESP_SMALL_SESSIONS_H
#define ESP_SMALL_SESSIONS_H

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/session_file.h"
#include "../src/session_view.h"
#include "test.h"

enum { SESSIONS_TTL = 10000 };

static char sessions_path[256];

/* Where this test's table lies; whatever another test left there is gone. */
static const char *sessions_fresh(void) {
    static char folder[128];
    if (folder[0] == '\0') {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/espalier-sessions-XXXXXX",
            base != NULL && strlen(base) < 64 ? base : "/tmp");
        if (mkdtemp(folder) == NULL)
            abort();
    }
    snprintf(sessions_path, sizeof sessions_path, "%s/sessions.est", folder);
    unlink(sessions_path);
    return sessions_path;
}

/* Leaves nothing behind. */
static void sessions_done(void) {
    unlink(sessions_fresh());
    *strrchr(sessions_path, '/') = '\0';
    rmdir(sessions_path);
}

static esp_sessions *sessions_open(uint64_t capacity, uint32_t max_queries) {
    const esp_sessions_options options = {.struct_size = sizeof options,
        .max_queries = max_queries,
        .capacity = capacity,
        .ttl_ms = SESSIONS_TTL};
    esp_sessions *table = NULL;
    esp_error error = {0};
    CHECK(esp_sessions_open(sessions_path, &options, &table, &error) == ESP_OK);
    if (table == NULL) {
        fprintf(stderr, "%s: %s\n", error.check, error.message);
        abort();
    }
    return table;
}

static inline uint32_t sessions_say(
    esp_sessions *table, const char *id, const char *text, uint64_t now) {
    uint32_t known = 9;
    CHECK(esp_sessions_record(table, (const uint8_t *)id, strlen(id), (const uint8_t *)text,
              strlen(text), now, &known, NULL) == ESP_OK);
    return known;
}

static inline esp_session sessions_hear(esp_sessions *table, const char *id, uint64_t now) {
    esp_session session;
    CHECK(esp_sessions_read(table, (const uint8_t *)id, strlen(id), now, &session, NULL) == ESP_OK);
    return session;
}

static inline uint32_t sessions_forget(esp_sessions *table, const char *id, uint64_t now) {
    uint32_t existed = 9;
    CHECK(
        esp_sessions_delete(table, (const uint8_t *)id, strlen(id), now, &existed, NULL) == ESP_OK);
    return existed;
}

/* Whether the session's queries, joined by '|', are `wanted`. */
static inline bool sessions_is(const esp_session *session, const char *wanted) {
    char text[1024] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < session->n_queries; i++) {
        const uint32_t length = session->offset[i + 1] - session->offset[i];
        if (i > 0)
            text[at++] = '|';
        memcpy(text + at, session->text + session->offset[i], length);
        at += length;
    }
    return strlen(wanted) == at && memcmp(text, wanted, at) == 0;
}

#define CHECK_QUERIES(table, id, now, wanted)                           \
    do {                                                                \
        const esp_session heard_ = sessions_hear((table), (id), (now)); \
        CHECK(sessions_is(&heard_, (wanted)));                          \
    } while (0)

/* Everything is accounted for: what is not a session's is free, clean, listed. */
static inline void sessions_check_whole(esp_sessions *table) {
    esp_sessions_report report;
    esp_sessions_info info;
    esp_sessions_check(table, &report);
    esp_sessions_get_info(table, &info);
    CHECK(report.damaged == 0);
    CHECK(report.lost == 0);
    CHECK(report.held == 0);
    CHECK(report.dirty == 0);
    CHECK(report.unlisted == 0);
    CHECK(report.twice == 0);
    CHECK(report.sessions + report.free_slots == info.records);
    CHECK(report.sessions == info.sessions);
}

/* The same, and the free slots are counted right, as they are where no sweep ran
 * while others wrote. */
static inline void sessions_check_counted(esp_sessions *table) {
    sessions_check_whole(table);
    CHECK(atomic_load(&table->head->n_free) == (int64_t)esp_table_count_free(table));
}

#endif
