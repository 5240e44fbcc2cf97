/* test_writer.c: there is always a whole file, whatever fails. */
#include "test.h"

#include "small_index.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char path[128];

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/espalier-test-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/x.esp", folder);
}

static int files(void) {
    int n = 0;
    DIR *opened = opendir(folder);
    if (opened == NULL)
        return -1;
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened))
        n += entry->d_name[0] != '.';
    closedir(opened);
    return n;
}

static void end(void) {
    unlink(path);
    CHECK(rmdir(folder) == 0); /* fails if anything was left behind */
}

/* An index of PARM alone: nothing in it, but valid. */
static esp_status write_small(uint64_t fingerprint, esp_error *err) {
    const esp_params params = {.default_matcher = ESP_MATCH_CONSTRAINED};
    esp_writer *writer = NULL;
    ESP_TRY(esp_writer_open(path, fingerprint, &writer, err));
    const esp_status added =
        esp_writer_add(writer, ESP_SEC_PARM, (const uint8_t *)&params, sizeof params, err);
    if (added != ESP_OK) {
        esp_writer_abort(writer);
        return added;
    }
    return esp_writer_finish(writer, err);
}

static uint64_t fingerprint_of_file(void) {
    esp_index *index = NULL;
    esp_index_info info = {0};
    if (esp_index_open(path, &index, NULL) != ESP_OK)
        return 0;
    CHECK(esp_index_verify(index, NULL) == ESP_OK);
    CHECK(esp_index_validate(index, NULL) == ESP_OK);
    esp_index_get_info(index, &info);
    esp_index_close(index);
    return info.fingerprint;
}

static void a_finished_file_opens_and_replaces_the_old_one(void) {
    begin();
    CHECK(write_small(1, NULL) == ESP_OK);
    CHECK(fingerprint_of_file() == 1);
    CHECK(write_small(2, NULL) == ESP_OK);
    CHECK(fingerprint_of_file() == 2);
    CHECK(files() == 1);
    end();
}

static void an_open_index_keeps_the_old_file(void) {
    begin();
    CHECK(write_small(1, NULL) == ESP_OK);
    esp_index *index = NULL;
    CHECK(esp_index_open(path, &index, NULL) == ESP_OK);
    CHECK(write_small(2, NULL) == ESP_OK);
    CHECK(esp_index_verify(index, NULL) == ESP_OK);
    esp_index_info info;
    esp_index_get_info(index, &info);
    CHECK(info.fingerprint == 1);
    esp_index_close(index);
    end();
}

static void giving_up_leaves_nothing(void) {
    begin();
    CHECK(write_small(1, NULL) == ESP_OK);
    esp_writer *writer = NULL;
    CHECK(esp_writer_open(path, 2, &writer, NULL) == ESP_OK);
    CHECK(files() == 2);
    CHECK(esp_writer_add(writer, ESP_SEC_META, (const uint8_t *)"{}", 2, NULL) == ESP_OK);
    esp_writer_abort(writer);
    esp_writer_abort(NULL);
    CHECK(files() == 1);
    CHECK(fingerprint_of_file() == 1);
    end();
}

static void a_section_is_written_once(void) {
    begin();
    esp_writer *writer = NULL;
    CHECK(esp_writer_open(path, 1, &writer, NULL) == ESP_OK);
    CHECK(esp_writer_add(writer, ESP_SEC_META, (const uint8_t *)"{}", 2, NULL) == ESP_OK);
    CHECK(esp_writer_add(writer, ESP_SEC_META, (const uint8_t *)"{}", 2, NULL) == ESP_E_ARGUMENT);
    for (uint32_t id = 1; id < ESP_MAX_SECTIONS; id++)
        CHECK(esp_writer_add(writer, id, NULL, 0, NULL) == ESP_OK);
    CHECK(esp_writer_add(writer, 9999, NULL, 0, NULL) == ESP_E_ARGUMENT);
    esp_writer_abort(writer);
    end();
}

