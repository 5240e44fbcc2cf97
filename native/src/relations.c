/* relations.c: lookups in sorted lists. */
#include "relations.h"

#include <math.h>

static const uint32_t *take(const uint32_t **at, uint64_t numbers) {
    const uint32_t *begin = *at;
    *at += numbers;
    return begin;
}

bool esp_relations_open(const uint8_t *data, uint64_t length, esp_relations *relations) {
    const esp_relation_header *head = (const void *)data;
    if (length < sizeof *head)
        return false;
    const uint64_t numbers = (uint64_t)head->n_sources * 2 + 1 + head->n_related +
                             (uint64_t)head->n_heads * 2 + 1 + (uint64_t)head->n_followers * 2;
    if (length != sizeof *head + (uint64_t)head->n_rules * sizeof(esp_affix_rule) + numbers * 4)
        return false;
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
            !(rule->chance > 0) || !isfinite(rule->chance))
            return false;
    }
    return true;
}

/* The list of `key`: place of its first entry, and how many. */
static uint32_t find_list(const uint32_t *keys, const uint32_t *ptr, uint32_t n, uint32_t key,
    uint32_t n_entries, uint32_t *begin) {
    uint32_t lo = 0;
    uint32_t hi = n;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (keys[middle] < key)
            lo = middle + 1;
        else
            hi = middle;
    }
    if (lo == n || keys[lo] != key)
        return 0;
    *begin = ptr[lo];
    return ptr[lo] <= ptr[lo + 1] && ptr[lo + 1] <= n_entries ? ptr[lo + 1] - ptr[lo] : 0;
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

uint32_t esp_followers(const esp_relations *relations, uint32_t label, const uint32_t **followers,
    const uint32_t **users) {
    const esp_relation_header *head = relations->head;
    uint32_t begin = 0;
    const uint32_t n = head == NULL ? 0
                                    : find_list(relations->label, relations->label_ptr,
                                          head->n_heads, label, head->n_followers, &begin);
    *followers = n == 0 ? NULL : relations->follower + begin;
    *users = n == 0 ? NULL : relations->users + begin;
    return n;
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
