/* test_relations.c: what follows what, against looking at every list. */
#include "test.h"

#include "../src/index.h"
#include "../src/utf8.h"
#include "small_model.h"

enum { N_WORDS = 40, N_LABELS = 60 };

static small_bytes section;
static esp_relations relations;

static void make(uint64_t seed) {
    section = small_relations_section(N_WORDS, N_LABELS, seed);
    CHECK(esp_relations_open(section.data, section.length, &relations) == NULL);
}

static const esp_relation_header *head(void) {
    return relations.head;
}

static void every_word_has_the_entries_of_its_list(void) {
    make(1);
    CHECK(esp_relations_validate(&relations, N_WORDS, N_LABELS, NULL) == ESP_OK);
    for (uint32_t word = 0; word < N_WORDS + 5; word++) {
        const uint32_t *wanted = NULL;
        uint32_t n_wanted = 0;
        for (uint32_t i = 0; i < head()->n_sources; i++)
            if (relations.word[i] == word) {
                wanted = relations.related + relations.word_ptr[i];
                n_wanted = relations.word_ptr[i + 1] - relations.word_ptr[i];
            }
        const uint32_t *entries = NULL;
        CHECK(esp_related_words(&relations, word, &entries) == n_wanted);
        CHECK(entries == wanted);
    }
    free(section.data);
}

static void every_label_has_its_followers_of_a_range(void) {
    make(2);
    uint64_t random = 2;
    for (uint32_t label = 0; label < N_LABELS + 5; label++)
        for (uint32_t round = 0; round < 40; round++) {
            const uint32_t lo = small_draw(&random, N_LABELS);
            const uint32_t hi = lo + small_draw(&random, N_LABELS - lo + 1);
            const uint32_t *follower = NULL;
            const uint32_t *users = NULL;
            const uint32_t n = esp_followers(&relations, label, lo, hi, &follower, &users);
            uint32_t seen = 0;
            for (uint32_t i = 0; i < head()->n_heads; i++)
                for (uint32_t f = relations.label_ptr[i];
                    relations.label[i] == label && f < relations.label_ptr[i + 1]; f++)
                    if (relations.follower[f] >= lo && relations.follower[f] < hi) {
                        CHECK(seen < n && follower[seen] == relations.follower[f] &&
                              users[seen] == relations.users[f]);
                        seen++;
                    }
            CHECK(seen == n);
        }
    free(section.data);
}

static void without_relations_nothing_follows(void) {
    const esp_relations none = {0};
    const uint32_t *one = NULL;
    const uint32_t *two = NULL;
    CHECK(esp_related_words(&none, 0, &one) == 0);
    CHECK(esp_followers(&none, 0, 0, 9, &one, &two) == 0);
}

/* "strip at the end", written as a search. */
static uint32_t naive(const esp_affix_rule *rule, const char *word, char *out) {
    const size_t length = strlen(word);
    if (length <= rule->n_strip)
        return 0;
    const size_t kept = length - rule->n_strip;
    const char *part = rule->at_end != 0 ? word + kept : word;
    if (strncmp(part, (const char *)rule->strip, rule->n_strip) != 0)
        return 0;
    return (uint32_t)sprintf(out, "%.*s%.*s%.*s", rule->at_end != 0 ? 0 : (int)rule->n_add,
        (const char *)rule->add, (int)kept, rule->at_end != 0 ? word : word + rule->n_strip,
        rule->at_end != 0 ? (int)rule->n_add : 0, (const char *)rule->add);
}

static void rules_change_one_end_of_a_word(void) {
    static const char *const words[] = {
        "shoe", "e", "s", "\xC3\xA9t\xC3\xA9", "\xC3\xA9", "a", "aa", "make", "x"};
    make(3);
    for (uint32_t r = 0; r < head()->n_rules; r++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            char wanted[64] = "";
            uint8_t got[64];
            const uint32_t length = (uint32_t)strlen(words[i]);
            const uint32_t n = naive(&relations.rule[r], words[i], wanted);
            const uint8_t *text = (const uint8_t *)words[i];
            CHECK(esp_affix_apply(&relations.rule[r], text, length, got, sizeof got) == n);
            CHECK(memcmp(got, wanted, n) == 0);
            CHECK(esp_utf8_check(got, n) == n);
            for (uint32_t cap = 0; cap < n; cap++)
                CHECK(esp_affix_apply(&relations.rule[r], text, length, got, cap) == 0);
        }
    free(section.data);
}

