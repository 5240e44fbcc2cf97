/* ngrams.c: probabilities of words, and the most probable ones of a range. */
#include "ngrams.h"

#include <math.h>

#include "index.h"

/* A word is common if it has this share of all words, and so many times that of an average
 * one: of a hundred words every one has a large share.  It seldom begins queries if its share
 * of first words is so much smaller. */
static const float COMMON = 0.002f;
static const float COMMON_TIMES = 60;
static const float SELDOM = 0.45f;

/* ---- opening ------------------------------------------------------------ */

static const uint8_t *take(const uint8_t **at, uint64_t bytes) {
    const uint8_t *begin = *at;
    *at += bytes;
    return begin;
}

/* Comparisons that a NaN fails.  Within these limits no product of three stored
 * probabilities and what the session leaves of them is 0 in single precision. */
static bool is_usable(const esp_ngram_header *head) {
    return head->step > 0 && head->step <= 0.1f && head->mix_context >= 0 &&
           head->mix_context <= 0.99f && head->mix_follow >= 0 && head->mix_follow <= 1 &&
           head->mix_related >= 0 && head->mix_related <= 0.99f && head->decay > 0 &&
           head->decay <= 1 && head->half_life >= 0 && isfinite(head->half_life) &&
           head->end <= 255 && head->unknown <= 255;
}

const char *esp_ngrams_open(
    const uint8_t *data, uint64_t length, uint32_t n_words, esp_ngrams *ngrams) {
    const esp_ngram_header *head = (const void *)data;
    if (length < sizeof *head || head->n_words != n_words)
        return "G1";
    const uint64_t blocks = ((uint64_t)n_words + ESP_WORD_BLOCK - 1) / ESP_WORD_BLOCK;
    const uint64_t masks = ((uint64_t)head->n_bigrams + n_words + 63) / 64;
    const uint64_t numbers = masks + 1 + (uint64_t)n_words + 1 + head->n_bigrams +
                             (uint64_t)head->n_contexts + 1 + head->n_trigrams;
    const uint64_t bytes = (uint64_t)n_words * 3 + blocks * 2 + head->n_contexts;
    if (length != sizeof *head + masks * 8 + numbers * 4 + bytes)
        return "G1";
    if (!is_usable(head))
        return "G2";
    const uint8_t *at = data + sizeof *head;
    ngrams->head = head;
    ngrams->has_next = (const void *)take(&at, masks * 8);
    ngrams->rank = (const void *)take(&at, (masks + 1) * 4);
    ngrams->pair_ptr = (const void *)take(&at, ((uint64_t)n_words + 1) * 4);
    ngrams->pair = (const void *)take(&at, (uint64_t)head->n_bigrams * 4);
    ngrams->triple_ptr = (const void *)take(&at, ((uint64_t)head->n_contexts + 1) * 4);
    ngrams->triple = (const void *)take(&at, (uint64_t)head->n_trigrams * 4);
    ngrams->word = take(&at, n_words);
    ngrams->first = take(&at, n_words);
    ngrams->word_best = take(&at, blocks);
    ngrams->first_best = take(&at, blocks);
    ngrams->rest_of_word = take(&at, n_words);
    ngrams->rest_of_context = take(&at, head->n_contexts);
    for (uint32_t q = 0; q < 256; q++)
        ngrams->chance[q] = expf(-(float)q * head->step);
    return NULL;
}

/* ---- lists -------------------------------------------------------------- */

static uint32_t word_of(uint32_t entry) {
    return entry & (ESP_WORD_LIMIT - 1);
}

static float chance_of(const esp_ngrams *ngrams, uint32_t entry) {
    return ngrams->chance[entry >> 24];
}

