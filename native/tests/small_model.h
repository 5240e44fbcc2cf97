/* small_model.h: a word model as tables of every word after every two, the sections
 * that say the same, and what a query asks of them, by looking at everything. */
#ifndef ESP_SMALL_MODEL_H
#define ESP_SMALL_MODEL_H

#include <math.h>
#include <stdio.h>

#include "../src/ngrams.h"
#include "../src/relations.h"
#include "small_index.h"

enum {
    MODEL_WORDS = 80, /* at most; enough for long lists and a second block */
    MODEL_NONE = 0xFFFF,
    MODEL_BYTES = 1 << 20,
    MODEL_RULES = 4
};

/* q of word w, or of the end (w = n), or MODEL_NONE where a list has it not.  The
 * beginning of a query is row n of `triple`. */
typedef struct small_model {
    uint32_t n;
    char text[MODEL_WORDS][16]; /* ascending */
    uint8_t word[MODEL_WORDS];
    uint8_t first[MODEL_WORDS];
    uint8_t rest[MODEL_WORDS];
    uint16_t pair[MODEL_WORDS][MODEL_WORDS + 1];
    uint16_t triple[MODEL_WORDS + 1][MODEL_WORDS][MODEL_WORDS + 1];
    uint8_t triple_rest[MODEL_WORDS + 1][MODEL_WORDS];
    esp_ngram_header head;
} small_model;

/* A section under construction. */
typedef struct small_bytes {
    uint8_t *data; /* MODEL_BYTES, aligned to 64 */
    size_t length;
} small_bytes;

static inline void small_put(small_bytes *to, const void *data, size_t length) {
    if (length > 0)
        memcpy(to->data + to->length, data, length);
    to->length += length;
}

static inline void small_put_u32(small_bytes *to, uint32_t number) {
    small_put(to, &number, sizeof number);
}

static inline small_bytes small_start(void) {
    return (small_bytes){.data = aligned_alloc(ESP_ALIGNMENT, MODEL_BYTES)};
}

/* A list of up to `most` words with any probabilities; the end is the n-th word. */
static inline void small_draw_list(uint16_t *list, uint32_t n, uint32_t most, uint64_t *random) {
    for (uint32_t w = 0; w <= n; w++)
        list[w] = MODEL_NONE;
    for (uint32_t i = small_draw(random, most + 1); i > 0; i--)
        list[small_draw(random, n + 1)] = (uint16_t)small_draw(random, 256);
}

/* Words are those of the labels of small_make(), as far as they go, and "de". */
static inline void small_model_draw(small_model *model, uint32_t n, uint32_t most, uint64_t seed) {
    uint64_t random = seed;
    memset(model, 0, sizeof *model);
    model->n = n;
    for (uint32_t w = 0; w < n; w++) {
        snprintf(model->text[w], sizeof model->text[w], "a%c%c", 'a' + (int)(w / 26),
            'a' + (int)(w % 26));
        if (w + 1 == n)
            strcpy(model->text[w], "de");
        model->word[w] = (uint8_t)small_draw(&random, 256);
        model->first[w] = (uint8_t)small_draw(&random, 256);
        model->rest[w] = (uint8_t)small_draw(&random, 100);
        small_draw_list(model->pair[w], n, most, &random);
    }
    for (uint32_t u = 0; u <= n; u++)
        for (uint32_t v = 0; v < n; v++) {
            const bool place = u == n || model->pair[u][v] != MODEL_NONE;
            small_draw_list(
                model->triple[u][v], n, place && small_draw(&random, 2) == 0 ? most : 0, &random);
            model->triple_rest[u][v] = (uint8_t)small_draw(&random, 100);
        }
    model->head = (esp_ngram_header){.n_words = n,
        .step = 0.05f,
        .mix_context = 0.4f,
        .mix_follow = 0.5f,
        .decay = 0.6f,
        .mix_related = 0.2f,
        .end = 30,
        .unknown = 200,
        .half_life = 600};
}

static inline uint32_t small_count(const uint16_t *list, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t w = 0; w <= n; w++)
        count += list[w] != MODEL_NONE;
    return count;
}

/* The best of a list, equals by word, that has not been taken; n + 1: none. */
static inline uint32_t small_best(const uint16_t *list, uint32_t n, const bool *taken) {
    uint32_t best = n + 1;
    for (uint32_t w = 0; w <= n; w++)
        if (list[w] != MODEL_NONE && !taken[w] && (best > n || list[w] < list[best]))
            best = w;
    return best;
}

