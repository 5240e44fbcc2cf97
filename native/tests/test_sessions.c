/* test_sessions.c: the session table in one process, and its file. */
#include "small_sessions.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- parts ---------------------------------------------------------------------- */

static void siphash_gives_what_its_authors_published(void) {
    uint8_t key_bytes[16];
    uint8_t message[15];
    for (uint8_t i = 0; i < 16; i++)
        key_bytes[i] = i;
    for (uint8_t i = 0; i < 15; i++)
        message[i] = i;
    esp_siphash_key key;
    memcpy(&key, key_bytes, sizeof key);
    uint64_t out[2];
    /* The paper's appendix, and vectors.h of the reference: 0 and 15 bytes. */
    CHECK(esp_siphash64(&key, message, 15) == 0xA129CA6149BE45E5u);
    CHECK(esp_siphash64(&key, message, 0) == 0x726FDB47DD0E0E31u);
    esp_siphash128(&key, message, 0, out);
    static const uint8_t empty[16] = {0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6, 0x6D, 0xF6,
        0x72, 0x14, 0xC7, 0x55, 0x02, 0x93};
    CHECK(memcmp(out, empty, 16) == 0);
    esp_siphash128(&key, message, 1, out);
    static const uint8_t one[16] = {0xDA, 0x87, 0xC1, 0xD8, 0x6B, 0x99, 0xAF, 0x44, 0x34, 0x76,
        0x59, 0x11, 0x9B, 0x22, 0xFC, 0x45};
    CHECK(memcmp(out, one, 16) == 0);
}

static void records_keep_what_fits_whole(void) {
    const esp_siphash_key secret = {{1, 2}};
    const uint64_t key[2] = {3, 4};
    uint8_t text[600];
    memset(text, 'x', sizeof text);
    esp_record record;
    esp_record_init(&record, key);
    CHECK(esp_record_add(&record, text, 300, 7));
    CHECK(!esp_record_add(&record, text, 153, 6)); /* 308 + 8 + 153 = 469 */
    CHECK(esp_record_add(&record, text, 152, 5));
    CHECK(!esp_record_add(&record, text, 1, 4));
    esp_record_seal(&record, &secret);
    CHECK(esp_record_valid(&record, &secret));
    CHECK(record.count == 2 && record.cut == 0 && record.length == ESP_RECORD_PAYLOAD);
    esp_record_query query[ESP_RECORD_QUERIES];
    CHECK(esp_record_list(&record, query) == 2);
    CHECK(query[0].length == 300 && query[0].time == 7);
    CHECK(query[1].length == 152 && query[1].time == 5);
}

