/* test_session_kills.c: what a process leaves behind that is killed while it
 * changes a session table.
 *
 * Once by instruction: an operation runs under single steps, and after each
 * instruction that changed the table, the table as it lies there is opened by a
 * stranger, as after a kill at this instruction.  Once by chance: writers are
 * killed with SIGKILL while others write and read. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "small_sessions.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

static bool is_long(void) {
    const char *profile = getenv("ESPALIER_PROFILE");
    return profile != NULL && strcmp(profile, "long") == 0;
}

/* ---- at every instruction ------------------------------------------------------------ */

/* A session as it is before the operation and after it, queries joined by '|'. */
typedef struct expected {
    const char *id;
    const char *before;
    const char *after;
    bool changed; /* seen as it is after */
} expected;

typedef struct scene {
    uint64_t capacity;
    uint64_t now; /* of the operation */
    void (*prepare)(esp_sessions *table);
    void (*operation)(esp_sessions *table, uint64_t now);
    expected session[8]; /* up to an id that is NULL */
} scene;

/* Opens what lies in memory as a file of its own, as the next process would. */
static esp_sessions *open_copy(const esp_sessions *table) {
    char path[300];
    snprintf(path, sizeof path, "%s.copy", sessions_path);
    const int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0 && write(fd, table->base, table->bytes) == (ssize_t)table->bytes);
    close(fd);
    const esp_sessions_options options = {
        .struct_size = sizeof options, .max_queries = 5, .ttl_ms = SESSIONS_TTL};
    esp_sessions *copy = NULL;
    CHECK(esp_sessions_open(path, &options, &copy, NULL) == ESP_OK);
    unlink(path);
    return copy;
}

static void check_moment(const esp_sessions *table, scene *s, bool is_over) {
    esp_sessions *copy = open_copy(table);
    for (expected *one = s->session; one->id != NULL; one++) {
        const esp_session heard = sessions_hear(copy, one->id, s->now);
        if (sessions_is(&heard, one->after))
            one->changed = true;
        else
            CHECK(!one->changed && !is_over && sessions_is(&heard, one->before));
    }
    /* What the dead had in hand comes back, and the table is whole. */
    esp_sessions_sweep(copy, s->now, 1000);
    sessions_check_counted(copy);
    esp_sessions_close(copy);
}

static inline void at_every_instruction(scene s) {
    sessions_fresh();
    esp_sessions *table = sessions_open(s.capacity, 5);
    s.prepare(table);
    uint8_t *last = malloc(table->bytes);
    memcpy(last, table->base, table->bytes);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        test_failures = 0;
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        s.operation(table, s.now);
        _exit(test_failures != 0);
    }
    int status = 0;
    uint64_t steps = 0;
    uint64_t moments = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status) || ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) {
        printf("skipped: processes may not be traced here\n");
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        esp_sessions_close(table);
        free(last);
        return;
    }
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        steps++;
        if (memcmp(last, table->base, table->bytes) != 0) {
            moments++;
            memcpy(last, table->base, table->bytes);
            check_moment(table, &s, false);
        }
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            break;
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_moment(table, &s, true);
    CHECK(steps > 500 && moments > 1);
    printf("%s: %llu instructions, %llu moments\n", test_name, (unsigned long long)steps,
        (unsigned long long)moments);
    free(last);
    esp_sessions_close(table);
}

static void with_two(esp_sessions *table) {
    sessions_say(table, "other", "o", 1000);
    sessions_say(table, "s", "a", 1001);
}

static void with_many(esp_sessions *table) {
    sessions_say(table, "oldest", "q", 1000);
    sessions_say(table, "b", "q", 1001);
    sessions_say(table, "c", "q", 1002);
    sessions_say(table, "s", "a", 1003);
}

static void say_s(esp_sessions *table, uint64_t now) {
    sessions_say(table, "s", "b", now);
}
static void say_new(esp_sessions *table, uint64_t now) {
    sessions_say(table, "new", "n", now);
}
static void hear_s(esp_sessions *table, uint64_t now) {
    sessions_hear(table, "s", now);
}
static void forget_s(esp_sessions *table, uint64_t now) {
    sessions_forget(table, "s", now);
}
static void sweep_all(esp_sessions *table, uint64_t now) {
    esp_sessions_sweep(table, now, 1000);
}

static inline void killed_while_recording_into_a_session(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 2000,
        .prepare = with_two,
        .operation = say_s,
        .session = {{.id = "s", .before = "a", .after = "b|a"},
            {.id = "other", .before = "o", .after = "o"},
            {.id = "new", .before = "", .after = ""}}});
}

static inline void killed_while_beginning_a_session(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 2000,
        .prepare = with_two,
        .operation = say_new,
        .session = {{.id = "new", .before = "", .after = "n"},
            {.id = "s", .before = "a", .after = "a"},
            {.id = "other", .before = "o", .after = "o"}}});
}

