/* test_fuzzy.c: corrected prefixes against the distance of every beginning of
 * every label; limits; damaged indexes. */
#include "test.h"

#include "../src/fuzzy.h"
#include "../src/maxima.h"
#include "../src/utf8.h"
#include "small_index.h"

enum { MOST = 2000, LONGEST = 96, POINTS = 100, CAP = 1024 };

typedef struct text {
    uint8_t data[LONGEST];
    uint32_t length;
} text;

/* An index of nothing but labels, in memory that a test may damage. */
typedef struct fixture {
    text texts[MOST];
    uint32_t n;
    uint8_t blob[MOST * LONGEST];
    uint32_t offsets[MOST + 1];
    uint32_t users[MOST];
    uint8_t *trie;
    uint8_t *maxima;
    esp_params params;
    esp_index index;
} fixture;

static fixture fix;
static esp_fuzzy fuzzy;
static esp_fuzzy_match out[CAP];

/* What labels are made of: one to four bytes, with common first bytes. */
static const uint32_t alphabets[][6] = {
    {'a', 'b', 'c', 'a', 'b', 'c'},
    {'a', 'b', ' ', 0xE4, 0xDF, 0xFC},        /* German */
    {0x627, 0x628, 0x644, 0x6A9, 0x6CC, ' '}, /* Arabic */
    {0x3042, 0x3043, 0x30C6, 0x30C8, 0x6771, 0x4EAC} /* Japanese */,
    {0x1F45F, 0x1F460, 0x1F600, 'a', 0x2615, 0xE9}, /* emoji */
};
enum { ALPHABETS = sizeof alphabets / sizeof *alphabets };

static uint32_t draw(uint64_t *seed, uint32_t n) {
    return (uint32_t)(esp_random_next(seed) >> 40) % n;
}

