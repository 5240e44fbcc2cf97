/* catalogue.c: see catalogue.h. */
#include "catalogue.h"

#include <math.h>

bool esp_catalogue_open(
    const uint8_t *data, uint64_t length, uint32_t n_labels, esp_catalogue *catalogue) {
    const esp_catalogue_header *head = (const void *)data;
    if (length < sizeof *head || head->n_labels != n_labels ||
        (head->word_bytes != 2 && head->word_bytes != 4))
        return false;
    const uint64_t words = sizeof *head + 4 * ((uint64_t)n_labels + 1);
    if (length != words + (uint64_t)head->word_bytes * head->n_words)
        return false;
    *catalogue = (esp_catalogue){
        .head = head,
        .begin = (const void *)(data + sizeof *head),
        .word_u16 = head->word_bytes == 2 ? (const void *)(data + words) : NULL,
        .word_u32 = head->word_bytes == 4 ? (const void *)(data + words) : NULL,
    };
    return true;
}

static bool is_count(float value) {
    return isfinite(value) && value >= 0;
}

/* Printable ASCII and then zeros, at least one of each. */
static bool is_name(const uint8_t *name, size_t length) {
    size_t n = 0;
    while (n < length && name[n] > ' ' && name[n] < 0x7F)
        n++;
    for (size_t i = n; i < length; i++)
        if (name[i] != 0)
            return false;
    return n > 0 && n < length;
}

const char *esp_catalogue_validate(
    const esp_catalogue *catalogue, uint32_t n_features, uint64_t *where) {
    enum { WORD_KINDS = 0x19, TEXT_KINDS = 0xE0 };
    const esp_catalogue_header *head = catalogue->head;
    const uint32_t *reserved = head->reserved;
    *where = 0;
    if ((head->word_kinds & ~(uint32_t)WORD_KINDS) != 0 ||
        (head->text_kinds & ~(uint32_t)TEXT_KINDS) != 0 || !is_count(head->k1) ||
        !is_count(head->b) || head->b > 1 || !is_count(head->average) || head->pool == 0 ||
        !is_name(head->stemmer, sizeof head->stemmer) ||
        (reserved[0] | reserved[1] | reserved[2]) != 0)
        return "E2";
    if (catalogue->begin[0] != 0 || catalogue->begin[head->n_labels] != head->n_words)
        return "E3";
    for (uint32_t i = 0; i < head->n_labels; i++)
        if (catalogue->begin[i] > catalogue->begin[i + 1]) {
            *where = i;
            return "E3";
        }
    for (uint32_t i = 0; i < head->n_words; i++) {
        const uint32_t word =
            catalogue->word_u16 != NULL ? catalogue->word_u16[i] : catalogue->word_u32[i];
        if (word >= n_features) {
            *where = i;
            return "E4";
        }
    }
    return NULL;
}
