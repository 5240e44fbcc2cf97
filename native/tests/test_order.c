/* test_order.c: from candidates to an answer. */
#include "test.h"

#include "small_index.h"

enum { N = 2 * SMALL_PAIRS, ROOM = 512 };

static small_index made;
static esp_scratch *scratch;
static esp_suggestion out[ROOM];
static size_t count;

static void begin(esp_scratch_options caps) {
    made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    caps.struct_size = sizeof caps;
    CHECK(esp_scratch_new(made.index, &caps, &scratch, NULL) == ESP_OK);
}

static void end(void) {
    esp_scratch_free(scratch);
    small_free(&made);
}

static esp_query query_for(const char *prefix, uint32_t k) {
    return (esp_query){.struct_size = sizeof(esp_query),
        .prefix = {(const uint8_t *)prefix, strlen(prefix)},
        .k = k};
}

static void ask(const esp_query *query) {
    CHECK(esp_complete(made.index, scratch, query, out, ROOM, &count, NULL) == ESP_OK);
}

static bool is(size_t i, const char *text) {
    return i < count && out[i].text.length == strlen(text) &&
           memcmp(out[i].text.data, text, strlen(text)) == 0;
}

static esp_overlay *overlay_of(const esp_rule *rules, size_t n) {
    esp_overlay *overlay = NULL;
    CHECK(esp_overlay_new(rules, n, &overlay, NULL) == ESP_OK);
    return overlay;
}

static esp_rule rule(uint32_t kind, const char *text, uint32_t position) {
    return (esp_rule){
        .kind = kind, .position = position, .text = {(const uint8_t *)text, strlen(text)}};
}

/* Users of the small index are few numbers, so many labels are as popular as others. */
static void equal_scores_are_ordered_by_label(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("a", 100);
    query.sources = ESP_SOURCE_POPULAR;
    ask(&query);
    uint32_t ties = 0;
    CHECK(count == 100);
    for (size_t i = 1; i < count; i++) {
        CHECK(out[i - 1].score >= out[i].score);
        if (out[i - 1].score == out[i].score) {
            ties++;
            CHECK(out[i - 1].label < out[i].label);
        }
    }
    CHECK(ties > 20);
    end();
}

static void nothing_typed_and_nothing_known_is_what_is_popular(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("", 30);
    ask(&query);
    uint32_t popular[30];
    size_t n = 0;
    CHECK(esp_popular(made.index, scratch, NULL, 0, popular, 30, &n, NULL) == ESP_OK);
    CHECK(count == 30 && n == 30);
    for (size_t i = 0; i < count; i++)
        CHECK(out[i].label == popular[i] && out[i].source == ESP_SOURCE_POPULAR);
    end();
}

static void the_query_just_submitted_is_not_offered(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("aab", 10);
    ask(&query);
    CHECK(count > 1 && (is(0, "aab") || is(1, "aab")));
    const esp_text previous[2] = {{(const uint8_t *)"aab", 3}, {(const uint8_t *)"aab de", 6}};
    query.previous = previous;
    query.n_previous = 2;
    ask(&query);
    /* The one before it may come again. */
    CHECK(is(0, "aab de") && !is(1, "aab"));
    end();
}

/* Exact ones first, then those one letter away, each with what they match. */
static void corrected_labels_come_last(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("aab d", 10);
    ask(&query);
    CHECK(count > 2 && is(0, "aab de") && out[0].source != ESP_SOURCE_CORRECTED);
    for (size_t i = 1; i < count; i++) {
        CHECK(out[i].source == ESP_SOURCE_CORRECTED);
        CHECK(out[i].matched >= 4 && out[i].matched <= 6);
        CHECK(i == 1 || out[i - 1].score >= out[i].score);
    }
    query.k = 1;
    ask(&query);
    CHECK(count == 1 && is(0, "aab de"));
    query.k = 10;
    query.sources = ESP_SOURCE_MODEL | ESP_SOURCE_POPULAR;
    ask(&query);
    CHECK(count == 1);
    query = query_for("aa1 d", 10); /* nothing begins so */
    ask(&query);
    CHECK(count == 10 && out[0].source == ESP_SOURCE_CORRECTED);
    end();
}

