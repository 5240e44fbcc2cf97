/* test_sieve.c: filters, and the most popular labels they let through. */
#include "test.h"

#include "../src/sieve.h"
#include "small_attributes.h"
#include "small_index.h"

enum { LABELS = 30000, VALUES = 6, HEAP = 1200, SMALL = 2 * SMALL_PAIRS };

/* A log's worth of labels.  Values: 0 half of them, 1 the other half, 2 one in a
 * hundred, 3 a few hundred unpopular ones, 4 all, 5 one label. */
static uint32_t has[LABELS];
static uint32_t users[LABELS];
static esp_range heap[HEAP];
static esp_index whole;
static uint8_t *section;
static uint8_t *maxima;

/* Falling popularity leaves a walk one piece at a time, rising or random many. */
static void begin(bool falling) {
    uint64_t random = 11;
    for (uint32_t i = 0; i < LABELS; i++) {
        users[i] = falling ? LABELS - i : small_draw(&random, 1000);
        has[i] = 1u << (i & 1) | 1u << 4;
        has[i] |= small_draw(&random, 100) == 0 ? 1u << 2 : 0;
        has[i] |= (falling ? i > LABELS - 400 : users[i] < 10) ? 1u << 3 : 0;
    }
    has[LABELS / 2] |= 1u << 5;
    size_t length = 0;
    size_t bytes = 0;
    section = small_attributes(has, LABELS, VALUES, &length);
    CHECK(esp_attributes_open(section, length, LABELS, &whole.attributes) == NULL);
    CHECK(esp_attributes_validate(&whole.attributes, NULL) == ESP_OK);
    CHECK(esp_maxima_build(users, LABELS, &maxima, &bytes, NULL) == ESP_OK);
}

static void end(void) {
    free(section);
    esp_buffer_free(maxima);
}

typedef struct wanted {
    uint32_t all; /* bits of values */
    uint32_t any;
    uint32_t none;
} wanted;

static uint32_t numbers_of(uint32_t bits, uint32_t *out) {
    uint32_t n = 0;
    for (uint32_t v = 0; v < VALUES; v++)
        if ((bits >> v & 1) != 0)
            out[n++] = v;
    return n;
}

static esp_sieve sieve_for(const wanted *w) {
    uint32_t all[VALUES];
    uint32_t any[VALUES];
    uint32_t none[VALUES];
    const esp_filter filter = {.all_of = all,
        .any_of = any,
        .none_of = none,
        .n_all = numbers_of(w->all, all),
        .n_any = numbers_of(w->any, any),
        .n_none = numbers_of(w->none, none)};
    esp_sieve sieve = {0};
    CHECK(esp_sieve_make(&whole, &filter, &sieve, NULL) == ESP_OK);
    return sieve;
}

static bool fits(const wanted *w, uint32_t label) {
    return (has[label] & w->all) == w->all && (w->any == 0 || (has[label] & w->any) != 0) &&
           (has[label] & w->none) == 0;
}

static int by_popularity(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return users[x] != users[y] ? (users[x] < users[y]) - (users[x] > users[y]) : (x > y) - (x < y);
}

/* The labels of [lo, hi) that fit, sorted. */
static uint32_t expected(const wanted *w, uint32_t lo, uint32_t hi, uint32_t *out) {
    uint32_t n = 0;
    for (uint32_t label = lo; label < hi; label++)
        if (fits(w, label))
            out[n++] = label;
    qsort(out, n, sizeof *out, by_popularity);
    return n;
}

/* However they are found, in the order they should come, until there are no more or the
 * ranking says that some were lost. */
static void compare(const wanted *w, uint32_t lo, uint32_t hi, uint32_t n_wanted) {
    static uint32_t right[LABELS];
    const uint32_t n = expected(w, lo, hi, right);
    const esp_sieve sieve = sieve_for(w);
    esp_ranking ranking = {.heap = heap, .cap = HEAP};
    esp_sift sift;
    const esp_popularity by = {users, (const void *)maxima};
    esp_sift_start(&sift, &ranking, &sieve, by, lo, hi, n_wanted);
    uint32_t i = 0;
    uint32_t label = 0;
    bool same = true;
    for (; esp_sift_next(&sift, &label); i++)
        same &= i < n && label == right[i];
    CHECK(same);
    CHECK(i == n || (ranking.lost && i >= esp_min_u32(HEAP, 8 * n_wanted)));
}

