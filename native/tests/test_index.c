/* test_index.c: opening and checking files, whole and damaged. */
#include "test.h"

#include "small_model.h"

#include <sys/stat.h>
#include <unistd.h>

static esp_suggestion out[100];

/* Opens damaged bytes and uses what opens: nothing may leave the mapping, which
 * the sanitizers watch.  True if open or verify saw the damage. */
static bool survives(const uint8_t *bytes, size_t length) {
    static const char *const prefixes[] = {"", "a", "aab", "ab ", "aab de"};
    esp_index *index = NULL;
    if (esp_index_open_memory(bytes, length, &index, NULL) != ESP_OK)
        return true;
    const bool found = esp_index_verify(index, NULL) != ESP_OK;
    (void)esp_index_validate(index, NULL);
    esp_scratch *scratch = NULL;
    if (esp_scratch_new(index, NULL, &scratch, NULL) == ESP_OK) {
        const esp_text previous = {(const uint8_t *)"aab de", 6};
        for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++)
            for (uint32_t matcher = 1; matcher <= 2; matcher++) {
                size_t count = 0;
                const esp_query query = {.struct_size = sizeof query,
                    .prefix = {(const uint8_t *)prefixes[p], strlen(prefixes[p])},
                    .previous = &previous,
                    .n_previous = 1,
                    .matcher = matcher};
                (void)esp_complete(index, scratch, &query, out, 100, &count, NULL);
            }
    }
    esp_scratch_free(scratch);
    esp_index_close(index);
    return found;
}

static void a_whole_index_passes_every_check(void) {
    small_index made = small_make(80, ESP_POST_L3_HINGE, 16);
    esp_error err = {0};
    CHECK(esp_index_verify(made.index, &err) == ESP_OK);
    CHECK(esp_index_validate(made.index, &err) == ESP_OK);
    esp_index_info info;
    esp_index_get_info(made.index, &info);
    CHECK(info.n_labels == 160 && info.has_labels && info.has_features && info.has_model);
    CHECK(info.fingerprint == 42 && info.bytes == made.length);
    esp_section_info section;
    CHECK(esp_index_get_section(made.index, info.n_sections, &section, NULL) == ESP_E_ARGUMENT);
    uint64_t length = 1;
    CHECK(esp_index_section(made.index, ESP_ID('N', 'O', 'N', 'E'), &length) == NULL);
    CHECK(length == 0);
    small_free(&made);
}

static void every_changed_byte_is_found_and_survived(void) {
    small_index made = small_make(6, ESP_POST_L3_HINGE, 16);
    for (size_t i = 0; i < made.length; i++) {
        const uint8_t kept = made.bytes[i];
        made.bytes[i] ^= (uint8_t)(1u << i % 8);
        if (!survives(made.bytes, made.length))
            CHECK(!"damage was found");
        made.bytes[i] = kept;
    }
    small_free(&made);
}

/* The same with valid checksums in the header and table, so that the damage
 * gets as far as it can. */
static void damage_behind_the_checksums_is_survived(void) {
    small_index made = small_make(6, ESP_POST_L3_HINGE, 32);
    const uint8_t values[] = {0x00, 0x01, 0x7F, 0xFF};
    esp_file_header *head = (void *)made.bytes;
    for (size_t i = 64; i < made.length; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            const uint8_t kept = made.bytes[i];
            made.bytes[i] = values[v];
            head->table_crc = esp_crc32c(
                0, made.bytes + head->table_offset, head->n_sections * sizeof(esp_file_section));
            head->header_crc = esp_crc32c(0, made.bytes, 60);
            (void)survives(made.bytes, made.length);
            made.bytes[i] = kept;
        }
    small_free(&made);
}

/* Where a section of the file lies. */
static esp_section_info section_of(const small_index *made, uint32_t id) {
    esp_section_info section = {0};
    for (uint32_t i = 0; esp_index_get_section(made->index, i, &section, NULL) == ESP_OK; i++)
        if (section.id == id)
            return section;
    return (esp_section_info){0};
}

static void damage_to_words_is_survived(void) {
    static const uint32_t sections[] = {ESP_SEC_VOCA, ESP_SEC_NGRM, ESP_SEC_RELA};
    small_index made = small_make_spoken(6, 7, 1);
    CHECK(esp_index_validate(made.index, NULL) == ESP_OK);
    const uint8_t values[] = {0x00, 0x01, 0x7F, 0xFF};
    for (size_t s = 0; s < 3; s++) {
        const esp_section_info section = section_of(&made, sections[s]);
        CHECK(section.length > 0);
        for (size_t i = section.offset; i < section.offset + section.length; i++)
            for (size_t v = 0; v < sizeof values; v++) {
                const uint8_t kept = made.bytes[i];
                made.bytes[i] = values[v];
                (void)survives(made.bytes, made.length);
                made.bytes[i] = kept;
            }
    }
    small_free(&made);
}

