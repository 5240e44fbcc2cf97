/* candidates.c: a hash table over texts, emptied by counting up a stamp. */
#include "candidates.h"

#include "words.h"

bool esp_candidates_alloc(esp_candidates *set, uint32_t cap) {
    set->cap = cap;
    set->mask = 1;
    while (set->mask < 2 * cap)
        set->mask = set->mask * 2 + 1;
    set->item = esp_alloc(cap, sizeof *set->item);
    set->slot = esp_alloc((size_t)set->mask + 1, sizeof *set->slot);
    set->seen = calloc((size_t)set->mask + 1, sizeof *set->seen);
    return set->item != NULL && set->slot != NULL && set->seen != NULL;
}

void esp_candidates_free(esp_candidates *set) {
    free(set->item);
    free(set->slot);
    free(set->seen);
}

void esp_candidates_clear(esp_candidates *set) {
    set->n = 0;
    if (++set->stamp == 0) { /* after 2^32 queries old stamps would match again */
        memset(set->seen, 0, ((size_t)set->mask + 1) * sizeof *set->seen);
        set->stamp = 1;
    }
}

/* The slot of a text: its own, or the free one where it belongs. */
static uint32_t find_slot(
    const esp_candidates *set, const uint8_t *text, uint32_t length, uint32_t hash) {
    uint32_t slot = hash & set->mask;
    for (; set->seen[slot] == set->stamp; slot = (slot + 1) & set->mask) {
        const esp_candidate *c = &set->item[set->slot[slot]];
        if (c->hash == hash && c->length == length && memcmp(c->text, text, length) == 0)
            break;
    }
    return slot;
}

esp_candidate *esp_candidates_find(
    const esp_candidates *set, const uint8_t *text, uint32_t length) {
    const uint32_t slot = find_slot(set, text, length, esp_word_hash(text, length));
    return set->seen[slot] == set->stamp ? &set->item[set->slot[slot]] : NULL;
}

esp_candidate *esp_candidates_add(
    esp_candidates *set, const uint8_t *text, uint32_t length, uint32_t label, uint32_t source) {
    const uint32_t hash = esp_word_hash(text, length);
    const uint32_t slot = find_slot(set, text, length, hash);
    if (set->seen[slot] == set->stamp) {
        esp_candidate *there = &set->item[set->slot[slot]];
        there->sources |= source;
        return there;
    }
    if (set->n == set->cap)
        return NULL;
    set->slot[slot] = set->n;
    set->seen[slot] = set->stamp;
    esp_candidate *made = &set->item[set->n++];
    *made = (esp_candidate){.text = text,
        .length = length,
        .hash = hash,
        .label = label,
        .source = source,
        .sources = source};
    return made;
}
