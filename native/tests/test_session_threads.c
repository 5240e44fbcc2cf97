/* test_session_threads.c: one session table, many threads.  Run under
 * ThreadSanitizer. */
#include "small_sessions.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 8 };

static esp_sessions *shared;
static _Atomic uint64_t clock_ms;

static void in_threads(void *(*work)(void *), uint32_t n) {
    pthread_t threads[THREADS];
    uint32_t number[THREADS];
    for (uint32_t t = 0; t < n; t++) {
        number[t] = t;
        CHECK(pthread_create(&threads[t], NULL, work, &number[t]) == 0);
    }
    for (uint32_t t = 0; t < n; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
}

/* ---- every thread its own sessions, all read by all ------------------------------- */

enum { OWN = 20, STEPS = 400 };

/* A text says whose it is and how many came before it. */
static void check_history(const esp_session *session, const char *id, uint32_t at_least) {
    uint32_t before = UINT32_MAX;
    for (uint32_t i = 0; i < session->n_queries; i++) {
        char text[96] = "";
        const uint32_t length = session->offset[i + 1] - session->offset[i];
        CHECK(length < sizeof text);
        memcpy(text, session->text + session->offset[i], length < 63 ? length : 63);
        char whose[32] = "";
        uint32_t step = 0;
        CHECK(sscanf(text, "%31[^:]:%u:", whose, &step) == 2);
        CHECK(strcmp(whose, id) == 0);
        CHECK(i == 0 ? step + 1 >= at_least : step + 1 == before);
        before = step;
    }
}

static void *own_sessions(void *argument) {
    const uint32_t me = *(const uint32_t *)argument;
    uint64_t random = me;
    char id[32];
    char text[96];
    for (uint32_t step = 0; step < STEPS; step++)
        for (uint32_t own = 0; own < OWN; own++) {
            const uint64_t now = atomic_fetch_add(&clock_ms, 1) / 100;
            snprintf(id, sizeof id, "%u-%u", me, own);
            snprintf(text, sizeof text, "%s:%u:%.*s", id, step, (int)(step % 30),
                "..............................");
            CHECK(sessions_say(shared, id, text, now) == (step > 0));
            const esp_session mine = sessions_hear(shared, id, now);
            CHECK(mine.n_queries == (step + 1 < 5 ? step + 1 : 5));
            check_history(&mine, id, step + 1);
            snprintf(id, sizeof id, "%u-%u", (uint32_t)(esp_random_next(&random) % THREADS), own);
            const esp_session other = sessions_hear(shared, id, now);
            check_history(&other, id, 0);
            if (own == 0)
                esp_sessions_sweep(shared, now, 3);
        }
    return NULL;
}

static void no_query_is_lost_and_none_strays(void) {
    sessions_fresh();
    /* A call that is under way may use a record more. */
    shared = sessions_open((uint64_t)THREADS * OWN + THREADS, 5);
    in_threads(own_sessions, THREADS);
    esp_sessions_info info;
    esp_sessions_get_info(shared, &info);
    CHECK(info.sessions == THREADS * OWN && info.evicted == 0 && info.expired == 0);
    CHECK(info.damaged == 0);
    /* The sweep may have been faster than a writer in putting a record back. */
    sessions_check_whole(shared);
    esp_sessions_close(shared);
}

/* ---- two threads the same sessions ---------------------------------------------------- */

enum { COMMON = 4000, PAIR = 2 };

/* Both set out at the same moment, nearer than a barrier wakes them. */
static _Atomic uint32_t arrived;

static void *common_sessions(void *argument) {
    const uint32_t me = *(const uint32_t *)argument;
    char id[32];
    const char text[2] = {(char)('a' + (char)me), '\0'};
    for (uint32_t i = 0; i < COMMON; i++) {
        snprintf(id, sizeof id, "common %u", i);
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&arrived) < PAIR * (i + 1))
            sched_yield();
        sessions_say(shared, id, text, 1000);
        CHECK(sessions_hear(shared, id, 1000).n_queries > 0);
    }
    return NULL;
}

static void a_session_begun_by_two_at_once_is_one(void) {
    sessions_fresh();
    shared = sessions_open(COMMON + THREADS, 32);
    in_threads(common_sessions, PAIR);
    for (uint32_t i = 0; i < COMMON; i++) {
        char id[32];
        snprintf(id, sizeof id, "common %u", i);
        const esp_session session = sessions_hear(shared, id, 1000);
        CHECK(sessions_is(&session, "a|b") || sessions_is(&session, "b|a"));
    }
    sessions_check_whole(shared);
    esp_sessions_close(shared);
}

/* ---- everything at once, in a table too small, with a clock that runs ------------------- */

static void *anything(void *argument) {
    uint64_t random = *(const uint32_t *)argument + 100u;
    char id[32];
    char text[96];
    for (uint32_t i = 0; i < 6000; i++) {
        const uint64_t now = atomic_fetch_add(&clock_ms, 1) * 3;
        const uint32_t number = (uint32_t)(esp_random_next(&random) % 60);
        snprintf(id, sizeof id, "%u", number);
        snprintf(text, sizeof text, "%u:%.*s", number, (int)(esp_random_next(&random) % 40),
            "........................................");
        switch (esp_random_next(&random) % 8) {
        case 0: sessions_forget(shared, id, now); break;
        case 1: esp_sessions_sweep(shared, now, 5); break;
        case 2:
        case 3:
        case 4: sessions_say(shared, id, text, now); break;
        default: {
            const esp_session session = sessions_hear(shared, id, now);
            for (uint32_t q = 0; q < session.n_queries; q++) {
                char heard[64] = "";
                const uint32_t length = session.offset[q + 1] - session.offset[q];
                memcpy(heard, session.text + session.offset[q], length < 63 ? length : 63);
                CHECK((uint32_t)strtoul(heard, NULL, 10) == number);
            }
        }
        }
    }
    return NULL;
}

static void evicting_expiring_and_forgetting_at_once_leaves_a_whole_table(void) {
    sessions_fresh();
    shared = sessions_open(30, 5);
    in_threads(anything, THREADS);
    esp_sessions_info info;
    esp_sessions_get_info(shared, &info);
    CHECK(info.evicted > 0 && info.damaged == 0);
    /* A record may be taken back by the sweep between its two owners. */
    esp_sessions_sweep(shared, clock_ms * 3, 1000);
    sessions_check_counted(shared);
    esp_sessions_close(shared);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(no_query_is_lost_and_none_strays);
    TEST(a_session_begun_by_two_at_once_is_one);
    TEST(evicting_expiring_and_forgetting_at_once_leaves_a_whole_table);
    sessions_done();
    return TEST_END();
}