/* Renames a section, so that the index has none of that name. */
static small_index without(uint32_t id) {
    small_index made = small_make_spoken(6, 7, 1);
    esp_file_header *head = (void *)made.bytes;
    esp_file_section *table = (void *)(made.bytes + head->table_offset);
    esp_index_close(made.index);
    made.index = NULL;
    for (uint32_t i = 0; i < head->n_sections; i++)
        if (table[i].id == id)
            table[i].id = ESP_ID('N', 'O', 'N', 'E');
    head->table_crc = esp_crc32c(0, (const uint8_t *)table, head->n_sections * sizeof *table);
    head->header_crc = esp_crc32c(0, made.bytes, 60);
    return made;
}

static void sections_of_words_need_one_another(void) {
    static const uint32_t needed[] = {ESP_SEC_VOCA, ESP_SEC_NGRM};
    for (size_t i = 0; i < 2; i++) {
        small_index made = without(needed[i]);
        esp_error err = {0};
        CHECK(esp_index_open_memory(made.bytes, made.length, &made.index, &err) == ESP_E_CORRUPT);
        CHECK(strcmp(err.check, "S1") == 0 && err.section == needed[i]);
        small_free(&made);
    }
    small_index made = without(ESP_SEC_RELA);
    CHECK(esp_index_open_memory(made.bytes, made.length, &made.index, NULL) == ESP_OK);
    CHECK(esp_index_validate(made.index, NULL) == ESP_OK);
    CHECK(survives(made.bytes, made.length) == false);
    small_free(&made);
}

/* As C programs give them; the sanitizers know what memcmp() may be given. */
static void an_empty_text_may_be_at_no_address(void) {
    small_index made = small_make_spoken(20, 21, 1);
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    const esp_text previous[] = {{NULL, 0}, {(const uint8_t *)"aab de", 6}, {NULL, 0}};
    for (uint32_t n = 0; n <= 3; n++) {
        size_t count = 0;
        const esp_query query = {
            .struct_size = sizeof query, .previous = previous, .n_previous = n};
        CHECK(esp_complete(made.index, scratch, &query, out, 100, &count, NULL) == ESP_OK);
        CHECK(count == 10);
    }
    esp_scratch_free(scratch);
    small_free(&made);
}

static void every_truncation_is_refused(void) {
    small_index made = small_make(6, ESP_POST_L3_HINGE, 16);
    for (size_t length = 0; length < made.length; length++) {
        esp_index *index = NULL;
        if (esp_index_open_memory(made.bytes, length, &index, NULL) == ESP_OK)
            CHECK(!"refused");
    }
    small_free(&made);
}

static void unaligned_memory_is_refused(void) {
    small_index made = small_make(6, ESP_POST_L3_HINGE, 16);
    esp_index *index = NULL;
    CHECK(esp_index_open_memory(made.bytes + 1, made.length - 1, &index, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_index_open_memory(NULL, 64, &index, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_index_open_memory(NULL, 0, &index, NULL) == ESP_E_FORMAT);
    small_free(&made);
}

static void what_is_no_regular_file_is_refused(void) {
    char folder[] = "/tmp/espalier-test-XXXXXX";
    char path[64];
    esp_index *index = NULL;
    esp_error err = {0};
    CHECK(mkdtemp(folder) != NULL);
    CHECK(esp_index_open(folder, &index, &err) == ESP_E_IO);
    snprintf(path, sizeof path, "%s/missing.esp", folder);
    CHECK(esp_index_open(path, &index, &err) == ESP_E_IO);
    snprintf(path, sizeof path, "%s/pipe.esp", folder);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(esp_index_open(path, &index, &err) == ESP_E_IO); /* at once: nobody writes to it */
    unlink(path);
    snprintf(path, sizeof path, "%s/empty.esp", folder);
    FILE *empty = fopen(path, "w");
    CHECK(empty != NULL && fclose(empty) == 0);
    CHECK(esp_index_open(path, &index, &err) == ESP_E_FORMAT && strcmp(err.check, "H2") == 0);
    unlink(path);
    rmdir(folder);
    esp_index_close(NULL);
}

static void every_status_has_a_name(void) {
    for (int32_t status = ESP_OK; status <= ESP_E_UNSUPPORTED; status += 10)
        CHECK(strcmp(esp_status_name(status), "ESP_E_UNKNOWN") != 0);
    CHECK(strcmp(esp_status_name(5), "ESP_E_UNKNOWN") == 0);
    CHECK(strlen(esp_version()) >= 5);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(a_whole_index_passes_every_check);
    TEST(every_changed_byte_is_found_and_survived);
    TEST(damage_behind_the_checksums_is_survived);
    TEST(damage_to_words_is_survived);
    TEST(sections_of_words_need_one_another);
    TEST(an_empty_text_may_be_at_no_address);
    TEST(every_truncation_is_refused);
    TEST(unaligned_memory_is_refused);
    TEST(what_is_no_regular_file_is_refused);
    TEST(every_status_has_a_name);
    return TEST_END();
}