/* Writes a list in the order of FORMAT.md; the words in that order to `order`. */
static inline uint32_t small_put_list(
    small_bytes *to, const uint16_t *list, uint32_t n, uint32_t *order) {
    bool taken[MODEL_WORDS + 1] = {false};
    const uint32_t count = small_count(list, n);
    uint32_t at = 0;
    for (uint32_t i = 0; count > 32 && i < 16; i++) {
        order[at] = small_best(list, n, taken);
        taken[order[at++]] = true;
    }
    for (uint32_t w = 0; w <= n; w++)
        if (list[w] != MODEL_NONE && !taken[w])
            order[at++] = w;
    for (uint32_t i = 0; i < count; i++)
        small_put_u32(to, order[i] | (uint32_t)list[order[i]] << 24);
    return count;
}

static inline void small_put_best(small_bytes *to, const uint8_t *q, uint32_t n) {
    for (uint32_t begin = 0; begin < n; begin += 64) {
        uint8_t least = 255;
        for (uint32_t i = begin; i < n && i < begin + 64; i++)
            least = q[i] < least ? q[i] : least;
        small_put(to, &least, 1);
    }
}

static inline small_bytes small_model_section(const small_model *model) {
    const uint32_t n = model->n;
    uint32_t order[MODEL_WORDS + 1];
    small_bytes pairs = small_start();
    small_bytes pair_ptr = small_start();
    small_bytes triples = small_start();
    small_bytes triple_ptr = small_start();
    small_bytes rests = small_start();
    uint64_t *bits = calloc(MODEL_WORDS * MODEL_WORDS, sizeof *bits);
    uint32_t n_contexts = 0;
    uint32_t n_triples = 0;
    uint32_t n_pairs = 0;
    uint32_t place = 0;
    small_put_u32(&pair_ptr, 0);
    small_put_u32(&triple_ptr, 0);
    for (uint32_t u = 0; u <= n; u++) {
        uint32_t count = n; /* of places: all words begin queries */
        for (uint32_t v = 0; v < n; v++)
            order[v] = v;
        if (u < n) {
            count = small_put_list(&pairs, model->pair[u], n, order);
            n_pairs += count;
            small_put_u32(&pair_ptr, n_pairs);
        }
        for (uint32_t i = 0; i < count; i++, place++) {
            uint32_t words[MODEL_WORDS + 1];
            if (order[i] == n || small_count(model->triple[u][order[i]], n) == 0)
                continue;
            n_triples += small_put_list(&triples, model->triple[u][order[i]], n, words);
            bits[place / 64] |= (uint64_t)1 << place % 64;
            small_put_u32(&triple_ptr, n_triples);
            small_put(&rests, &model->triple_rest[u][order[i]], 1);
            n_contexts++;
        }
    }
    small_bytes made = small_start();
    esp_ngram_header head = model->head;
    head.n_bigrams = n_pairs;
    head.n_contexts = n_contexts;
    head.n_trigrams = n_triples;
    small_put(&made, &head, sizeof head);
    const uint32_t masks = (place + 63) / 64;
    small_put(&made, bits, masks * sizeof *bits);
    uint32_t before = 0;
    for (uint32_t i = 0; i <= masks; i++) {
        small_put_u32(&made, before);
        for (uint32_t b = 0; i < masks && b < 64; b++)
            before += (uint32_t)(bits[i] >> b & 1);
    }
    small_put(&made, pair_ptr.data, pair_ptr.length);
    small_put(&made, pairs.data, pairs.length);
    small_put(&made, triple_ptr.data, triple_ptr.length);
    small_put(&made, triples.data, triples.length);
    small_put(&made, model->word, n);
    small_put(&made, model->first, n);
    small_put_best(&made, model->word, n);
    small_put_best(&made, model->first, n);
    small_put(&made, model->rest, n);
    small_put(&made, rests.data, rests.length);
    free(bits);
    free(pairs.data);
    free(pair_ptr.data);
    free(triples.data);
    free(triple_ptr.data);
    free(rests.data);
    return made;
}

static inline void small_model_words(const small_model *model, uint8_t **section, size_t *length) {
    uint8_t blob[MODEL_WORDS * 16];
    uint64_t offset[MODEL_WORDS + 1] = {0};
    for (uint32_t w = 0; w < model->n; w++) {
        const size_t bytes = strlen(model->text[w]);
        memcpy(blob + offset[w], model->text[w], bytes);
        offset[w + 1] = offset[w] + bytes;
    }
    esp_words_build(blob, offset, model->n, section, length, NULL);
}