/* First place in the part ordered by number whose word is not below `word`. */
static uint32_t lower_bound(const uint32_t *list, uint32_t begin, uint32_t end, uint32_t word) {
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (word_of(list[middle]) < word)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Place of a word's entry, `n` if the list has it not. */
static uint32_t find_entry(const uint32_t *list, uint32_t n, uint32_t word) {
    uint32_t begin = 0;
    if (n > ESP_LIST_LONG)
        for (; begin < ESP_LIST_HEAD; begin++)
            if (word_of(list[begin]) == word)
                return begin;
    const uint32_t at = lower_bound(list, begin, n, word);
    return at < n && word_of(list[at]) == word ? at : n;
}

/* The bounds of list number `i`; empty, at the beginning, if they leave the entries. */
static uint32_t bounds(const uint32_t *ptr, uint32_t i, uint32_t n_entries, uint32_t *begin) {
    const uint32_t end = ptr[i + 1];
    const bool inside = ptr[i] <= end && end <= n_entries;
    *begin = inside ? ptr[i] : 0;
    return inside ? end - *begin : 0;
}

/* ---- probabilities ------------------------------------------------------ */

/* Number of the list of triples after place `at` of has_next. */
static bool find_context(const esp_ngrams *ngrams, uint64_t at, uint32_t *context) {
    const uint64_t mask = ngrams->has_next[at / 64];
    const uint64_t bit = (uint64_t)1 << (at % 64);
    if ((mask & bit) == 0)
        return false;
    *context = ngrams->rank[at / 64] + esp_count_bits(mask & (bit - 1));
    return *context < ngrams->head->n_contexts;
}

esp_state esp_ngram_state(const esp_ngrams *ngrams, uint32_t u, uint32_t v) {
    const esp_ngram_header *head = ngrams->head;
    esp_state state = {.rest_triple = 1, .rest_pair = 1, .at_start = v == ESP_START};
    if (v >= head->n_words)
        return state;
    uint32_t begin = 0;
    state.n_pair = bounds(ngrams->pair_ptr, v, head->n_bigrams, &begin);
    state.pair = ngrams->pair + begin;
    state.rest_pair = ngrams->chance[ngrams->rest_of_word[v]];
    uint64_t at = 0;
    if (u == ESP_START) {
        at = (uint64_t)head->n_bigrams + v;
    } else if (u < head->n_words) {
        uint32_t first = 0;
        const uint32_t n = bounds(ngrams->pair_ptr, u, head->n_bigrams, &first);
        const uint32_t found = find_entry(ngrams->pair + first, n, v);
        if (found == n)
            return state;
        at = (uint64_t)first + found;
    } else {
        return state;
    }
    uint32_t context = 0;
    if (find_context(ngrams, at, &context)) {
        state.n_triple = bounds(ngrams->triple_ptr, context, head->n_trigrams, &begin);
        state.triple = ngrams->triple + begin;
        state.rest_triple = ngrams->chance[ngrams->rest_of_context[context]];
    }
    return state;
}

static float single(const esp_ngrams *ngrams, const esp_state *state, uint32_t word) {
    if (word < ngrams->head->n_words)
        return ngrams->chance[state->at_start ? ngrams->first[word] : ngrams->word[word]];
    return ngrams
        ->chance[word == ngrams->head->n_words ? ngrams->head->end : ngrams->head->unknown];
}

bool esp_ngram_is_common(const esp_ngrams *ngrams, uint32_t word) {
    const uint32_t n = ngrams->head->n_words;
    const float share = word < n ? ngrams->chance[ngrams->word[word]] : 0;
    return share > COMMON && share * (float)n > COMMON_TIMES;
}

bool esp_ngram_is_filler(const esp_ngrams *ngrams, uint32_t word) {
    return esp_ngram_is_common(ngrams, word) &&
           ngrams->chance[ngrams->first[word]] < SELDOM * ngrams->chance[ngrams->word[word]];
}

bool esp_ngram_seen(const esp_state *state, uint32_t word) {
    return find_entry(state->triple, state->n_triple, word) < state->n_triple;
}

float esp_ngram_least(const esp_ngrams *ngrams, const esp_state *state, uint32_t word) {
    return state->rest_triple * state->rest_pair * single(ngrams, state, word);
}

float esp_ngram_chance(
    const esp_ngrams *ngrams, const esp_state *state, uint32_t word, bool *listed) {
    if (listed != NULL)
        *listed = true;
    uint32_t at = find_entry(state->triple, state->n_triple, word);
    if (at < state->n_triple)
        return chance_of(ngrams, state->triple[at]);
    at = find_entry(state->pair, state->n_pair, word);
    if (at < state->n_pair)
        return state->rest_triple * chance_of(ngrams, state->pair[at]);
    if (listed != NULL)
        *listed = false;
    return esp_ngram_least(ngrams, state, word);
}

/* ---- the most probable -------------------------------------------------- */

/* The best `cap` so far, in no order, with the place of the worst. */
typedef struct esp_best {
    esp_found_word *item;
    uint32_t n;
    uint32_t cap;
    uint32_t worst;
} esp_best;

static float floor_of(const esp_best *best) {
    return best->n < best->cap ? -1.0f : best->item[best->worst].chance;
}

static void find_worst(esp_best *best) {
    best->worst = 0;
    for (uint32_t i = 1; i < best->n; i++)
        if (best->item[i].chance < best->item[best->worst].chance)
            best->worst = i;
}

static void keep_word(esp_best *best, uint32_t word, float chance) {
    if (chance <= floor_of(best))
        return;
    if (best->n < best->cap)
        best->item[best->n++] = (esp_found_word){word, chance};
    else
        best->item[best->worst] = (esp_found_word){word, chance};
    if (best->n == best->cap)
        find_worst(best);
}

static void keep_entries(const esp_ngrams *ngrams, const uint32_t *list, uint32_t n, uint32_t lo,
    uint32_t hi, float rest, esp_best *best) {
    const bool all = lo == 0 && hi == ngrams->head->n_words;
    const uint32_t end = all ? hi + 1 : hi; /* everything includes the end */
    uint32_t begin = 0;
    if (n > ESP_LIST_LONG) {
        for (; begin < ESP_LIST_HEAD; begin++)
            if (word_of(list[begin]) >= lo && word_of(list[begin]) < end)
                keep_word(best, word_of(list[begin]), rest * chance_of(ngrams, list[begin]));
        if (all)
            return; /* the head is the best of all */
    }
    for (uint32_t i = lower_bound(list, begin, n, lo); i < n && word_of(list[i]) < end; i++)
        keep_word(best, word_of(list[i]), rest * chance_of(ngrams, list[i]));
}

static void keep_singles(const esp_ngrams *ngrams, const uint8_t *q, const uint8_t *block_best,
    uint32_t lo, uint32_t hi, float rest, esp_best *best) {
    for (uint32_t word = lo; word < hi;) {
        const uint32_t block = word / ESP_WORD_BLOCK;
        const uint32_t stop = esp_min_u32(hi, (block + 1) * ESP_WORD_BLOCK);
        if (rest * ngrams->chance[block_best[block]] > floor_of(best))
            for (uint32_t i = word; i < stop; i++)
                keep_word(best, i, rest * ngrams->chance[q[i]]);
        word = stop;
    }
}

/* Drops from item[begin, n) the words of the longer lists: those gave a better number.
 * Returns how many are left. */
static uint32_t drop_listed(
    const esp_state *state, bool pairs, esp_found_word *item, uint32_t begin, uint32_t n) {
    uint32_t kept = begin;
    for (uint32_t i = begin; i < n; i++) {
        const uint32_t word = item[i].word;
        if (find_entry(state->triple, state->n_triple, word) == state->n_triple &&
            (!pairs || find_entry(state->pair, state->n_pair, word) == state->n_pair))
            item[kept++] = item[i];
    }
    return kept;
}

uint32_t esp_ngram_likely(const esp_ngrams *ngrams, const esp_state *state, uint32_t lo,
    uint32_t hi, bool singles, uint32_t cap, esp_found_word *out) {
    if (cap == 0)
        return 0;
    esp_best best = {.item = out, .cap = cap};
    keep_entries(ngrams, state->triple, state->n_triple, lo, hi, 1.0f, &best);
    uint32_t n = best.n;
    best = (esp_best){.item = out + n, .cap = cap};
    keep_entries(ngrams, state->pair, state->n_pair, lo, hi, state->rest_triple, &best);
    n = drop_listed(state, false, out, n, n + best.n);
    if (!singles)
        return n;
    best = (esp_best){.item = out + n, .cap = cap};
    const float rest = state->rest_triple * state->rest_pair;
    if (state->at_start)
        keep_singles(ngrams, ngrams->first, ngrams->first_best, lo, hi, rest, &best);
    else
        keep_singles(ngrams, ngrams->word, ngrams->word_best, lo, hi, rest, &best);
    return drop_listed(state, true, out, n, n + best.n);
}

/* ---- checking ----------------------------------------------------------- */

static esp_status damaged(const char *check, uint64_t where, esp_error *err) {
    return esp_index_damaged(ESP_SEC_NGRM, check, where, err);
}

static esp_status validate_contexts(const esp_ngrams *ngrams, esp_error *err) {
    const esp_ngram_header *head = ngrams->head;
    const uint64_t bits = (uint64_t)head->n_bigrams + head->n_words;
    const uint64_t masks = (bits + 63) / 64;
    uint32_t before = 0;
    for (uint64_t i = 0; i < masks; i++) {
        if (ngrams->rank[i] != before)
            return damaged("G3", i, err);
        before += (uint32_t)__builtin_popcountll(ngrams->has_next[i]);
    }
    const bool over = bits % 64 != 0 && ngrams->has_next[masks - 1] >> (bits % 64) != 0;
    return over || ngrams->rank[masks] != before || before != head->n_contexts
               ? damaged("G3", masks, err)
               : ESP_OK;
}

/* Whether entry `a` comes before `b` where the best come first. */
static bool is_better(uint32_t a, uint32_t b) {
    return a >> 24 != b >> 24 ? a >> 24 < b >> 24 : word_of(a) < word_of(b);
}

/* The order of a list, by which find_entry() and keep_entries() look. */
static esp_status validate_list(
    const uint32_t *list, uint32_t n, uint32_t n_words, uint64_t where, esp_error *err) {
    const uint32_t n_head = n > ESP_LIST_LONG ? ESP_LIST_HEAD : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (word_of(list[i]) > n_words)
            return damaged("G5", where + i, err);
        if (i == 0 || i == n_head)
            continue;
        if (i < n_head ? !is_better(list[i - 1], list[i])
                       : word_of(list[i - 1]) >= word_of(list[i]))
            return damaged("G5", where + i, err);
    }
    for (uint32_t i = n_head; i < n && n_head > 0; i++) {
        if (!is_better(list[n_head - 1], list[i]))
            return damaged("G6", where + i, err);
        for (uint32_t j = 0; j < n_head; j++)
            if (word_of(list[i]) == word_of(list[j]))
                return damaged("G6", where + i, err);
    }
    return ESP_OK;
}