static void labels_come_by_popularity_whatever_the_filter(void) {
    static const wanted WANTED[] = {{1, 0, 0}, {4, 0, 0}, {8, 0, 0}, {1 | 4, 0, 0}, {1 | 2, 0, 0},
        {0, 1 | 2, 0}, {0, 4 | 8, 0}, {0, 8 | 4 | 32, 1}, {0, 0, 1}, {0, 0, 1 | 2}, {0, 0, 16},
        {16, 0, 1}, {32, 0, 0}, {1, 4 | 8, 32}, {0, 16, 4}};
    static const uint32_t RANGE[][2] = {{0, LABELS}, {1, LABELS - 1}, {0, 0}, {77, 78}, {64, 128},
        {12345, 23456}, {LABELS - 500, LABELS}};
    for (int falling = 0; falling < 2; falling++) {
        begin(falling != 0);
        for (size_t w = 0; w < sizeof WANTED / sizeof WANTED[0]; w++)
            for (size_t r = 0; r < sizeof RANGE / sizeof RANGE[0]; r++)
                for (uint32_t n = 1; n < 1000; n *= 30)
                    compare(&WANTED[w], RANGE[r][0], RANGE[r][1], n);
        end();
    }
}

/* Half of the labels pass, so a walk looks promising, but none of the popular ones. */
static void a_walk_that_leads_nowhere_gives_way_to_reading(void) {
    begin(true);
    for (uint32_t i = 0; i < LABELS; i++)
        has[i] = 1u << 4 | (i < LABELS / 2 ? 2u : 1u) | (i < 10 ? 44u : 0);
    size_t length = 0;
    free(section);
    section = small_attributes(has, LABELS, VALUES, &length);
    CHECK(esp_attributes_open(section, length, LABELS, &whole.attributes) == NULL);
    const wanted w = {1, 0, 0};
    const esp_sieve sieve = sieve_for(&w);
    esp_ranking ranking = {.heap = heap, .cap = HEAP};
    esp_sift sift;
    uint32_t label = 0;
    esp_sift_start(
        &sift, &ranking, &sieve, (esp_popularity){users, (const void *)maxima}, 0, LABELS, 32);
    CHECK(sift.walking);
    CHECK(esp_sift_next(&sift, &label) && label == LABELS / 2);
    CHECK(!sift.walking);
    compare(&w, 0, LABELS, 32);
    end();
}

static void values_that_nobody_has_mean_what_they_should(void) {
    begin(false);
    const uint32_t known = 2;
    const uint32_t mixed[2] = {ESP_NO_VALUE, 2};
    const uint32_t twice[17] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    const esp_filter filters[] = {
        {.all_of = mixed, .n_all = 2},                       /* nothing */
        {.any_of = mixed, .n_any = 1},                       /* nothing */
        {.any_of = mixed, .n_any = 2},                       /* those with value 2 */
        {.none_of = mixed, .n_none = 1},                     /* all */
        {.all_of = &known, .n_all = 1, .keep_generated = 1}, /* those with value 2 */
        {.all_of = twice, .n_all = 17},                      /* the same */
    };
    static const bool generated[] = {false, false, false, true, true, false};
    for (uint32_t f = 0; f < 6; f++) {
        esp_sieve sieve;
        CHECK(esp_sieve_make(&whole, &filters[f], &sieve, NULL) == ESP_OK);
        CHECK(esp_sieve_lets(&sieve, ESP_NO_LABEL) == generated[f]);
        for (uint32_t label = 0; label < LABELS; label++) {
            const bool two = (has[label] >> 2 & 1) != 0;
            CHECK(esp_sieve_lets(&sieve, label) == (f == 3 || (f > 1 && two)));
        }
    }
    CHECK(esp_sieve_lets(NULL, 0) && esp_sieve_lets(NULL, ESP_NO_LABEL));
    end();
}

static void filters_that_cannot_be_used_are_refused(void) {
    begin(false);
    static const uint32_t many[ESP_FILTER_VALUES + 1];
    esp_sieve sieve;
    esp_error err;
    const esp_filter too_many = {.none_of = many, .n_none = ESP_FILTER_VALUES + 1};
    CHECK(esp_sieve_make(&whole, &too_many, &sieve, &err) == ESP_E_LIMIT);
    CHECK(strcmp(err.check, "none_of") == 0 && err.offset == ESP_FILTER_VALUES + 1);
    const esp_filter nowhere = {.any_of = NULL, .n_any = 1};
    CHECK(esp_sieve_make(&whole, &nowhere, &sieve, &err) == ESP_E_ARGUMENT);
    const esp_index bare = {0};
    CHECK(esp_sieve_make(&bare, &nowhere, &sieve, &err) == ESP_E_UNSUPPORTED);
    end();
}

/* ---- in an index -------------------------------------------------------- */