static void records_cut_the_newest_at_a_code_point(void) {
    const uint64_t key[2] = {3, 4};
    uint8_t text[600];
    /* A sequence of `width` bytes that would end behind the last place. */
    static const char *const wide[] = {"", "x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t width = 1; width <= 4; width++)
        for (size_t before = 456; before <= 460; before++) {
            memset(text, 'x', sizeof text);
            memcpy(text + before, wide[width], width);
            esp_record record;
            esp_record_init(&record, key);
            CHECK(esp_record_add(&record, text, sizeof text, 1));
            CHECK(record.cut == 1);
            const size_t kept = record.length - (size_t)ESP_RECORD_ENTRY;
            CHECK(kept == (before < 460 && before + width > 460 ? before : 460));
        }
}

static void records_show_every_changed_bit(void) {
    const esp_siphash_key secret = {{1, 2}};
    const uint64_t key[2] = {3, 4};
    esp_record record;
    esp_record_init(&record, key);
    esp_record_add(&record, (const uint8_t *)"nike shoes", 10, 7);
    esp_record_add(&record, (const uint8_t *)"shoes", 5, 5);
    esp_record_seal(&record, &secret);
    CHECK(esp_record_valid(&record, &secret));
    const size_t used = offsetof(esp_record, payload) + record.length;
    for (size_t bit = 0; bit < 8 * used; bit++) {
        esp_record other = record;
        ((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK(!esp_record_valid(&other, &secret));
    }
}

/* ---- one session ------------------------------------------------------------------ */

static void queries_come_back_newest_first_with_their_ages(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 3);
    CHECK(sessions_say(table, "s", "a", 1000) == 0);
    CHECK(sessions_say(table, "s", "b", 3000) == 1);
    CHECK(sessions_say(table, "s", "c", 4999) == 1);
    CHECK(sessions_say(table, "s", "d", 6000) == 1);
    const esp_session session = sessions_hear(table, "s", 9000);
    CHECK(sessions_is(&session, "d|c|b"));
    CHECK(session.age[0] == 3 && session.age[1] == 4 && session.age[2] == 6);
    CHECK_QUERIES(table, "t", 9000, "");
    sessions_check_counted(table);
    esp_sessions_close(table);
}

static void the_newest_query_again_only_moves_its_time(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "s", "a", 1000);
    sessions_say(table, "s", "a", 5000);
    sessions_say(table, "s", "b", 6000);
    sessions_say(table, "s", "a", 7000);
    const esp_session session = sessions_hear(table, "s", 9000);
    CHECK(sessions_is(&session, "a|b|a"));
    CHECK(session.age[0] == 2 && session.age[2] == 4);
    /* The same when it is too long to be kept whole. */
    char text[900];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    sessions_say(table, "t", text, 10000);
    sessions_say(table, "t", text, 11000);
    const esp_session cut = sessions_hear(table, "t", 12000);
    CHECK(cut.n_queries == 1 && cut.cut == 1 && cut.offset[1] == 460 && cut.age[0] == 1);
    /* A short one pushes it out: nothing else fits beside it. */
    sessions_say(table, "t", "y", 13000);
    CHECK_QUERIES(table, "t", 13000, "y");
    esp_sessions_close(table);
}

static void sessions_hold_as_many_queries_as_were_asked_for(void) {
    for (uint32_t most = 1; most <= 32; most++) {
        sessions_fresh();
        esp_sessions *table = sessions_open(8, most);
        for (uint32_t i = 0; i < 40; i++)
            sessions_say(table, "s", i % 2 == 0 ? "even" : "odd", 1000 + i);
        const esp_session session = sessions_hear(table, "s", 1000);
        CHECK(session.n_queries == most);
        esp_sessions_close(table);
    }
}

static void bad_arguments_are_refused(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    const uint8_t text[2] = {'a', 0xFF};
    esp_session session;
    uint32_t known = 0;
    CHECK(esp_sessions_record(table, text, 1, text, 2, 0, &known, NULL) == ESP_E_UTF8);
    CHECK(esp_sessions_record(table, text, 1, text, 0, 0, &known, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_sessions_record(table, text, 0, text, 1, 0, &known, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_sessions_read(table, text, 0, 0, &session, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_sessions_delete(table, text, 0, 0, &known, NULL) == ESP_E_ARGUMENT);
    sessions_check_counted(table);
    esp_sessions_close(table);
    esp_sessions_close(NULL);
    esp_sessions_options options = {.struct_size = 4};
    CHECK(esp_sessions_open(NULL, &options, &table, NULL) == ESP_E_ARGUMENT);
    options = (esp_sessions_options){.struct_size = sizeof options, .max_queries = 33};
    CHECK(esp_sessions_open(NULL, &options, &table, NULL) == ESP_E_ARGUMENT);
    options = (esp_sessions_options){.struct_size = sizeof options, .capacity = 100000001};
    CHECK(esp_sessions_open(NULL, &options, &table, NULL) == ESP_E_ARGUMENT);
    test_allocations_left = 0;
    CHECK(esp_sessions_open(NULL, NULL, &table, NULL) == ESP_E_MEMORY);
}

/* ---- time -------------------------------------------------------------------------- */

static void use_starts_the_time_of_a_session_anew(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "s", "a", 0);
    sessions_say(table, "t", "a", 0);
    uint64_t now = 0;
    for (int i = 0; i < 5; i++) {
        now += SESSIONS_TTL;
        CHECK_QUERIES(table, "s", now, "a");
        CHECK(sessions_say(table, "t", "a", now) == 1);
    }
    CHECK_QUERIES(table, "s", now + SESSIONS_TTL + 1, "");
    CHECK(sessions_say(table, "t", "b", now + SESSIONS_TTL + 1) == 0);
    CHECK_QUERIES(table, "t", now + SESSIONS_TTL + 1, "b");
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    CHECK(info.expired == 2 && info.sessions == 1 && info.found == 6 && info.missed == 1);
    sessions_check_counted(table);
    esp_sessions_close(table);
}

static void a_short_step_back_of_the_clock_stops_time(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "s", "a", 100000);
    sessions_say(table, "t", "b", 100000 - SESSIONS_TTL);
    CHECK_QUERIES(table, "s", 100000 - SESSIONS_TTL, "a");
    CHECK_QUERIES(table, "s", 100000 + SESSIONS_TTL, "a");
    CHECK_QUERIES(table, "t", 100000 + SESSIONS_TTL, "b");
    esp_sessions_close(table);
}

static void a_long_step_back_neither_loses_nor_keeps_for_ever(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "s", "a", 1000000);
    sessions_say(table, "t", "b", 1000000);
    sessions_say(table, "u", "c", 1000000);
    const esp_session session = sessions_hear(table, "s", 5000);
    CHECK(sessions_is(&session, "a"));
    CHECK(session.age[0] == 0);
    /* What nobody asks for is brought to the present by the sweep. */
    esp_sessions_sweep(table, 6000, 100);
    CHECK_QUERIES(table, "t", 6000 + SESSIONS_TTL, "b");
    CHECK_QUERIES(table, "u", 6001 + SESSIONS_TTL, "");
    esp_sessions_close(table);
}

static void every_boot_goes_on_from_the_one_before(void) {
    sessions_fresh();
    esp_sessions *table = NULL;
    esp_sessions_info info;
    esp_sessions_options options = {.struct_size = sizeof options,
        .capacity = 8,
        .ttl_ms = SESSIONS_TTL,
        .boot = 77,
        .boot_ms = 5000,
        .wall_ms = 1000000};
    CHECK(esp_sessions_open(sessions_path, &options, &table, NULL) == ESP_OK);
    esp_sessions_get_info(table, &info);
    CHECK(info.clock_base == 995000);
    sessions_say(table, "s", "a", 1000000);
    esp_sessions_close(table);
    /* Another process of the same boot, the wall clock having been set. */
    options.boot_ms = 6000;
    options.wall_ms = 900000000;
    CHECK(esp_sessions_open(sessions_path, &options, &table, NULL) == ESP_OK);
    esp_sessions_get_info(table, &info);
    CHECK(info.clock_base == 995000);
    esp_sessions_close(table);
    /* The next boot, the wall clock being behind: on from the latest time. */
    options.boot = 78;
    options.boot_ms = 100;
    options.wall_ms = 3;
    CHECK(esp_sessions_open(sessions_path, &options, &table, NULL) == ESP_OK);
    esp_sessions_get_info(table, &info);
    CHECK(info.clock_base == 1000000 - 100);
    esp_sessions_close(table);
    /* The one after, right: time has passed. */
    options.boot = 79;
    options.wall_ms = 2000000;
    CHECK(esp_sessions_open(sessions_path, &options, &table, NULL) == ESP_OK);
    esp_sessions_get_info(table, &info);
    CHECK(info.clock_base == 2000000 - 100);
    CHECK_QUERIES(table, "s", 2000000, "");
    esp_sessions_close(table);
}

/* ---- many sessions -------------------------------------------------------------------- */

static void the_least_recently_used_makes_room(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(4, 5);
    sessions_say(table, "a", "q", 1000);
    sessions_say(table, "b", "q", 1001);
    sessions_say(table, "c", "q", 1002);
    sessions_say(table, "d", "q", 1003);
    CHECK_QUERIES(table, "a", 1004, "q");
    sessions_say(table, "e", "q", 1005);
    CHECK_QUERIES(table, "b", 1006, "");
    CHECK_QUERIES(table, "a", 1007, "q");
    /* A full table can still be written to. */
    CHECK(sessions_say(table, "c", "r", 1008) == 1);
    CHECK_QUERIES(table, "c", 1009, "r|q");
    CHECK_QUERIES(table, "d", 1009, "q");
    CHECK_QUERIES(table, "e", 1009, "q");
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    CHECK(info.sessions == 4 && info.evicted == 1);
    sessions_check_counted(table);
    esp_sessions_close(table);
}

static void as_many_sessions_as_promised_are_held(void) {
    enum { N = 20000 };
    sessions_fresh();
    esp_sessions *table = sessions_open(N, 5);
    char id[16];
    for (uint32_t i = 0; i < N; i++) {
        snprintf(id, sizeof id, "%u", i);
        CHECK(sessions_say(table, id, id, 1000) == 0);
    }
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    CHECK(info.sessions == N && info.evicted == 0);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(id, sizeof id, "%u", i);
        CHECK_QUERIES(table, id, 1001, id);
    }
    sessions_check_counted(table);
    /* Half as many again: the number holds, and mostly the oldest went. */
    for (uint32_t i = N; i < N + N / 2; i++) {
        snprintf(id, sizeof id, "%u", i);
        sessions_say(table, id, id, 1002 + (i - N) / 2);
    }
    esp_sessions_get_info(table, &info);
    CHECK(info.sessions == N && info.evicted == N / 2);
    uint32_t kept = 0;
    for (uint32_t i = N; i < N + N / 2; i++) {
        snprintf(id, sizeof id, "%u", i);
        kept += sessions_hear(table, id, 1002 + N / 4).n_queries;
    }
    CHECK(kept > N / 2 - N / 50);
    sessions_check_counted(table);
    esp_sessions_close(table);
}