/* Blocked labels take nobody's place, however many stand in front, also where the
 * scratch is small and the tree and the ranking hold a few labels at a time. */
static void blocked_labels_leave_their_place_to_others(void) {
    static char text[N][8];
    static esp_rule rules[N];
    for (uint32_t small = 0; small < 2; small++) {
        begin(small ? (esp_scratch_options){.max_k = 5, .max_pool = 5, .max_beam = 2}
                    : (esp_scratch_options){0});
        uint32_t n = 0;
        for (uint32_t i = 0; i < N; i++) {
            esp_text label;
            esp_text display;
            CHECK(esp_label_text(made.index, i, &label, &display, NULL) == ESP_OK);
            memcpy(text[i], label.data, (size_t)label.length);
            text[i][label.length] = '\0';
            if (i % 80 != 7) /* five are left */
                rules[n++] = rule(ESP_RULE_BLOCK_QUERY, text[i], 0);
        }
        esp_overlay *overlay = overlay_of(rules, n);
        for (uint32_t k = 1; k <= 5; k++) {
            esp_query query = query_for("a", k);
            query.overlay = overlay;
            ask(&query);
            CHECK(count == k);
            for (size_t i = 0; i < count; i++) {
                CHECK(out[i].label % 80 == 7);
                CHECK(i == 0 || out[i - 1].score > out[i].score ||
                      (out[i - 1].score == out[i].score && out[i - 1].label < out[i].label));
            }
        }
        esp_overlay_free(overlay);
        end();
    }
}

static void pins_stand_where_they_are_put(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("aab", 2);
    ask(&query);
    CHECK(count == 2);
    const esp_rule rules[] = {rule(ESP_RULE_PIN_QUERY, "aab zz", 1),
        rule(ESP_RULE_PIN_QUERY, "aab de", 2), rule(ESP_RULE_PIN_QUERY, "aac", 1)};
    esp_overlay *overlay = overlay_of(rules, 3);
    query.overlay = overlay;
    ask(&query);
    CHECK(count == 2 && is(0, "aab zz") && is(1, "aab de"));
    CHECK(out[0].pinned == 1 && out[0].label == ESP_NO_LABEL && out[1].pinned == 1);
    CHECK(out[1].label != ESP_NO_LABEL && out[0].matched == 3);
    query.k = 10;
    ask(&query);
    CHECK(count == 3 && is(2, "aab") && out[2].pinned == 0);
    query = query_for("aab z", 10); /* no label begins so */
    query.overlay = overlay;
    query.sources = ESP_SOURCE_POPULAR;
    ask(&query);
    CHECK(count == 1 && is(0, "aab zz"));
    esp_overlay_free(overlay);
    end();
}

static void boosts_move_labels(void) {
    begin((esp_scratch_options){0});
    esp_query query = query_for("aa", 40);
    ask(&query);
    char last[8] = "";
    memcpy(last, out[39].text.data, (size_t)out[39].text.length);
    esp_rule up = rule(ESP_RULE_BOOST_QUERY, last, 0);
    up.boost = 1e5f;
    esp_overlay *overlay = overlay_of(&up, 1);
    query.overlay = overlay;
    ask(&query);
    CHECK(count == 40 && is(0, last));
    esp_overlay_free(overlay);
    end();
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(equal_scores_are_ordered_by_label);
    TEST(nothing_typed_and_nothing_known_is_what_is_popular);
    TEST(the_query_just_submitted_is_not_offered);
    TEST(corrected_labels_come_last);
    TEST(blocked_labels_leave_their_place_to_others);
    TEST(pins_stand_where_they_are_put);
    TEST(boosts_move_labels);
    return TEST_END();
}