/* Probability of `w` after `u` and `v`, numbers as esp_ngram_state() takes them. */
static inline float small_model_chance(
    const small_model *model, uint32_t u, uint32_t v, uint32_t w) {
    const uint32_t n = esp_min_u32(model->n, MODEL_WORDS);
    const float step = model->head.step;
    const uint32_t row = u == ESP_START ? n : u;
    float rest = 1;
    if (v < n && row <= n && w <= n && model->triple[row][v][w] != MODEL_NONE)
        return expf(-(float)model->triple[row][v][w] * step);
    if (v < n && row <= n && small_count(model->triple[row][v], n) > 0)
        rest *= expf(-(float)model->triple_rest[row][v] * step);
    if (v < n && w <= n && model->pair[v][w] != MODEL_NONE)
        return rest * expf(-(float)model->pair[v][w] * step);
    if (v < n)
        rest *= expf(-(float)model->rest[v] * step);
    const uint32_t q = w == n  ? model->head.end
                       : w > n ? model->head.unknown
                               : (v == ESP_START ? model->first[w] : model->word[w]);
    return rest * expf(-(float)q * step);
}

/* Relations with something of everything: every third word and label has a list. */
static inline small_bytes small_relations_section(
    uint32_t n_words, uint32_t n_labels, uint64_t seed) {
    static const esp_affix_rule rules[MODEL_RULES] = {
        {.chance = 0.5f, .at_end = 1, .n_add = 1, .add = "s"},
        {.chance = 0.25f, .at_end = 1, .n_strip = 1, .strip = "e", .n_add = 3, .add = "ing"},
        {.chance = 0.125f, .n_strip = 2, .strip = "\xC3\xA9", .n_add = 1, .add = "e"},
        {.chance = 1, .n_strip = 1, .strip = "a", .n_add = 8, .add = "abcdefgh"}};
    uint64_t random = seed;
    small_bytes keys = small_start();
    small_bytes ptr = small_start();
    small_bytes entries = small_start();
    small_bytes label_keys = small_start();
    small_bytes label_ptr = small_start();
    small_bytes followers = small_start();
    small_bytes users = small_start();
    esp_relation_header head = {.n_rules = MODEL_RULES};
    small_put_u32(&ptr, 0);
    for (uint32_t w = 0; w < n_words && n_words > 3; w += 3) {
        uint32_t q = 0;
        for (uint32_t i = 1; i <= 2; i++) {
            q += small_draw(&random, 100);
            small_put_u32(&entries, (w + i) % n_words | q << 24);
            head.n_related++;
        }
        small_put_u32(&keys, w);
        small_put_u32(&ptr, head.n_related);
        head.n_sources++;
    }
    small_put_u32(&label_ptr, 0);
    for (uint32_t l = 0; l < n_labels && n_labels > 3; l += 3) {
        for (uint32_t f = small_draw(&random, 4), at = 0; f < n_labels; f += 1 + at++ * 5) {
            if (f == l)
                continue;
            small_put_u32(&followers, f);
            small_put_u32(&users, 1 + small_draw(&random, 9));
            head.n_followers++;
        }
        small_put_u32(&label_keys, l);
        small_put_u32(&label_ptr, head.n_followers);
        head.n_heads++;
    }
    small_bytes made = small_start();
    small_put(&made, &head, sizeof head);
    small_put(&made, rules, sizeof rules);
    small_bytes *const parts[] = {
        &keys, &ptr, &entries, &label_keys, &label_ptr, &followers, &users};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        small_put(&made, parts[i]->data, parts[i]->length);
        free(parts[i]->data);
    }
    return made;
}

/* small_make() with a word model and relations beside it. */
static inline small_index small_make_spoken(uint32_t n_pairs, uint32_t n_words, uint64_t seed) {
    small_index plain = small_make(n_pairs, ESP_POST_L3_HINGE, 16);
    small_model *model = malloc(sizeof *model);
    small_model_draw(model, n_words, n_words, seed);
    const small_bytes ngrams = small_model_section(model);
    const small_bytes relations = small_relations_section(n_words, 2 * n_pairs, seed);
    uint8_t *words = NULL;
    size_t words_length = 0;
    small_model_words(model, &words, &words_length);
    small_part parts[SMALL_MOST];
    esp_index_info info;
    esp_index_get_info(plain.index, &info);
    for (uint32_t i = 0; i < info.n_sections; i++) {
        esp_section_info section;
        esp_index_get_section(plain.index, i, &section, NULL);
        parts[i] = (small_part){section.id, plain.bytes + section.offset, (size_t)section.length};
    }
    parts[info.n_sections] = (small_part){ESP_SEC_VOCA, words, words_length};
    parts[info.n_sections + 1] = (small_part){ESP_SEC_NGRM, ngrams.data, ngrams.length};
    parts[info.n_sections + 2] = (small_part){ESP_SEC_RELA, relations.data, relations.length};
    small_index made = small_assemble(parts, info.n_sections + 3);
    esp_index_open_memory(made.bytes, made.length, &made.index, NULL);
    small_free(&plain);
    free(model);
    free(ngrams.data);
    free(relations.data);
    esp_buffer_free(words);
    return made;
}

#endif