static void expired_sessions_are_zeroed_by_the_sweep(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(100, 5);
    char id[16];
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "%u", i);
        sessions_say(table, id, "canary query", i < 50 ? 1000 : 1100);
    }
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    for (uint64_t i = 0; i < info.records; i += 7)
        esp_sessions_sweep(table, 1001 + SESSIONS_TTL, 7);
    esp_sessions_get_info(table, &info);
    CHECK(info.sessions == 50 && info.expired == 50);
    sessions_check_counted(table);
    esp_sessions_sweep(table, 1101 + SESSIONS_TTL, 1000);
    esp_sessions_get_info(table, &info);
    CHECK(info.sessions == 0 && info.expired == 100);
    sessions_check_counted(table);
    for (size_t i = 0; i + 6 < table->bytes; i++)
        if (memcmp(table->base + i, "canary", 6) == 0) {
            CHECK(!"text of an expired session is left");
            break;
        }
    esp_sessions_close(table);
}

static void deleting_zeroes_the_bytes(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "id-canary", "first canary", 1000);
    sessions_say(table, "id-canary", "second canary", 1001);
    sessions_say(table, "other", "something", 1001);
    CHECK(sessions_forget(table, "id-canary", 1002) == 1);
    CHECK(sessions_forget(table, "id-canary", 1002) == 0);
    CHECK(sessions_forget(table, "never", 1002) == 0);
    CHECK(sessions_forget(table, "other", 1002 + SESSIONS_TTL) == 0);
    for (size_t i = 0; i + 6 < table->bytes; i++)
        CHECK(memcmp(table->base + i, "canary", 6) != 0);
    CHECK_QUERIES(table, "id-canary", 1003, "");
    sessions_check_counted(table);
    esp_sessions_close(table);
}