/* `least`: how many entries a list has, at least. */
static esp_status validate_lists(const uint32_t *ptr, uint32_t n_lists, const uint32_t *entry,
    uint32_t n_entries, uint32_t least, uint32_t n_words, esp_error *err) {
    if (ptr[0] != 0 || ptr[n_lists] != n_entries)
        return damaged("G4", 0, err);
    for (uint32_t i = 0; i < n_lists; i++) {
        if (ptr[i] > ptr[i + 1] || ptr[i + 1] > n_entries || ptr[i + 1] - ptr[i] < least)
            return damaged("G4", i, err);
        ESP_TRY(validate_list(entry + ptr[i], ptr[i + 1] - ptr[i], n_words, ptr[i], err));
    }
    return ESP_OK;
}

static bool are_best(const uint8_t *q, uint32_t n, const uint8_t *best) {
    for (uint32_t begin = 0; begin < n; begin += ESP_WORD_BLOCK) {
        uint8_t least = 255;
        for (uint32_t i = begin; i < n && i < begin + ESP_WORD_BLOCK; i++)
            least = q[i] < least ? q[i] : least;
        if (best[begin / ESP_WORD_BLOCK] != least)
            return false;
    }
    return true;
}

esp_status esp_ngrams_validate(const esp_ngrams *ngrams, esp_error *err) {
    const esp_ngram_header *head = ngrams->head;
    const uint32_t n_words = head->n_words;
    ESP_TRY(validate_contexts(ngrams, err));
    ESP_TRY(
        validate_lists(ngrams->pair_ptr, n_words, ngrams->pair, head->n_bigrams, 0, n_words, err));
    ESP_TRY(validate_lists(
        ngrams->triple_ptr, head->n_contexts, ngrams->triple, head->n_trigrams, 1, n_words, err));
    if (!are_best(ngrams->word, n_words, ngrams->word_best) ||
        !are_best(ngrams->first, n_words, ngrams->first_best))
        return damaged("G7", 0, err);
    return ESP_OK;
}