static inline void killed_while_evicting(void) {
    at_every_instruction((scene){.capacity = 4,
        .now = 2000,
        .prepare = with_many,
        .operation = say_new,
        .session = {{.id = "oldest", .before = "q", .after = ""},
            {.id = "new", .before = "", .after = "n"}, {.id = "b", .before = "q", .after = "q"},
            {.id = "c", .before = "q", .after = "q"}, {.id = "s", .before = "a", .after = "a"}}});
}

static inline void killed_while_a_session_begins_again(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 2000 + SESSIONS_TTL,
        .prepare = with_two,
        .operation = say_s,
        .session = {
            {.id = "s", .before = "", .after = "b"}, {.id = "other", .before = "", .after = ""}}});
}

static inline void killed_while_reading(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 1000 + SESSIONS_TTL,
        .prepare = with_two,
        .operation = hear_s,
        .session = {{.id = "s", .before = "a", .after = "a"},
            {.id = "other", .before = "o", .after = "o"}}});
}

static inline void killed_while_forgetting(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 2000,
        .prepare = with_two,
        .operation = forget_s,
        .session = {{.id = "s", .before = "a", .after = ""},
            {.id = "other", .before = "o", .after = "o"}}});
}

static inline void killed_while_sweeping(void) {
    at_every_instruction((scene){.capacity = 8,
        .now = 1001 + SESSIONS_TTL,
        .prepare = with_two,
        .operation = sweep_all,
        .session = {
            {.id = "s", .before = "a", .after = "a"}, {.id = "other", .before = "", .after = ""}}});
}

/* Two entries of one session, as two writers leave them that began it at once. */
static void with_twins(esp_sessions *table) {
    sessions_say(table, "s", "a", 1001);
    esp_view v;
    CHECK(esp_view_begin(table, (const uint8_t *)"s", 1, &v, NULL) == ESP_OK);
    esp_view_look(table, &v);
    esp_record record;
    esp_record_init(&record, v.key);
    esp_record_add(&record, (const uint8_t *)"x", 1, 1000);
    esp_record_seal(&record, &table->secret);
    const uint32_t slot = esp_table_claim(table);
    esp_table_fill(table, slot, &record, 1002);
    CHECK(esp_table_publish(table, &v.empty, slot, v.homes.tag));
    esp_sessions_report report;
    esp_sessions_check(table, &report);
    CHECK(report.twice == 1 && report.sessions == 2);
}

static void twins_become_one_when_next_written(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    with_twins(table);
    CHECK_QUERIES(table, "s", 2000, "a");
    CHECK(sessions_say(table, "s", "b", 2000) == 1);
    CHECK_QUERIES(table, "s", 2000, "b|a|x");
    sessions_check_counted(table);
    CHECK(sessions_forget(table, "s", 2000) == 1);
    with_twins(table);
    CHECK(sessions_forget(table, "s", 2000) == 1);
    CHECK_QUERIES(table, "s", 2000, "");
    sessions_check_counted(table);
    esp_sessions_close(table);
}

/* ---- by chance ------------------------------------------------------------------------ */

enum { WRITERS = 4, OWNED = 6, DELETE_EVERY = 17 };

/* What the owner of each session was about to do and has done: steps from 1. */
typedef struct ledger {
    _Atomic uint32_t intended[WRITERS][OWNED];
    _Atomic uint32_t done[WRITERS][OWNED];
    _Atomic uint32_t stop;
} ledger;

static ledger *book;

static bool is_delete(uint32_t step) {
    return step % DELETE_EVERY == 0;
}

static const esp_sessions_options chance_options = {
    .struct_size = sizeof chance_options, .max_queries = 5, .capacity = 100, .ttl_ms = 100000000};

static esp_sessions *open_for_chance(void) {
    esp_sessions *table = NULL;
    CHECK(esp_sessions_open(sessions_path, &chance_options, &table, NULL) == ESP_OK);
    return table;
}

static void write_for_ever(uint32_t me) {
    esp_sessions *table = open_for_chance();
    char id[32];
    char text[64];
    for (uint32_t round = 0;; round++) {
        const uint32_t own = round % OWNED;
        const uint32_t step = atomic_load(&book->intended[me][own]) + 1;
        snprintf(id, sizeof id, "%u.%u", me, own);
        snprintf(
            text, sizeof text, "%s:%u:%.*s", id, step, (int)(step % 20), "....................");
        atomic_store(&book->intended[me][own], step);
        if (is_delete(step))
            sessions_forget(table, id, 1000 + step);
        else
            sessions_say(table, id, text, 1000 + step);
        atomic_store(&book->done[me][own], step);
        if (round % 16 == 0)
            esp_sessions_sweep(table, 1000, 4);
    }
}

