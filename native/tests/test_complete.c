/* test_complete.c: the query path on a small index. */
#include "test.h"

#include "small_index.h"

#include <math.h>

enum { N = 2 * SMALL_PAIRS, ROOM = 512 };

static esp_suggestion out[ROOM];
static size_t count;

static esp_query query_for(const char *prefix, uint32_t k) {
    return (esp_query){.struct_size = sizeof(esp_query),
        .prefix = {(const uint8_t *)prefix, strlen(prefix)},
        .k = k};
}

static esp_scratch *scratch_with(const esp_index *index, esp_scratch_options caps) {
    esp_scratch *scratch = NULL;
    caps.struct_size = sizeof caps;
    CHECK(esp_scratch_new(index, &caps, &scratch, NULL) == ESP_OK);
    return scratch;
}

static void k_labels_under_the_prefix_come_back_in_order(void) {
    static const char *const prefixes[] = {"", "a", "aa", "aab", "aab ", "aab de", "ab"};
    small_index made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    esp_scratch *scratch = scratch_with(made.index, (esp_scratch_options){0});
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++)
        for (uint32_t k = 1; k <= 100; k += 33)
            for (uint32_t matcher = 0; matcher <= ESP_MATCH_UNCONSTRAINED; matcher++) {
                esp_query query = query_for(prefixes[p], k);
                query.matcher = matcher;
                query.sources = ESP_SOURCE_MODEL | ESP_SOURCE_POPULAR;
                uint32_t lo = 0;
                uint32_t hi = 0;
                CHECK(esp_prefix_range(made.index, query.prefix.data, query.prefix.length, &lo, &hi,
                          NULL) == ESP_OK);
                CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
                CHECK(count == esp_min_u32(k, hi - lo));
                for (size_t i = 0; i < count; i++) {
                    CHECK(out[i].label >= lo && out[i].label < hi);
                    CHECK(i == 0 || out[i - 1].score > out[i].score ||
                          (out[i - 1].score == out[i].score && out[i - 1].label < out[i].label));
                    CHECK(out[i].popularity >= 0 && out[i].popularity <= 1);
                }
                esp_work work;
                esp_scratch_get_work(scratch, &work);
                CHECK(work.range_labels == hi - lo && work.candidates >= count);
                CHECK(esp_scratch_get_candidates(scratch, NULL, 0) == work.candidates);
            }
    esp_query none = query_for("zz", 10);
    CHECK(esp_complete(made.index, scratch, &none, out, ROOM, &count, NULL) == ESP_OK);
    CHECK(count == 0);
    esp_scratch_free(scratch);
    small_free(&made);
}

static void displays_and_users_come_back(void) {
    small_index made = small_make(SMALL_PAIRS, ESP_POST_NOOP, 32);
    esp_text text;
    esp_text display;
    CHECK(esp_label_text(made.index, 1, &text, &display, NULL) == ESP_OK);
    CHECK(text.length == 6 && memcmp(text.data, "aaa de", 6) == 0);
    CHECK(display.length == 6 && memcmp(display.data, "AAA De", 6) == 0);
    CHECK(esp_label_text(made.index, 2, &text, &display, NULL) == ESP_OK);
    CHECK(display.data == text.data && text.length == 3);
    CHECK(esp_label_text(made.index, N, &text, &display, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_label_users(made.index, N) == 0);
    small_free(&made);
}

/* Heaps and candidate lists must hold what the largest query may ask, also
 * where k is the larger cap. */
static void any_caps_hold_the_largest_query(void) {
    small_index made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    const uint32_t caps[][3] = {
        {300, 1, 1}, {1, 300, 1}, {1, 1, 300}, {ROOM, 2, 3}, {ROOM, 400, 400}, {1, 1, 1}};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        esp_scratch *scratch = scratch_with(
            made.index, (esp_scratch_options){
                            .max_k = caps[i][0], .max_beam = caps[i][1], .max_pool = caps[i][2]});
        esp_query query = query_for("a", caps[i][0]);
        query.beam = caps[i][1];
        query.pool = caps[i][2];
        CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
        CHECK(count == esp_min_u32(N, caps[i][0]));
        query.matcher = ESP_MATCH_UNCONSTRAINED;
        CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
        CHECK(count == esp_min_u32(N, caps[i][0]));
        esp_scratch_free(scratch);
    }
    small_free(&made);
}