static void two_writers_do_not_meet(void) {
    begin();
    esp_writer *a = NULL;
    esp_writer *b = NULL;
    const esp_params params = {.default_matcher = ESP_MATCH_CONSTRAINED};
    CHECK(esp_writer_open(path, 1, &a, NULL) == ESP_OK);
    CHECK(esp_writer_open(path, 2, &b, NULL) == ESP_OK);
    CHECK(esp_writer_add(a, ESP_SEC_PARM, (const uint8_t *)&params, sizeof params, NULL) == ESP_OK);
    CHECK(esp_writer_add(b, ESP_SEC_PARM, (const uint8_t *)&params, sizeof params, NULL) == ESP_OK);
    CHECK(esp_writer_finish(b, NULL) == ESP_OK);
    CHECK(esp_writer_finish(a, NULL) == ESP_OK);
    CHECK(fingerprint_of_file() == 1);
    CHECK(files() == 1);
    end();
}

static void an_impossible_target_is_an_error(void) {
    begin();
    esp_writer *writer = NULL;
    esp_error err = {0};
    CHECK(esp_writer_open("/nowhere/at/all.esp", 1, &writer, &err) == ESP_E_IO);
    CHECK(strlen(err.message) > 0);
    CHECK(mkdir(path, 0700) == 0); /* a folder where the file should go */
    CHECK(write_small(1, &err) == ESP_E_IO);
    CHECK(files() == 1);
    rmdir(path);
    end();
}

/* A full disk, as the limit on file size shows it: short write, then failure.
 * Every number of bytes that fits is tried; each write and the finish fail. */
static void a_full_disk_leaves_the_old_file(void) {
    begin();
    CHECK(write_small(1, NULL) == ESP_OK);
    struct rlimit kept;
    CHECK(getrlimit(RLIMIT_FSIZE, &kept) == 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    int failed = 0;
    for (rlim_t room = 0; room < 200; room += 8) {
        const struct rlimit limit = {room, kept.rlim_max};
        esp_error err = {0};
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        const esp_status status = write_small(room + 2, &err);
        CHECK(setrlimit(RLIMIT_FSIZE, &kept) == 0);
        if (status == ESP_OK)
            break;
        CHECK(status == ESP_E_IO && strlen(err.message) > 0);
        CHECK(fingerprint_of_file() == 1);
        CHECK(files() == 1);
        failed++;
    }
    CHECK(failed == 160 / 8); /* header, PARM, and the table need 160 bytes */
    signal(SIGXFSZ, handler);
    end();
}

/* Whoever ignores the failure of a section cannot publish what is left. */
static void a_failed_write_is_not_forgotten(void) {
    begin();
    CHECK(write_small(1, NULL) == ESP_OK);
    struct rlimit kept;
    CHECK(getrlimit(RLIMIT_FSIZE, &kept) == 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {100, kept.rlim_max};
    const uint8_t bytes[100] = {0};
    esp_writer *writer = NULL;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(esp_writer_open(path, 2, &writer, NULL) == ESP_OK);
    CHECK(esp_writer_add(writer, ESP_SEC_META, bytes, 100, NULL) == ESP_E_IO);
    CHECK(setrlimit(RLIMIT_FSIZE, &kept) == 0); /* room again */
    CHECK(esp_writer_finish(writer, NULL) == ESP_E_IO);
    CHECK(fingerprint_of_file() == 1);
    CHECK(files() == 1);
    signal(SIGXFSZ, handler);
    end();
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(a_finished_file_opens_and_replaces_the_old_one);
    TEST(an_open_index_keeps_the_old_file);
    TEST(giving_up_leaves_nothing);
    TEST(a_section_is_written_once);
    TEST(two_writers_do_not_meet);
    TEST(an_impossible_target_is_an_error);
    TEST(a_full_disk_leaves_the_old_file);
    TEST(a_failed_write_is_not_forgotten);
    return TEST_END();
}
