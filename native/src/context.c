/* context.c: the words of a session. */
#include "context.h"

#include <math.h>

static const float COMMON_COUNTS = 0.2f; /* of what another word counts */
static const float FADED = 1.0f / 1024;  /* what is left of a query that no longer counts */
static const uint8_t nothing[1];         /* stands where a caller has an empty text at no address */

static uint32_t find_slot(
    const esp_context *context, const uint8_t *text, uint32_t length, uint32_t hash) {
    uint32_t slot = hash % ESP_CONTEXT_SLOTS;
    while (context->slot[slot] != ESP_NOT_THERE) {
        const esp_context_word *word = &context->word[context->slot[slot]];
        if (word->hash == hash && word->length == length && memcmp(word->text, text, length) == 0)
            break;
        slot = (slot + 1) % ESP_CONTEXT_SLOTS;
    }
    return slot;
}

uint32_t esp_context_add(esp_context *context, const esp_words *words, const uint8_t *text,
    uint32_t length, uint32_t limit) {
    const uint32_t hash = esp_word_hash(text, length);
    const uint32_t slot = find_slot(context, text, length, hash);
    if (context->slot[slot] == ESP_NOT_THERE && context->n_words < limit) {
        context->slot[slot] = (uint8_t)context->n_words;
        context->word[context->n_words] = (esp_context_word){.text = text,
            .length = length,
            .hash = hash,
            .word = esp_word_find(words, text, length, hash),
            .like = context->n_words};
        const uint32_t known = context->word[context->n_words++].word;
        if (known != ESP_NO_WORD)
            context->some[known % ESP_CONTEXT_SLOTS / 64] |= (uint64_t)1 << known % 64;
    }
    return context->slot[slot];
}

static float fade_of(const uint32_t *age, uint32_t i, float half_life) {
    return age == NULL || !(half_life > 0) ? 1 : exp2f(-(float)age[i] / half_life);
}

uint32_t esp_context_fresh(const uint32_t *age, uint32_t n_previous, float half_life) {
    uint32_t n = 0;
    while (n < n_previous && fade_of(age, n, half_life) >= FADED)
        n++;
    return n;
}

void esp_context_fill(esp_context *context, const esp_words *words, const esp_text *previous,
    const uint32_t *age, uint32_t n_previous, float decay, float half_life) {
    const esp_blocklist *blocked = context->blocked;
    context->n_queries = esp_min_u32(n_previous, ESP_CONTEXT_QUERIES);
    context->n_words = 0;
    context->n_made = 0;
    memset(context->some, 0, sizeof context->some);
    memset(context->slot, ESP_NOT_THERE, sizeof context->slot);
    context->trust = FADED; /* never 0: it divides */
    for (uint32_t q = 0; q < context->n_queries; q++)
        context->trust = fmaxf(context->trust, fade_of(age, q, half_life));
    uint32_t n_tokens = 0;
    float weight = 1;
    for (uint32_t q = 0; q < context->n_queries; q++, weight *= decay) {
        const float counts = weight * fade_of(age, q, half_life) / context->trust;
        context->query[q] = previous[q].length > 0 ? previous[q] : (esp_text){nothing, 0};
        context->query_weight[q] = counts;
        context->begin[q] = (uint16_t)n_tokens;
        const bool in_number = blocked != NULL && esp_blocklist_finds_number(blocked,
                                                      previous[q].data, (size_t)previous[q].length);
        size_t at = 0;
        const uint8_t *text = NULL;
        uint32_t length = 0;
        while (n_tokens < ESP_CONTEXT_TOKENS &&
               esp_next_word(previous[q].data, (size_t)previous[q].length, &at, &text, &length)) {
            if (blocked != NULL && esp_blocklist_hides(blocked, text, length, in_number))
                continue;
            const uint32_t number = esp_context_add(context, words, text, length, ESP_CONTEXT_OWN);
            if (number == ESP_NOT_THERE)
                break; /* the table is full: what was said before that counts */
            context->word[number].weight += counts;
            context->token[n_tokens++] = (uint8_t)number;
        }
    }
    context->begin[context->n_queries] = (uint16_t)n_tokens;
    context->n_own = context->n_words;
}

void esp_context_dampen(esp_context *context, const esp_ngrams *ngrams) {
    for (uint32_t w = 0; ngrams->head != NULL && w < context->n_own; w++) {
        esp_context_word *word = &context->word[w];
        if (esp_ngram_is_common(ngrams, word->word))
            word->weight *= COMMON_COUNTS;
    }
}

uint32_t esp_context_find_word(const esp_context *context, uint32_t word) {
    if ((context->some[word % ESP_CONTEXT_SLOTS / 64] >> word % 64 & 1) == 0)
        return ESP_NOT_THERE;
    for (uint32_t w = 0; w < context->n_words; w++)
        if (context->word[w].word == word)
            return w;
    return ESP_NOT_THERE;
}

uint32_t esp_context_find(
    const esp_context *context, const uint8_t *text, uint32_t length, uint32_t hash) {
    return context->slot[find_slot(context, text, length, hash)];
}