/* max_children of an index without a model is nobody's business. */
static void an_index_without_model_needs_no_room_for_one(void) {
    small_index made = small_make(4, ESP_POST_NOOP, 16);
    esp_params params;
    uint64_t length = 0;
    memcpy(&params, esp_index_section(made.index, ESP_SEC_PARM, &length), sizeof params);
    params.n_nodes = 0;
    params.max_children = UINT32_MAX;
    small_part parts[SMALL_SECTIONS];
    esp_index_info info;
    esp_index_get_info(made.index, &info);
    for (uint32_t i = 0; i < info.n_sections; i++) {
        esp_section_info section;
        CHECK(esp_index_get_section(made.index, i, &section, NULL) == ESP_OK);
        parts[i] = (small_part){section.id, made.bytes + section.offset, section.length};
        if (section.id == ESP_SEC_PARM)
            parts[i].data = &params;
    }
    small_index changed = small_assemble(parts, info.n_sections);
    CHECK(esp_index_open_memory(changed.bytes, changed.length, &changed.index, NULL) == ESP_OK);
    esp_scratch *scratch = scratch_with(changed.index, (esp_scratch_options){0});
    esp_query query = query_for("a", 5);
    CHECK(esp_complete(changed.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
    CHECK(count == 5 && out[0].source == ESP_SOURCE_POPULAR);
    esp_scratch_free(scratch);
    small_free(&changed);
    small_free(&made);
}

static void sources_are_kept_apart(void) {
    small_index made = small_make(SMALL_PAIRS, ESP_POST_L1_HINGE, 32);
    esp_scratch *scratch = scratch_with(made.index, (esp_scratch_options){0});
    esp_query query = query_for("a", 20);
    query.sources = ESP_SOURCE_POPULAR;
    CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
    uint32_t popular[20];
    size_t n_popular = 0;
    CHECK(esp_popular(made.index, scratch, (const uint8_t *)"a", 1, popular, 20, &n_popular,
              NULL) == ESP_OK);
    CHECK(count == 20 && n_popular == 20);
    for (size_t i = 0; i < 20; i++)
        CHECK(out[i].label == popular[i] && out[i].source == ESP_SOURCE_POPULAR);
    query.sources = ESP_SOURCE_MODEL;
    CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
    for (size_t i = 0; i < count; i++)
        CHECK(out[i].source == ESP_SOURCE_MODEL && out[i].score == out[i].model);
    query.sources = ESP_SOURCE_TAIL;
    CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == ESP_OK);
    CHECK(count == 0);
    CHECK(esp_popular(made.index, scratch, (const uint8_t *)"a", 1, popular, 1u << 20, &n_popular,
              NULL) == ESP_E_LIMIT);
    esp_scratch_free(scratch);
    small_free(&made);
}

static void bad_queries_are_refused(void) {
    small_index made = small_make(4, ESP_POST_L3_HINGE, 16);
    esp_scratch *scratch = scratch_with(made.index, (esp_scratch_options){.max_k = 5,
                                                        .max_beam = 6,
                                                        .max_pool = 7,
                                                        .max_prefix_bytes = 8,
                                                        .max_context_bytes = 9,
                                                        .max_previous = 2});
    const esp_text previous[3] = {{(const uint8_t *)"red", 3}, {(const uint8_t *)"green", 5},
        {(const uint8_t *)"\xED\xA0\x80", 3}};
    esp_query query = query_for("a", 3);
#define REFUSED(status)                                                                    \
    CHECK(esp_complete(made.index, scratch, &query, out, ROOM, &count, NULL) == (status)); \
    query = query_for("a", 3)
    query.struct_size--;
    REFUSED(ESP_E_ARGUMENT);
    query.k = 6;
    REFUSED(ESP_E_LIMIT);
    query.beam = 7;
    REFUSED(ESP_E_LIMIT);
    query.pool = 8;
    REFUSED(ESP_E_LIMIT);
    query.matcher = 3;
    REFUSED(ESP_E_ARGUMENT);
    query.prefix = (esp_text){(const uint8_t *)"123456789", 9};
    REFUSED(ESP_E_LIMIT);
    query.prefix = (esp_text){(const uint8_t *)"a\xFF", 2};
    REFUSED(ESP_E_UTF8);
    query.prefix = (esp_text){NULL, 1};
    REFUSED(ESP_E_ARGUMENT);
    query.n_previous = 1;
    REFUSED(ESP_E_ARGUMENT);
    query.previous = previous;
    query.n_previous = 3;
    REFUSED(ESP_E_LIMIT);
    query.previous = previous + 1;
    query.n_previous = 2;
    REFUSED(ESP_E_UTF8);
    query.previous = (const esp_text[]){{(const uint8_t *)"0123456789", 10}};
    query.n_previous = 1;
    REFUSED(ESP_E_LIMIT);
    query.prefix = (esp_text){NULL, 0};
    REFUSED(ESP_OK);
#undef REFUSED
    CHECK(esp_complete(made.index, scratch, &query, out, 2, &count, NULL) == ESP_E_LIMIT);
    esp_scratch_options caps = {.struct_size = 1};
    esp_scratch *refused = NULL;
    CHECK(esp_scratch_new(made.index, &caps, &refused, NULL) == ESP_E_ARGUMENT);
    caps = (esp_scratch_options){.struct_size = sizeof caps, .max_pool = UINT32_MAX};
    CHECK(esp_scratch_new(made.index, &caps, &refused, NULL) == ESP_E_ARGUMENT);
    CHECK(refused == NULL);
    esp_scratch_free(scratch);
    esp_scratch_free(NULL);
    small_free(&made);
}

/* A product of sigmoids or hinges never exceeds its factors; noop is a margin. */
static void predictions_are_within_the_range_of_their_transform(void) {
    static const uint32_t posts[] = {ESP_POST_NOOP, ESP_POST_SIGMOID, ESP_POST_LOG_SIGMOID,
        ESP_POST_L1_HINGE, ESP_POST_L2_HINGE, ESP_POST_L3_HINGE, ESP_POST_LOG_L1_HINGE,
        ESP_POST_LOG_L2_HINGE, ESP_POST_LOG_L3_HINGE};
    for (size_t p = 0; p < sizeof posts / sizeof *posts; p++) {
        small_index made = small_make(SMALL_PAIRS, posts[p], 32);
        esp_index_info info;
        esp_index_get_info(made.index, &info);
        esp_scratch *scratch = scratch_with(made.index, (esp_scratch_options){0});
        const uint64_t row_ptr[3] = {0, 2, 2};
        const uint32_t col[2] = {1, 5};
        const float val[2] = {0.5f, -1.5f};
        const esp_csr x = {row_ptr, col, val, 2, info.n_features};
        uint32_t labels[N];
        float scores[N];
        for (uint32_t row = 0; row < 2; row++) {
            CHECK(esp_predict(made.index, scratch, &x, row, 100, N, labels, scores, &count, NULL) ==
                  ESP_OK);
            CHECK(count == N);
            for (size_t i = 0; i < count; i++) {
                CHECK(i == 0 || scores[i - 1] >= scores[i]);
                CHECK(isfinite(scores[i]));
                if (posts[p] == ESP_POST_LOG_SIGMOID || posts[p] >= ESP_POST_LOG_L1_HINGE)
                    CHECK(scores[i] <= 0);
                else if (posts[p] != ESP_POST_NOOP)
                    CHECK(scores[i] >= 0 && scores[i] <= 1);
            }
        }
        CHECK(esp_predict(made.index, scratch, &x, 2, 1, 1, labels, scores, &count, NULL) ==
              ESP_E_ARGUMENT);
        CHECK(esp_predict(made.index, scratch, &x, 0, 0, 1, labels, scores, &count, NULL) ==
              ESP_E_LIMIT);
        const esp_csr wrong = {row_ptr, col, val, 2, info.n_features + 1};
        CHECK(esp_predict(made.index, scratch, &wrong, 0, 1, 1, labels, scores, &count, NULL) ==
              ESP_E_ARGUMENT);
        const uint32_t beyond[2] = {1, UINT32_MAX};
        const esp_csr outside = {row_ptr, beyond, val, 2, info.n_features};
        CHECK(esp_predict(made.index, scratch, &outside, 0, 1, 1, labels, scores, &count, NULL) ==
              ESP_E_ARGUMENT);
        esp_scratch_free(scratch);
        small_free(&made);
    }
}

/* Random rows, empty ones too, in one batch and one by one: equal to the bit. */
static void a_batch_gives_what_its_rows_give(void) {
    enum { ROWS = 1500, MOST = 30 };
    static const uint32_t posts[] = {ESP_POST_NOOP, ESP_POST_SIGMOID, ESP_POST_L3_HINGE};
    static uint64_t row_ptr[ROWS + 1];
    static uint32_t col[ROWS * MOST];
    static float val[ROWS * MOST];
    static uint32_t labels[ROWS * 40];
    static float scores[ROWS * 40];
    static uint32_t counts[ROWS];
    for (uint32_t p = 0; p < 3; p++) {
        small_index made = small_make(SMALL_PAIRS, posts[p], p == 0 ? 32 : 16);
        esp_index_info info;
        esp_index_get_info(made.index, &info);
        uint64_t random = p;
        uint64_t n = 0;
        for (uint32_t r = 0; r < ROWS; r++) {
            const uint32_t most = small_draw(&random, MOST);
            for (uint32_t i = 0, f = small_draw(&random, 5); i < most && f < info.n_features; i++) {
                col[n] = f;
                val[n++] = (float)small_draw(&random, 200) / 100 - 1;
                f += 1 + small_draw(&random, 9);
            }
            row_ptr[r + 1] = n;
        }
        const esp_csr x = {row_ptr, col, val, ROWS, info.n_features};
        esp_scratch *scratch = scratch_with(made.index, (esp_scratch_options){0});
        for (uint32_t round = 0; round < 12; round++) {
            const uint32_t begin = round == 0 ? 0 : small_draw(&random, ROWS);
            const uint32_t end = round == 0 ? ROWS : begin + small_draw(&random, ROWS + 1 - begin);
            const uint32_t beam = 1 + small_draw(&random, 5);
            const uint32_t k = 1 + small_draw(&random, 40);
            CHECK(esp_predict_batch(made.index, scratch, &x, begin, end, beam, k, labels, scores,
                      counts, NULL) == ESP_OK);
            for (uint32_t r = begin; r < end; r++) {
                uint32_t label[40];
                float score[40];
                CHECK(esp_predict(made.index, scratch, &x, r, beam, k, label, score, &count,
                          NULL) == ESP_OK);
                CHECK(counts[r - begin] == count);
                CHECK(memcmp(label, labels + (size_t)(r - begin) * k, count * sizeof *label) == 0);
                CHECK(memcmp(score, scores + (size_t)(r - begin) * k, count * sizeof *score) == 0);
            }
        }
#define BATCH(x, begin, end, beam, k) \
    esp_predict_batch(made.index, scratch, x, begin, end, beam, k, labels, scores, counts, NULL)
        CHECK(BATCH(&x, 2, 1, 1, 1) == ESP_E_ARGUMENT);
        CHECK(BATCH(&x, 0, ROWS + 1, 1, 1) == ESP_E_ARGUMENT);
        CHECK(BATCH(&x, 0, 1, 0, 1) == ESP_E_LIMIT);
        CHECK(BATCH(&x, 0, 1, 1, UINT32_MAX) == ESP_E_LIMIT);
        const esp_csr wrong = {row_ptr, col, val, ROWS, info.n_features + 1};
        CHECK(BATCH(&wrong, 0, 1, 1, 1) == ESP_E_ARGUMENT);
        const uint64_t falling[3] = {2, 1, 1};
        const esp_csr unsorted = {falling, col, val, 2, info.n_features};
        CHECK(BATCH(&unsorted, 0, 2, 1, 1) == ESP_E_LIMIT);
        const uint64_t one[2] = {0, 1};
        const uint32_t beyond[1] = {UINT32_MAX};
        const esp_csr outside = {one, beyond, val, 1, info.n_features};
        CHECK(BATCH(&outside, 0, 1, 1, 1) == ESP_E_ARGUMENT);
#undef BATCH
        esp_scratch_free(scratch);
        small_free(&made);
    }
}

/* No answer depends on what a scratch was used for before. */
static void answers_do_not_depend_on_history(void) {
    small_index made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    esp_scratch *used = scratch_with(made.index, (esp_scratch_options){0});
    static esp_suggestion again[ROOM];
    uint64_t random = 3;
    for (int i = 0; i < 300; i++) {
        char prefix[4] = {(char)('a'), (char)('a' + small_draw(&random, 8)),
            (char)('a' + small_draw(&random, 26)), '\0'};
        prefix[small_draw(&random, 4)] = '\0';
        esp_query query = query_for(prefix, 1 + small_draw(&random, 30));
        query.beam = 1 + small_draw(&random, 12);
        query.matcher = small_draw(&random, 3);
        size_t n = 0;
        esp_scratch *fresh = scratch_with(made.index, (esp_scratch_options){0});
        CHECK(esp_complete(made.index, used, &query, out, ROOM, &count, NULL) == ESP_OK);
        CHECK(esp_complete(made.index, fresh, &query, again, ROOM, &n, NULL) == ESP_OK);
        CHECK(n == count);
        for (size_t s = 0; s < n; s++)
            CHECK(out[s].label == again[s].label && out[s].score == again[s].score);
        esp_scratch_free(fresh);
    }
    esp_scratch_free(used);
    small_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(k_labels_under_the_prefix_come_back_in_order);
    TEST(displays_and_users_come_back);
    TEST(any_caps_hold_the_largest_query);
    TEST(an_index_without_model_needs_no_room_for_one);
    TEST(sources_are_kept_apart);
    TEST(bad_queries_are_refused);
    TEST(predictions_are_within_the_range_of_their_transform);
    TEST(a_batch_gives_what_its_rows_give);
    TEST(answers_do_not_depend_on_history);
    return TEST_END();
}