static void rules_that_are_none_are_refused(void) {
    make(4);
    esp_affix_rule *rule = (void *)(section.data + sizeof(esp_relation_header));
    const esp_affix_rule kept = *rule;
    const float bad[] = {0, -1, NAN, INFINITY, 1.5f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rule->chance = bad[i];
        CHECK(strcmp(esp_relations_open(section.data, section.length, &relations), "Q2") == 0);
    }
    *rule = kept;
    rule->n_strip = 9;
    CHECK(strcmp(esp_relations_open(section.data, section.length, &relations), "Q2") == 0);
    *rule = kept;
    rule->n_add = 9;
    CHECK(strcmp(esp_relations_open(section.data, section.length, &relations), "Q2") == 0);
    *rule = kept;
    CHECK(esp_relations_open(section.data, section.length, &relations) == NULL);
    CHECK(strcmp(esp_relations_open(section.data, section.length - 4, &relations), "Q1") == 0);
    CHECK(strcmp(esp_relations_open(section.data, 4, &relations), "Q1") == 0);
    free(section.data);
}

/* Opening looks at every rule, so there must not be many. */
static void more_rules_than_a_query_tries_are_refused(void) {
    const esp_relation_header many = {.n_rules = ESP_MOST_RULES + 1};
    const size_t length = sizeof many + many.n_rules * sizeof(esp_affix_rule) + 8;
    uint8_t *data = calloc(1, length);
    memcpy(data, &many, sizeof many);
    CHECK(strcmp(esp_relations_open(data, length, &relations), "Q1") == 0);
    free(data);
}

static void damage_is_survived(void) {
    make(5);
    uint64_t random = 1;
    uint32_t opened = 0;
    for (uint32_t round = 0; round < 10000; round++) {
        /* Of the exact size, so that a read behind it is seen. */
        uint8_t *damaged = aligned_alloc(4, section.length);
        memcpy(damaged, section.data, section.length);
        for (uint32_t k = 1 + small_draw(&random, 6); k > 0; k--)
            damaged[small_draw(&random, (uint32_t)section.length)] =
                (uint8_t)small_draw(&random, 256);
        if (esp_relations_open(damaged, section.length, &relations) == NULL) {
            opened++;
            (void)esp_relations_validate(&relations, N_WORDS, N_LABELS, NULL);
            for (uint32_t i = 0; i < N_LABELS; i++) {
                const uint32_t *one = NULL;
                const uint32_t *two = NULL;
                uint32_t sum = 0;
                for (uint32_t n = esp_related_words(&relations, i, &one); n > 0; n--)
                    sum += one[n - 1];
                for (uint32_t n = esp_followers(&relations, i, 3, 50, &one, &two); n > 0; n--)
                    sum += one[n - 1] + two[n - 1];
                uint8_t out[32];
                const uint8_t word[4] = {'a', 'b', (uint8_t)sum, 'e'};
                for (uint32_t r = 0; r < head()->n_rules; r++)
                    CHECK(esp_affix_apply(&relations.rule[r], word, 4, out, sizeof out) <= 12);
            }
        }
        free(damaged);
    }
    CHECK(opened > 1000);
    free(section.data);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(every_word_has_the_entries_of_its_list);
    TEST(every_label_has_its_followers_of_a_range);
    TEST(without_relations_nothing_follows);
    TEST(rules_change_one_end_of_a_word);
    TEST(rules_that_are_none_are_refused);
    TEST(more_rules_than_a_query_tries_are_refused);
    TEST(damage_is_survived);
    return TEST_END();
}