/* The steps told by a session are its owner's last ones, one after the other. */
static bool history_holds(const esp_session *session, const char *id, uint32_t *newest) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < session->n_queries; i++) {
        char text[64] = "";
        char whose[32] = "";
        uint32_t step = 0;
        const uint32_t length = session->offset[i + 1] - session->offset[i];
        if (length >= sizeof text)
            return false;
        memcpy(text, session->text + session->offset[i], length);
        if (sscanf(text, "%31[^:]:%u:", whose, &step) != 2 || strcmp(whose, id) != 0)
            return false;
        if (i == 0)
            *newest = step;
        else if (step + 1 != before)
            return false;
        before = step;
    }
    return true;
}

static void read_until_told(void) {
    esp_sessions *table = open_for_chance();
    char id[32];
    uint64_t random = 5;
    while (!atomic_load(&book->stop)) {
        snprintf(id, sizeof id, "%u.%u", (uint32_t)(esp_random_next(&random) % WRITERS),
            (uint32_t)(esp_random_next(&random) % OWNED));
        const esp_session session = sessions_hear(table, id, 1000);
        uint32_t newest = 0;
        CHECK(history_holds(&session, id, &newest));
    }
    _exit(test_failures != 0);
}

/* With its writer dead, a session says what the writer had done, or was doing. */
static void check_ledger(esp_sessions *table, uint32_t writer) {
    for (uint32_t own = 0; own < OWNED; own++) {
        char id[32];
        snprintf(id, sizeof id, "%u.%u", writer, own);
        const uint32_t done = atomic_load(&book->done[writer][own]);
        const uint32_t intended = atomic_load(&book->intended[writer][own]);
        const esp_session session = sessions_hear(table, id, 1000);
        uint32_t newest = 0;
        CHECK(history_holds(&session, id, &newest));
        if (session.n_queries == 0)
            CHECK(done == 0 || is_delete(done) || is_delete(intended));
        else
            CHECK(newest == intended || (newest == done && !is_delete(done)));
        /* The next writer goes on from where this one got to. */
        atomic_store(&book->intended[writer][own], session.n_queries > 0 ? newest
                                                   : is_delete(intended) ? intended
                                                                         : done);
        atomic_store(&book->done[writer][own], atomic_load(&book->intended[writer][own]));
    }
}

static pid_t start(void (*work)(void)) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        test_failures = 0;
        work();
        _exit(0);
    }
    return child;
}

static uint32_t next_writer;

static void write_as_next(void) {
    write_for_ever(next_writer);
}

static pid_t start_writer(uint32_t number) {
    next_writer = number;
    return start(write_as_next);
}

static void nothing_is_lost_but_what_was_under_way(void) {
    const uint32_t kills = is_long() ? 5000 : 100;
    sessions_fresh();
    book =
        mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED | 0x20 /* ANONYMOUS */, -1, 0);
    CHECK(book != MAP_FAILED);
    esp_sessions *table = open_for_chance();
    pid_t writer[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        writer[i] = start_writer(i);
    const pid_t reader = start(read_until_told);
    uint64_t random = 11;
    for (uint32_t i = 0; i < kills; i++) {
        const struct timespec pause = {0, (long)(esp_random_next(&random) % 4000000)};
        nanosleep(&pause, NULL);
        const uint32_t victim = (uint32_t)(esp_random_next(&random) % WRITERS);
        int status = 0;
        CHECK(kill(writer[victim], SIGKILL) == 0);
        CHECK(waitpid(writer[victim], &status, 0) == writer[victim]);
        CHECK(WIFSIGNALED(status));
        check_ledger(table, victim);
        writer[victim] = start_writer(victim);
    }
    atomic_store(&book->stop, 1);
    int status = 0;
    CHECK(waitpid(reader, &status, 0) == reader && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (uint32_t i = 0; i < WRITERS; i++) {
        CHECK(kill(writer[i], SIGKILL) == 0);
        CHECK(waitpid(writer[i], &status, 0) == writer[i]);
        check_ledger(table, i);
    }
    esp_sessions_report report;
    esp_sessions_check(table, &report);
    CHECK(report.damaged == 0);
    esp_sessions_sweep(table, 1000, 1000);
    sessions_check_counted(table);
    uint64_t steps = 0;
    for (uint32_t i = 0; i < WRITERS * OWNED; i++)
        steps += book->done[i / OWNED][i % OWNED];
    printf("%u kills among %llu changes; %llu records were in the hands of the last dead\n", kills,
        (unsigned long long)steps, (unsigned long long)(report.held + report.lost));
    CHECK(steps > kills);
    munmap(book, sizeof *book);
    esp_sessions_close(table);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
#if !defined(__SANITIZE_THREAD__) /* forty times the instructions, none of them ours */
    TEST(killed_while_recording_into_a_session);
    TEST(killed_while_beginning_a_session);
    TEST(killed_while_evicting);
    TEST(killed_while_a_session_begins_again);
    TEST(killed_while_reading);
    TEST(killed_while_forgetting);
    TEST(killed_while_sweeping);
#endif
    TEST(twins_become_one_when_next_written);
    TEST(nothing_is_lost_but_what_was_under_way);
    sessions_done();
    return TEST_END();
}