static int compare(const void *a, const void *b) {
    const text *x = a;
    const text *y = b;
    const int order = memcmp(x->data, y->data, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static void add_points(text *t, const uint32_t *alphabet, uint32_t n, uint64_t *seed) {
    while (n-- > 0 && t->length + 4 <= LONGEST)
        t->length += esp_utf8_encode(alphabet[draw(seed, 6)], t->data + t->length);
}

/* Sorts and indexes fix.texts[0..n). */
static void build(uint32_t n, uint64_t *seed) {
    qsort(fix.texts, n, sizeof *fix.texts, compare);
    uint64_t starts[MOST + 1];
    uint32_t at = 0;
    fix.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (fix.n > 0 && compare(&fix.texts[fix.n - 1], &fix.texts[i]) == 0)
            continue;
        fix.texts[fix.n] = fix.texts[i];
        memcpy(fix.blob + at, fix.texts[i].data, fix.texts[i].length);
        fix.offsets[fix.n] = at;
        starts[fix.n] = at;
        fix.users[fix.n] = draw(seed, 20);
        at += fix.texts[fix.n++].length;
    }
    fix.offsets[fix.n] = at;
    starts[fix.n] = at;
    size_t bytes = 0;
    size_t maxima_bytes = 0;
    CHECK(esp_trie_build(fix.blob, starts, fix.n, &fix.trie, &bytes, NULL) == ESP_OK);
    CHECK(esp_maxima_build(fix.users, fix.n, &fix.maxima, &maxima_bytes, NULL) == ESP_OK);
    fix.params = (esp_params){.n_labels = fix.n};
    fix.index = (esp_index){.params = &fix.params,
        .label_offset = fix.offsets,
        .label_text = {fix.blob, at},
        .trie = (const void *)fix.trie,
        .n_trie = (uint32_t)(bytes / sizeof(esp_trie_node)),
        .users = fix.users,
        .maxima = (const void *)fix.maxima};
}

static void tear_down(void) {
    esp_buffer_free(fix.trie);
    esp_buffer_free(fix.maxima);
    fix.trie = fix.maxima = NULL;
}

static void random_labels(
    uint32_t n, uint32_t shared, uint32_t longest, uint32_t kind, uint64_t *seed) {
    text stem = {.length = 0};
    add_points(&stem, alphabets[kind], shared, seed);
    for (uint32_t i = 0; i < n; i++) {
        fix.texts[i] = stem;
        add_points(&fix.texts[i], alphabets[kind], 1 + draw(seed, longest), seed);
    }
    build(n, seed);
}

/* ---- the twin ------------------------------------------------------------- */

static uint32_t points_of(const uint8_t *data, uint32_t length, uint32_t *points) {
    uint32_t n = 0;
    for (uint32_t at = 0; at < length; n++)
        at += esp_utf8_step(data + at, length - at, &points[n]);
    return n;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment of every beginning of `label` with `prefix`:
 * distance[i] is that of its first i code points. */
static void distances(
    const uint32_t *label, uint32_t n, const uint32_t *prefix, uint32_t m, uint32_t *distance) {
    static uint32_t d[POINTS + 1][POINTS + 1];
    for (uint32_t i = 0; i <= n; i++)
        for (uint32_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = d[i - 1][j - 1] + (label[i - 1] != prefix[j - 1]);
            d[i][j] = least(d[i][j], least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && label[i - 1] == prefix[j - 2] && label[i - 2] == prefix[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    for (uint32_t i = 0; i <= n; i++)
        distance[i] = d[i][m];
}

/* Least distance of the label's beginnings; POINTS if the first code point differs. */
static uint32_t twin(uint32_t label, const uint32_t *prefix, uint32_t m, uint32_t *distance) {
    uint32_t points[POINTS];
    const uint32_t n = points_of(fix.texts[label].data, fix.texts[label].length, points);
    if (n == 0 || m == 0 || points[0] != prefix[0])
        return POINTS;
    distances(points, n, prefix, m, distance);
    uint32_t best = POINTS;
    for (uint32_t i = 1; i <= n; i++)
        best = least(best, distance[i]);
    return best;
}

static uint32_t most_users(uint32_t lo, uint32_t hi) {
    uint32_t most = 0;
    for (uint32_t i = lo; i < hi; i++)
        most = fix.users[i] > most ? fix.users[i] : most;
    return most;
}

/* Every range is right, and every label within `most` errors is in one, if
 * `all`. */
static void check_matches(
    const uint8_t *prefix, uint32_t length, uint32_t most, uint32_t n, bool all) {
    static uint8_t in[MOST];
    uint32_t points[POINTS];
    uint32_t distance[POINTS + 1];
    const uint32_t m = points_of(prefix, length, points);
    memset(in, 0, sizeof in);
    for (uint32_t k = 0; k < n; k++) {
        const esp_fuzzy_match *match = &out[k];
        CHECK(match->lo < match->hi && match->hi <= fix.n);
        CHECK(match->distance >= 1 && match->distance <= most);
        CHECK(match->popularity == most_users(match->lo, match->hi));
        if (k > 0) {
            const esp_fuzzy_match *before = match - 1;
            CHECK(before->distance < match->distance ||
                  (before->distance == match->distance &&
                      (before->popularity > match->popularity ||
                          (before->popularity == match->popularity && before->lo < match->lo))));
        }
        for (uint32_t i = match->lo; i < match->hi && i < fix.n; i++) {
            CHECK(in[i] == 0);
            in[i] = 1;
            CHECK(twin(i, points, m, distance) == match->distance);
            CHECK(match->length <= fix.texts[i].length &&
                  memcmp(fix.texts[i].data, fix.texts[match->lo].data, match->length) == 0);
            uint32_t begins[POINTS];
            const uint32_t count = points_of(fix.texts[i].data, match->length, begins);
            CHECK(distance[count] == match->distance);
        }
    }
    for (uint32_t i = 0; all && i < fix.n; i++) {
        const uint32_t expected = twin(i, points, m, distance);
        CHECK((in[i] == 1) == (expected >= 1 && expected <= most));
    }
}

static uint32_t mistype(text *t, const uint32_t *alphabet, uint64_t *seed) {
    uint32_t points[POINTS];
    uint32_t n = points_of(t->data, t->length, points);
    for (uint32_t edits = draw(seed, 4); edits > 0 && n > 2; edits--) {
        const uint32_t at = 1 + draw(seed, n - 1);
        const uint32_t kind = draw(seed, 4);
        if (kind == 0) {
            memmove(points + at, points + at + 1, (n - at - 1) * sizeof *points);
            n--;
        } else if (kind == 1) {
            points[at] = alphabet[draw(seed, 6)];
        } else if (kind == 2 && at + 1 < n) {
            const uint32_t kept = points[at];
            points[at] = points[at + 1];
            points[at + 1] = kept;
        } else if (n < LONGEST / 4) {
            memmove(points + at + 1, points + at, (n - at) * sizeof *points);
            points[at] = alphabet[draw(seed, 6)];
            n++;
        }
    }
    t->length = 0;
    for (uint32_t i = 0; i < n && t->length + 4 <= LONGEST; i++)
        t->length += esp_utf8_encode(points[i], t->data + t->length);
    return t->length;
}

static uint32_t find(const text *prefix, uint32_t most, uint32_t nodes, uint32_t cap) {
    uint32_t visited = 0;
    const uint32_t n = esp_fuzzy_find(
        &fix.index, &fuzzy, prefix->data, prefix->length, most, nodes, out, cap, &visited);
    CHECK(n <= cap);
    CHECK(visited <= nodes || visited - nodes < 64);
    return n;
}

static text mistyped_label(uint32_t kind, uint64_t *seed) {
    text prefix = fix.texts[draw(seed, fix.n)];
    uint32_t points[POINTS];
    const uint32_t n = points_of(prefix.data, prefix.length, points);
    const uint32_t keep = 1 + draw(seed, n);
    prefix.length = 0;
    for (uint32_t i = 0; i < keep; i++)
        prefix.length += esp_utf8_encode(points[i], prefix.data + prefix.length);
    mistype(&prefix, alphabets[kind], seed);
    return prefix;
}

/* ---- tests ---------------------------------------------------------------- */

static void ranges_are_those_of_the_distances(void) {
    static const uint32_t shapes[][3] = {/* labels, shared, longest */
        {1, 0, 8}, {16, 0, 9}, {17, 0, 9}, {300, 0, 5}, {MOST, 0, 9}, {200, 5, 12}, {30, 14, 6}};
    uint64_t seed = 1;
    for (uint32_t kind = 0; kind < ALPHABETS; kind++)
        for (uint32_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            random_labels(shapes[s][0], shapes[s][1], shapes[s][2], kind, &seed);
            for (uint32_t i = 0; i < 40; i++) {
                const text prefix = mistyped_label(kind, &seed);
                for (uint32_t most = 1; most <= 2; most++)
                    check_matches(prefix.data, prefix.length, most,
                        find(&prefix, most, UINT32_MAX, CAP), true);
            }
            tear_down();
        }
}

static void a_limit_on_nodes_finds_some_of_them(void) {
    uint64_t seed = 2;
    random_labels(MOST, 0, 12, 1, &seed);
    uint32_t found[2] = {0, 0};
    for (uint32_t i = 0; i < 100; i++) {
        const text prefix = mistyped_label(1, &seed);
        for (uint32_t nodes = 0; nodes < 400; nodes = 2 * nodes + 1) {
            const uint32_t n = find(&prefix, 2, nodes, CAP);
            check_matches(prefix.data, prefix.length, 2, n, false);
            found[0] += n;
            CHECK(nodes > 0 || n == 0);
        }
        found[1] += find(&prefix, 2, UINT32_MAX, CAP);
    }
    CHECK(found[0] > 0 && found[1] > 0);
    tear_down();
}

/* Fewer ranges asked for are the first of those. */
static void a_cap_keeps_the_best(void) {
    static esp_fuzzy_match all[CAP];
    uint64_t seed = 3;
    random_labels(MOST, 0, 10, 0, &seed);
    for (uint32_t i = 0; i < 60; i++) {
        const text prefix = mistyped_label(0, &seed);
        const uint32_t n = find(&prefix, 2, UINT32_MAX, CAP);
        memcpy(all, out, sizeof all);
        for (uint32_t cap = 0; cap <= n; cap = 2 * cap + 1) {
            CHECK(find(&prefix, 2, UINT32_MAX, cap) == cap);
            for (uint32_t k = 0; k < cap; k++)
                CHECK(out[k].lo == all[k].lo && out[k].hi == all[k].hi &&
                      out[k].distance == all[k].distance && out[k].length == all[k].length);
        }
    }
    tear_down();
}

static void put(uint32_t i, const char *label) {
    fix.texts[i].length = (uint32_t)strlen(label);
    memcpy(fix.texts[i].data, label, fix.texts[i].length);
}

static text typed(const char *prefix) {
    text t = {.length = (uint32_t)strlen(prefix)};
    memcpy(t.data, prefix, t.length);
    return t;
}

static void a_closer_range_is_cut_out_of_the_one_around_it(void) {
    uint64_t seed = 4;
    put(0, "abcdefgh x"); /* starts with what was typed */
    put(1, "abcdefg");    /* one letter missing */
    put(2, "abcdefgz");   /* one letter wrong */
    put(3, "abcdef");     /* two missing */
    put(4, "abcdefzz");   /* the same beginning */
    put(5, "abcdzzzz");   /* too far */
    put(6, "zbcdefgh");   /* wrong from the start */
    build(7, &seed);
    const text prefix = typed("abcdefgh");
    CHECK(find(&prefix, 2, UINT32_MAX, CAP) == 4);
    /* sorted: abcdef, abcdefg, abcdefgh x, abcdefgz, abcdefzz, ... */
    for (uint32_t k = 0; k < 4; k++) {
        const bool near = out[k].lo == 1 || out[k].lo == 3;
        CHECK(out[k].distance == (near ? 1 : 2) && out[k].hi == out[k].lo + 1);
        CHECK(out[k].length == (out[k].lo == 0 ? 6 : out[k].lo == 1 ? 7 : 8));
    }
    check_matches(prefix.data, prefix.length, 2, 4, true);
    CHECK(find(&prefix, 1, UINT32_MAX, CAP) == 2);
    CHECK(find(&prefix, 9, UINT32_MAX, CAP) == 4); /* more than is ever corrected */
    CHECK(find(&prefix, 0, UINT32_MAX, CAP) == 0);
    tear_down();
}

static void each_kind_of_error_costs_one(void) {
    uint64_t seed = 5;
    put(0, "nike shoes");
    put(1, "sandals");
    build(2, &seed);
    static const char *const wrong[] = {"nke s", "niike s", "nuke s", "nkie s", "nike hs"};
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const text prefix = typed(wrong[i]);
        CHECK(find(&prefix, 1, UINT32_MAX, CAP) == 1);
        CHECK(out[0].lo == 0 && out[0].hi == 1 && out[0].distance == 1);
    }
    const text twice = typed("nkei s"); /* a swap may not be edited again */
    CHECK(find(&twice, 1, UINT32_MAX, CAP) == 0);
    CHECK(find(&twice, 2, UINT32_MAX, CAP) == 1 && out[0].distance == 2);
    const text start = typed("mike shoes");
    CHECK(find(&start, 2, UINT32_MAX, CAP) == 0);
    tear_down();
}

static void only_prefixes_of_some_length_are_worth_correcting(void) {
    const struct {
        const char *text;
        uint32_t distance;
    } cases[] = {{"", 0}, {"abc", 0}, {"abcd", 1}, {"abcdefg", 1}, {"abcdefgh", 2},
        {"\xC3\xA4\xC3\xA4\xC3\xA4", 0}, {"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", 1},
        {"\xE6\x9D\xB1\xE4\xBA\xAC", 0}, {"abcd\xFF", 0}, {"abcd\xC3", 0}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(esp_fuzzy_distance((const uint8_t *)cases[i].text, strlen(cases[i].text)) ==
              cases[i].distance);
    uint8_t longest[ESP_FUZZY_POINTS + 1];
    memset(longest, 'a', sizeof longest);
    CHECK(esp_fuzzy_distance(longest, ESP_FUZZY_POINTS) == 2);
    CHECK(esp_fuzzy_distance(longest, ESP_FUZZY_POINTS + 1) == 0);
}

static void prefixes_at_the_edges_have_an_answer(void) {
    uint64_t seed = 6;
    for (uint32_t i = 0; i < 40; i++) {
        fix.texts[i] = (text){.length = ESP_FUZZY_POINTS + 4 + i % 3};
        memset(fix.texts[i].data, 'a', fix.texts[i].length);
        fix.texts[i].data[20 + i] = 'b';
    }
    build(40, &seed);
    text prefix = {.length = ESP_FUZZY_POINTS};
    memset(prefix.data, 'a', sizeof prefix.data);
    prefix.data[40] = 'c';
    const uint32_t n = find(&prefix, 2, UINT32_MAX, CAP);
    CHECK(n > 0);
    check_matches(prefix.data, prefix.length, 2, n, true);
    prefix.length++;
    CHECK(find(&prefix, 2, UINT32_MAX, CAP) == 0); /* longer than is corrected */
    prefix.length = 0;
    CHECK(find(&prefix, 2, UINT32_MAX, CAP) == 0);
    prefix.length = 1;
    CHECK(find(&prefix, 2, UINT32_MAX, CAP) == 0); /* every label starts with it */
    prefix.data[3] = 0xFF;
    prefix.length = 6;
    CHECK(find(&prefix, 2, UINT32_MAX, CAP) == 0); /* not UTF-8 */
    tear_down();
    uint32_t visited = 1;
    const esp_params none = {0};
    const esp_index empty = {.params = &none};
    CHECK(
        esp_fuzzy_find(&empty, &fuzzy, (const uint8_t *)"abcd", 4, 1, 99, out, CAP, &visited) == 0);
    CHECK(visited == 0);
}

/* Words have no trie and no popularity. */
static void words_are_found_without_a_trie(void) {
    static esp_fuzzy_match labels[CAP];
    uint64_t seed = 7;
    for (uint32_t kind = 0; kind < ALPHABETS; kind++) {
        random_labels(MOST, 0, 9, kind, &seed);
        memset(fix.users, 0, sizeof fix.users);
        const esp_words words = {.offset = fix.offsets,
            .text = fix.blob,
            .text_bytes = fix.offsets[fix.n],
            .n_words = fix.n};
        for (uint32_t i = 0; i < 30; i++) {
            const text prefix = mistyped_label(kind, &seed);
            const uint32_t n = find(&prefix, 2, UINT32_MAX, CAP);
            memcpy(labels, out, sizeof labels);
            uint32_t visited = 0;
            CHECK(n == esp_fuzzy_words(&words, &fuzzy, prefix.data, prefix.length, 2, UINT32_MAX,
                           out, CAP, &visited));
            for (uint32_t k = 0; k < n; k++)
                CHECK(out[k].lo == labels[k].lo && out[k].hi == labels[k].hi &&
                      out[k].distance == labels[k].distance && out[k].length == labels[k].length &&
                      out[k].popularity == 0);
        }
        tear_down();
    }
}

/* Whatever the sections say, a search ends, stays inside (the sanitizers watch),
 * and names labels that exist. */
static void damaged_indexes_are_survived(void) {
    uint64_t seed = 8;
    for (uint32_t round = 0; round < 400; round++) {
        const uint32_t kind = round % ALPHABETS;
        random_labels(1 + draw(&seed, 600), 0, 10, kind, &seed);
        esp_trie_node *nodes = (void *)fix.trie;
        for (uint32_t hits = 1 + draw(&seed, 8); hits > 0; hits--) {
            esp_trie_node *node = &nodes[draw(&seed, fix.index.n_trie)];
            const uint32_t value = draw(&seed, 3) == 0 ? UINT32_MAX : draw(&seed, fix.n + 2);
            switch (draw(&seed, 7)) {
            case 0: node->lo = value; break;
            case 1: node->first_child = value; break;
            case 2: node->n_children = (uint16_t)value; break;
            case 3: node->depth = (uint16_t)draw(&seed, 12); break;
            case 4: node->byte = (uint8_t)value; break;
            case 5: fix.offsets[draw(&seed, fix.n + 1)] = value; break;
            default: fix.blob[draw(&seed, fix.offsets[fix.n] % (MOST * LONGEST) + 1)] = 0xE3; break;
            }
        }
        for (uint32_t i = 0; i < 10; i++) {
            const text prefix = mistyped_label(kind, &seed);
            const uint32_t n = find(&prefix, 2, 5000, CAP);
            uint32_t before = 0;
            for (uint32_t k = 0; k < n; k++) {
                CHECK(out[k].lo < out[k].hi && out[k].hi <= fix.n && out[k].length <= 512);
                before += out[k].hi - out[k].lo;
            }
            CHECK(before <= fix.n);
        }
        tear_down();
    }
}

static void the_public_call_reports_its_failures(void) {
    small_index made = small_make(SMALL_PAIRS, ESP_POST_SIGMOID, 16);
    size_t count = 9;
    uint32_t visited = 0;
    esp_error err = {0};
    const uint8_t *prefix = (const uint8_t *)"aac ed";
    CHECK(
        esp_fuzzy_ranges(made.index, prefix, 6, 0, 0, out, CAP, &count, &visited, &err) == ESP_OK);
    CHECK(count >= 1 && out[0].distance == 1 && visited > 0);
    CHECK(
        esp_fuzzy_ranges(made.index, prefix, 3, 0, 0, out, CAP, &count, &visited, &err) == ESP_OK &&
        count == 0); /* too short to correct unless asked to */
    CHECK(
        esp_fuzzy_ranges(made.index, prefix, 3, 1, 0, out, CAP, &count, &visited, &err) == ESP_OK &&
        count > 0);
    CHECK(esp_fuzzy_ranges(made.index, (const uint8_t *)"aa\xFF", 3, 1, 0, out, CAP, &count,
              &visited, &err) == ESP_E_UTF8);
    CHECK(err.offset == 2);
    test_allocations_left = 0;
    CHECK(esp_fuzzy_ranges(made.index, prefix, 6, 0, 0, out, CAP, &count, &visited, &err) ==
          ESP_E_MEMORY);
    test_allocations_left = -1;
    const esp_params none = {0};
    const esp_index empty = {.params = &none};
    CHECK(esp_fuzzy_ranges(&empty, prefix, 6, 0, 0, out, CAP, &count, &visited, &err) ==
          ESP_E_UNSUPPORTED);
    small_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(ranges_are_those_of_the_distances);
    TEST(a_limit_on_nodes_finds_some_of_them);
    TEST(a_cap_keeps_the_best);
    TEST(a_closer_range_is_cut_out_of_the_one_around_it);
    TEST(each_kind_of_error_costs_one);
    TEST(only_prefixes_of_some_length_are_worth_correcting);
    TEST(prefixes_at_the_edges_have_an_answer);
    TEST(words_are_found_without_a_trie);
    TEST(damaged_indexes_are_survived);
    TEST(the_public_call_reports_its_failures);
    return TEST_END();
}