/* The small index with every fourth label having value 0, and label 3 value 1. */
static small_index small_with_values(void) {
    small_index plain = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    small_part parts[SMALL_SECTIONS + 1];
    for (uint32_t i = 0; i < SMALL_SECTIONS; i++) {
        esp_section_info info;
        CHECK(esp_index_get_section(plain.index, i, &info, NULL) == ESP_OK);
        parts[i] = (small_part){info.id, plain.bytes + info.offset, info.length};
    }
    uint32_t bits[SMALL];
    for (uint32_t i = 0; i < SMALL; i++)
        bits[i] = i == 3 ? 2 : i % 4 == 0;
    size_t length = 0;
    uint8_t *attributes = small_attributes(bits, SMALL, 2, &length);
    parts[SMALL_SECTIONS] = (small_part){ESP_SEC_ATTR, attributes, length};
    small_index made = small_assemble(parts, SMALL_SECTIONS + 1);
    CHECK(esp_index_open_memory(made.bytes, made.length, &made.index, NULL) == ESP_OK);
    CHECK(esp_index_validate(made.index, NULL) == ESP_OK);
    free(attributes);
    small_free(&plain);
    return made;
}

static void values_are_found_by_text_and_number(void) {
    small_index made = small_with_values();
    esp_text text;
    uint32_t n = 0;
    uint32_t values[2] = {9, 9};
    esp_error err;
    CHECK(esp_attribute_count(made.index) == 2);
    CHECK(esp_attribute_find(made.index, (const uint8_t *)"a:1", 3) == 1);
    CHECK(esp_attribute_find(made.index, (const uint8_t *)"a:", 2) == ESP_NO_VALUE);
    CHECK(esp_attribute_find(made.index, (const uint8_t *)"a:00", 4) == ESP_NO_VALUE);
    CHECK(esp_attribute_text(made.index, 0, &text, &n, NULL) == ESP_OK);
    CHECK(text.length == 3 && memcmp(text.data, "a:0", 3) == 0 && n == SMALL / 4);
    CHECK(esp_attribute_text(made.index, 2, &text, &n, &err) == ESP_E_ARGUMENT);
    CHECK(esp_label_attributes(made.index, 3, values, 2) == 1 && values[0] == 1);
    CHECK(esp_label_attributes(made.index, 3, values, 0) == 1);
    CHECK(esp_label_attributes(made.index, 1, values, 2) == 0);
    CHECK(esp_label_attributes(made.index, SMALL, values, 2) == 0);
    small_free(&made);
}

static void every_source_and_every_pin_obeys_the_filter(void) {
    small_index made = small_with_values();
    esp_scratch *scratch = NULL;
    static esp_suggestion out[100];
    size_t count = 0;
    const uint32_t first = 0;
    const esp_filter filter = {.all_of = &first, .n_all = 1};
    const esp_rule rules[] = {
        {.kind = ESP_RULE_PIN_QUERY, .position = 1, .text = {(const uint8_t *)"aaa", 3}},
        {.kind = ESP_RULE_PIN_QUERY, .position = 1, .text = {(const uint8_t *)"aab", 3}},
        {.kind = ESP_RULE_PIN_QUERY, .position = 1, .text = {(const uint8_t *)"aardvark", 8}},
    };
    esp_overlay *overlay = NULL;
    CHECK(esp_overlay_new(rules, 3, &overlay, NULL) == ESP_OK);
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    for (uint32_t sources = 0; sources < 16; sources++) {
        const esp_query query = {.struct_size = sizeof query,
            .prefix = {(const uint8_t *)"aa", 2},
            .k = 20,
            .sources = sources,
            .flags = ESP_QUERY_KEEP_VARIANTS,
            .overlay = overlay,
            .filter = &filter};
        CHECK(esp_complete(made.index, scratch, &query, out, 100, &count, NULL) == ESP_OK);
        /* 26 pairs begin so, and a fourth of their labels has the value. */
        if (sources == 0 || (sources & ESP_SOURCE_POPULAR) != 0)
            CHECK(count == 13);
        CHECK(count > 0 && out[0].pinned == 1 && out[0].label == 0);
        for (size_t i = 0; i < count; i++)
            CHECK(out[i].label % 4 == 0 && (i == 0 || out[i].pinned == 0));
    }
    const esp_filter open = {.none_of = &first, .n_none = 1};
    const esp_query query = {.struct_size = sizeof query,
        .prefix = {(const uint8_t *)"aa", 2},
        .k = 3,
        .overlay = overlay,
        .filter = &open};
    CHECK(esp_complete(made.index, scratch, &query, out, 100, &count, NULL) == ESP_OK);
    CHECK(count == 3 && out[0].label == 2 && out[1].label == ESP_NO_LABEL && out[1].pinned == 1);
    esp_overlay_free(overlay);
    esp_scratch_free(scratch);
    small_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(labels_come_by_popularity_whatever_the_filter);
    TEST(a_walk_that_leads_nowhere_gives_way_to_reading);
    TEST(values_that_nobody_has_mean_what_they_should);
    TEST(filters_that_cannot_be_used_are_refused);
    TEST(values_are_found_by_text_and_number);
    TEST(every_source_and_every_pin_obeys_the_filter);
    return TEST_END();
}