/* ---- the file ---------------------------------------------------------------------------- */

static void sessions_survive_closing(void) {
    sessions_fresh();
    esp_sessions *table = sessions_open(8, 5);
    sessions_say(table, "s", "a", 1000);
    esp_sessions_close(table);
    struct stat facts;
    CHECK(stat(sessions_path, &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    /* With another capacity asked for, the file stays as it is. */
    table = sessions_open(5000, 5);
    esp_sessions *second = sessions_open(8, 5);
    CHECK_QUERIES(table, "s", 1000, "a");
    sessions_say(second, "s", "b", 2000);
    CHECK_QUERIES(table, "s", 2000, "b|a");
    esp_sessions_info info;
    esp_sessions_get_info(second, &info);
    CHECK(info.capacity == 8 && info.backing == ESP_SESSIONS_FILE);
    CHECK(esp_sessions_count_openings(table) == 2);
    CHECK(info.bytes == (uint64_t)facts.st_size && info.os_error == 0);
    CHECK((uint64_t)facts.st_blocks * 512 >= info.bytes);
    esp_sessions_close(second);
    esp_sessions_close(table);
}

static void a_file_that_others_could_read_is_closed_to_them(void) {
    sessions_fresh();
    esp_sessions_close(sessions_open(8, 5));
    CHECK(chmod(sessions_path, 0644) == 0);
    esp_sessions_close(sessions_open(8, 5));
    struct stat facts;
    CHECK(stat(sessions_path, &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
}

static void poke(off_t at, const void *bytes, size_t length) {
    const int fd = open(sessions_path, O_RDWR);
    CHECK(pwrite(fd, bytes, length, at) == (ssize_t)length);
    close(fd);
}

static void expect_refusal(esp_status wanted, const char *check) {
    esp_sessions *table = NULL;
    esp_error error = {0};
    CHECK(esp_sessions_open(sessions_path, NULL, &table, &error) == wanted);
    CHECK(table == NULL);
    CHECK(error.status == (int32_t)wanted);
    CHECK(strcmp(error.check, check) == 0);
}

static void files_that_are_no_table_are_refused(void) {
    sessions_fresh();
    const uint32_t two = 2;
    const uint32_t turned = 0x04030201;
    esp_sessions_close(sessions_open(8, 5));
    poke(0, "P", 1);
    expect_refusal(ESP_E_FORMAT, "SH1");
    unlink(sessions_path);
    esp_sessions_close(sessions_open(8, 5));
    poke(offsetof(esp_sessions_header, endian), &turned, 4);
    expect_refusal(ESP_E_FORMAT, "SH1");
    unlink(sessions_path);
    esp_sessions_close(sessions_open(8, 5));
    poke(offsetof(esp_sessions_header, major), &two, 4);
    expect_refusal(ESP_E_VERSION, "SH2");
    unlink(sessions_path);
    esp_sessions_close(sessions_open(8, 5));
    poke(offsetof(esp_sessions_header, secret), "?", 1);
    expect_refusal(ESP_E_CORRUPT, "SH3");
    unlink(sessions_path);
    esp_sessions_close(sessions_open(8, 5));
    CHECK(truncate(sessions_path, 9000) == 0);
    expect_refusal(ESP_E_CORRUPT, "SH4");
    CHECK(truncate(sessions_path, 100) == 0);
    expect_refusal(ESP_E_FORMAT, "SH1");
    CHECK(truncate(sessions_path, 0) == 0);
    expect_refusal(ESP_E_FORMAT, "SH1");
    unlink(sessions_path);
    CHECK(mkfifo(sessions_path, 0600) == 0);
    expect_refusal(ESP_E_FORMAT, "SH1");
    unlink(sessions_path);
    CHECK(mkdir(sessions_path, 0700) == 0);
    expect_refusal(ESP_E_IO, "open");
    rmdir(sessions_path);
    if (geteuid() == 0) {
        esp_sessions_close(sessions_open(8, 5));
        CHECK(chown(sessions_path, 12345, 12345) == 0);
        expect_refusal(ESP_E_FORMAT, "SH5");
    }
}

/* Geometry that a valid checksum vouches for is not believed either. */
static void a_header_that_lies_about_sizes_is_refused(void) {
    sessions_fresh();
    esp_sessions_close(sessions_open(8, 5));
    esp_sessions_header head;
    const int fd = open(sessions_path, O_RDONLY);
    CHECK(read(fd, &head, sizeof head) == (ssize_t)sizeof head);
    close(fd);
    const esp_sessions_header good = head;
    for (int i = 0; i < 6; i++) {
        head = good;
        switch (i) {
        case 0: head.n_slots += 4; break;
        case 1: head.n_buckets++; break;
        case 2: head.n_slots = 0, head.n_buckets = 0; break;
        case 3: head.file_bytes += 512; break;
        case 4: head.capacity = head.n_slots; break;
        default: head.n_slots = 0xFFFFFFFC, head.n_buckets = 0x3FFFFFFF; break;
        }
        head.header_crc =
            esp_crc32c(0, (const uint8_t *)&head, offsetof(esp_sessions_header, header_crc));
        poke(0, &head, sizeof head);
        expect_refusal(ESP_E_CORRUPT, "SH4");
    }
    poke(0, &good, sizeof good);
    esp_sessions_close(sessions_open(8, 5));
}

/* Whatever stands behind the header, nothing leaves the mapping, no call fails,
 * and a pass of the sweep makes the table whole. */
static void garbage_behind_the_header_is_swept_out(void) {
    const char *profile = getenv("ESPALIER_PROFILE");
    const int rounds = profile != NULL && strcmp(profile, "long") == 0 ? 20000 : 300;
    uint64_t random = 42;
    for (int round = 0; round < rounds; round++) {
        sessions_fresh();
        esp_sessions *table = sessions_open(20, 5);
        char id[16];
        for (uint32_t i = 0; i < 15; i++) {
            snprintf(id, sizeof id, "%u", i);
            sessions_say(table, id, "some text", 1000);
        }
        uint64_t hits = 1 + esp_random_next(&random) % 200;
        if (round % 3 == 0)
            hits *= 40;
        const uint64_t from = offsetof(esp_sessions_header, n_free);
        for (uint64_t i = 0; i < hits; i++) {
            uint64_t at = from + esp_random_next(&random) % (table->bytes - from);
            if (at >= ESP_SESSIONS_PROCESS_OFFSET && at < ESP_SESSIONS_PROCESS_OFFSET + 4)
                continue; /* our own incarnation: as if somebody else were dead */
            table->base[at] = (uint8_t)esp_random_next(&random);
        }
        for (uint32_t i = 0; i < 30; i++) {
            snprintf(id, sizeof id, "%u", i);
            const uint64_t verb = esp_random_next(&random) % 3;
            if (verb == 0)
                sessions_say(table, id, "other", 2000 + i);
            else if (verb == 1)
                sessions_hear(table, id, 2000 + i);
            else
                sessions_forget(table, id, 2000 + i);
        }
        /* Twice, as a record may lose its entry after its own visit. */
        esp_sessions_sweep(table, 2100, 1000);
        esp_sessions_sweep(table, 2100, 1000);
        esp_sessions_report report;
        esp_sessions_check(table, &report);
        CHECK(report.damaged == 0 && report.lost == 0 && report.unlisted == 0);
        for (uint32_t i = 0; i < 20; i++) {
            snprintf(id, sizeof id, "%u", i);
            sessions_say(table, id, "new", 3000 + i);
            const esp_session session = sessions_hear(table, id, 3000 + i);
            CHECK(session.n_queries > 0 && memcmp(session.text, "new", 3) == 0);
        }
        esp_sessions_close(table);
    }
}

static void a_full_disk_leads_to_memory_that_can_be_shared(void) {
    sessions_fresh();
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const struct rlimit small = {8192, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    esp_sessions *table = NULL;
    const esp_status status = esp_sessions_open(sessions_path, NULL, &table, NULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    /* Some kernels hold memory files to the limit as well. */
    if (status == ESP_E_MEMORY)
        return;
    CHECK(status == ESP_OK);
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    CHECK(info.backing == ESP_SESSIONS_MEMORY && info.os_error == EFBIG);
    CHECK(access(sessions_path, F_OK) != 0);
    sessions_say(table, "s", "a", 1000);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", info.descriptor);
    esp_sessions *second = NULL;
    CHECK(esp_sessions_open(path, NULL, &second, NULL) == ESP_OK);
    CHECK_QUERIES(second, "s", 1000, "a");
    esp_sessions_close(second);
    esp_sessions_close(table);
}

static void without_a_path_the_table_is_in_memory(void) {
    esp_sessions *table = NULL;
    CHECK(esp_sessions_open(NULL, NULL, &table, NULL) == ESP_OK);
    esp_sessions_info info;
    esp_sessions_get_info(table, &info);
    CHECK(info.backing == ESP_SESSIONS_MEMORY && info.os_error == 0);
    CHECK(info.capacity == 1000000 && info.bytes <= 512u * 1024 * 1024);
    sessions_say(table, "s", "a", 1000);
    CHECK_QUERIES(table, "s", 1000, "a");
    esp_sessions_close(table);
}

static void a_folder_that_is_not_there_is_said(void) {
    esp_sessions *table = NULL;
    esp_error error = {0};
    CHECK(esp_sessions_open("/nowhere/at/all", NULL, &table, &error) == ESP_E_IO);
    CHECK(strstr(error.message, strerror(ENOENT)) != NULL);
}

static void more_openings_than_places_are_refused(void) {
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_max < ESP_SESSIONS_PROCESSES + 64) {
        printf("skipped: %llu open files allowed\n", (unsigned long long)files.rlim_max);
        return;
    }
    const struct rlimit more = {ESP_SESSIONS_PROCESSES + 64, files.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &more) == 0);
    sessions_fresh();
    static esp_sessions *all[ESP_SESSIONS_PROCESSES];
    for (size_t i = 0; i < ESP_SESSIONS_PROCESSES; i++)
        all[i] = sessions_open(8, 5);
    expect_refusal(ESP_E_LIMIT, "processes");
    esp_sessions_close(all[500]);
    all[500] = sessions_open(8, 5);
    for (size_t i = 0; i < ESP_SESSIONS_PROCESSES; i++)
        esp_sessions_close(all[i]);
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(siphash_gives_what_its_authors_published);
    TEST(records_keep_what_fits_whole);
    TEST(records_cut_the_newest_at_a_code_point);
    TEST(records_show_every_changed_bit);
    TEST(queries_come_back_newest_first_with_their_ages);
    TEST(the_newest_query_again_only_moves_its_time);
    TEST(sessions_hold_as_many_queries_as_were_asked_for);
    TEST(bad_arguments_are_refused);
    TEST(use_starts_the_time_of_a_session_anew);
    TEST(a_short_step_back_of_the_clock_stops_time);
    TEST(a_long_step_back_neither_loses_nor_keeps_for_ever);
    TEST(every_boot_goes_on_from_the_one_before);
    TEST(the_least_recently_used_makes_room);
    TEST(as_many_sessions_as_promised_are_held);
    TEST(expired_sessions_are_zeroed_by_the_sweep);
    TEST(deleting_zeroes_the_bytes);
    TEST(sessions_survive_closing);
    TEST(a_file_that_others_could_read_is_closed_to_them);
    TEST(files_that_are_no_table_are_refused);
    TEST(a_header_that_lies_about_sizes_is_refused);
    TEST(garbage_behind_the_header_is_swept_out);
    TEST(a_full_disk_leads_to_memory_that_can_be_shared);
    TEST(without_a_path_the_table_is_in_memory);
    TEST(a_folder_that_is_not_there_is_said);
    TEST(more_openings_than_places_are_refused);
    sessions_done();
    return TEST_END();
}
