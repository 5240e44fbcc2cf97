/* relations.c: lookups in sorted lists. */
#include "relations.h"

#include "index.h"
#include "utf8.h"

static const uint32_t *take(const uint32_t **at, uint64_t numbers) {
    const uint32_t *begin = *at;
    *at += numbers;
    return begin;
}

const char *esp_relations_open(const uint8_t *data, uint64_t length, esp_relations *relations) {
    const esp_relation_header *head = (const void *)data;
    if (length < sizeof *head || head->n_rules > ESP_MOST_RULES)
        return "Q1";
    const uint64_t numbers = (uint64_t)head->n_sources * 2 + 1 + head->n_related +
                             (uint64_t)head->n_heads * 2 + 1 + (uint64_t)head->n_followers * 2;
    if (length != sizeof *head + (uint64_t)head->n_rules * sizeof(esp_affix_rule) + numbers * 4)
        return "Q1";
    relations->head = head;
    relations->rule = (const void *)(data + sizeof *head);
    const uint32_t *at = (const void *)(relations->rule + head->n_rules);
    relations->word = take(&at, head->n_sources);
    relations->word_ptr = take(&at, (uint64_t)head->n_sources + 1);
    relations->related = take(&at, head->n_related);
    relations->label = take(&at, head->n_heads);
    relations->label_ptr = take(&at, (uint64_t)head->n_heads + 1);
    relations->follower = take(&at, head->n_followers);
    relations->users = take(&at, head->n_followers);
    for (uint32_t r = 0; r < head->n_rules; r++) {
        const esp_affix_rule *rule = &relations->rule[r];
        if (rule->n_strip > sizeof rule->strip || rule->n_add > sizeof rule->add ||
            !(rule->chance > 0 && rule->chance <= 1))
            return "Q2";
    }
    return NULL;
}

/* First place of an ascending list that is not below `key`. */
static uint32_t lower_bound(const uint32_t *list, uint32_t n, uint32_t key) {
    uint32_t lo = 0;
    uint32_t hi = n;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (list[middle] < key)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* The list of `key`: place of its first entry, and how many. */
static uint32_t find_list(const uint32_t *keys, const uint32_t *ptr, uint32_t n, uint32_t key,
    uint32_t n_entries, uint32_t *begin) {
    const uint32_t at = lower_bound(keys, n, key);
    if (at == n || keys[at] != key)
        return 0;
    *begin = ptr[at];
    return ptr[at] <= ptr[at + 1] && ptr[at + 1] <= n_entries ? ptr[at + 1] - ptr[at] : 0;
}

uint32_t esp_related_words(
    const esp_relations *relations, uint32_t word, const uint32_t **entries) {
    const esp_relation_header *head = relations->head;
    uint32_t begin = 0;
    const uint32_t n = head == NULL ? 0
                                    : find_list(relations->word, relations->word_ptr,
                                          head->n_sources, word, head->n_related, &begin);
    *entries = n == 0 ? NULL : relations->related + begin;
    return n;
}

uint32_t esp_followers(const esp_relations *relations, uint32_t label, uint32_t lo, uint32_t hi,
    const uint32_t **followers, const uint32_t **users) {
    const esp_relation_header *head = relations->head;
    uint32_t begin = 0;
    const uint32_t n = head == NULL ? 0
                                    : find_list(relations->label, relations->label_ptr,
                                          head->n_heads, label, head->n_followers, &begin);
    *followers = NULL;
    *users = NULL;
    if (n == 0)
        return 0;
    const uint32_t *list = relations->follower + begin;
    const uint32_t first = lower_bound(list, n, lo);
    const uint32_t last = first + lower_bound(list + first, n - first, hi);
    *followers = list + first;
    *users = relations->users + begin + first;
    return last - first;
}

uint32_t esp_affix_apply(
    const esp_affix_rule *rule, const uint8_t *word, uint32_t length, uint8_t *out, uint32_t cap) {
    if (rule->n_strip > length)
        return 0;
    const uint32_t kept = length - rule->n_strip;
    const uint8_t *part = rule->at_end != 0 ? word + kept : word;
    if (kept == 0 || kept + rule->n_add > cap || memcmp(part, rule->strip, rule->n_strip) != 0)
        return 0;
    if (rule->at_end != 0) {
        memcpy(out, word, kept);
        memcpy(out + kept, rule->add, rule->n_add);
    } else {
        memcpy(out, rule->add, rule->n_add);
        memcpy(out + rule->n_add, word + rule->n_strip, kept);
    }
    return kept + rule->n_add;
}

/* ---- checking ----------------------------------------------------------- */

static esp_status damaged(const char *check, uint64_t where, esp_error *err) {
    return esp_index_damaged(ESP_SEC_RELA, check, where, err);
}

static bool is_part(const uint8_t *part, uint32_t length, uint32_t room) {
    for (uint32_t i = length; i < room; i++)
        if (part[i] != 0)
            return false;
    return esp_utf8_check(part, length) == length;
}

static esp_status validate_rules(const esp_relations *relations, esp_error *err) {
    for (uint32_t r = 0; r < relations->head->n_rules; r++) {
        const esp_affix_rule *rule = &relations->rule[r];
        if (rule->reserved != 0 || rule->at_end > 1)
            return damaged("Q3", r, err);
        if (!is_part(rule->strip, rule->n_strip, sizeof rule->strip) ||
            !is_part(rule->add, rule->n_add, sizeof rule->add) ||
            (rule->n_strip == rule->n_add && memcmp(rule->strip, rule->add, rule->n_add) == 0))
            return damaged("Q4", r, err);
    }
    return ESP_OK;
}

/* Keys ascend below `limit`, and every one has a list. */
static bool are_lists(
    const uint32_t *key, const uint32_t *ptr, uint32_t n, uint32_t n_entries, uint32_t limit) {
    if (ptr[0] != 0 || ptr[n] != n_entries)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (key[i] >= limit || (i > 0 && key[i - 1] >= key[i]) || ptr[i] >= ptr[i + 1] ||
            ptr[i + 1] > n_entries)
            return false;
    return true;
}

static bool is_related_list(const uint32_t *entry, uint32_t n, uint32_t source, uint32_t n_words) {
    if (n > ESP_MOST_RELATED)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t word = entry[i] & (ESP_WORD_LIMIT - 1);
        if (word >= n_words || word == source || (i > 0 && entry[i - 1] >> 24 > entry[i] >> 24))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if ((entry[j] & (ESP_WORD_LIMIT - 1)) == word)
                return false;
    }
    return true;
}

static bool is_follower_list(const uint32_t *follower, const uint32_t *users, uint32_t n,
    uint32_t label, uint32_t n_labels) {
    for (uint32_t i = 0; i < n; i++)
        if (follower[i] >= n_labels || follower[i] == label || users[i] == 0 ||
            (i > 0 && follower[i - 1] >= follower[i]))
            return false;
    return true;
}

esp_status esp_relations_validate(
    const esp_relations *relations, uint32_t n_words, uint32_t n_labels, esp_error *err) {
    const esp_relation_header *head = relations->head;
    if ((head->reserved[0] | head->reserved[1] | head->reserved[2]) != 0)
        return damaged("Q3", 0, err);
    ESP_TRY(validate_rules(relations, err));
    const uint32_t *ptr = relations->word_ptr;
    if (!are_lists(relations->word, ptr, head->n_sources, head->n_related, n_words))
        return damaged("Q5", 0, err);
    for (uint32_t i = 0; i < head->n_sources; i++)
        if (!is_related_list(
                relations->related + ptr[i], ptr[i + 1] - ptr[i], relations->word[i], n_words))
            return damaged("Q6", i, err);
    ptr = relations->label_ptr;
    if (!are_lists(relations->label, ptr, head->n_heads, head->n_followers, n_labels))
        return damaged("Q7", 0, err);
    for (uint32_t i = 0; i < head->n_heads; i++)
        if (!is_follower_list(relations->follower + ptr[i], relations->users + ptr[i],
                ptr[i + 1] - ptr[i], relations->label[i], n_labels))
            return damaged("Q8", i, err);
    return ESP_OK;
}
