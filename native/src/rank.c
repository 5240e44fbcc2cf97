/* rank.c: features of candidates.
 *
 * Every candidate gets every feature from its text and numbers alone, whatever
 * source found it: a generated query is judged by the same measures as a label. */
#include "rank.h"

#include <float.h>
#include <math.h>

static const char *const NAMES[] = {
#define ESP_RANK_ONE(name, group) #name,
    ESP_RANK_FEATURES(ESP_RANK_ONE)
#undef ESP_RANK_ONE
};

static const uint8_t GROUPS[] = {
#define ESP_RANK_ONE(name, group) ESP_GROUP_##group,
    ESP_RANK_FEATURES(ESP_RANK_ONE)
#undef ESP_RANK_ONE
};

const char *esp_rank_name(uint32_t feature) {
    return feature < ESP_RANK_COUNT ? NAMES[feature] : NULL;
}

uint32_t esp_rank_group(uint32_t feature) {
    return feature < ESP_RANK_COUNT ? GROUPS[feature] : ESP_GROUP_COUNT;
}

uint32_t esp_rank_features_id(void) {
    uint32_t id = ESP_RANK_COUNT;
    for (uint32_t f = 0; f < ESP_RANK_COUNT; f++)
        id = (id * 31) ^ esp_word_hash((const uint8_t *)NAMES[f], strlen(NAMES[f]));
    return id;
}

/* ---- texts -------------------------------------------------------------- */

static void sign(const uint8_t *text, size_t length, esp_signature *signature) {
    *signature = (esp_signature){.n = 0};
    uint32_t window = ' ';
    for (size_t i = 0; i < length; i++) {
        window = (window << 8 | text[i]) & 0xFFFFFF;
        if (i == 0)
            continue;
        const uint32_t hash = (window * 0x9E3779B1u) >> 24;
        signature->bits[hash / 64] |= (uint64_t)1 << (hash % 64);
    }
    for (int i = 0; i < ESP_SIGNATURE; i++)
        signature->n += esp_count_bits(signature->bits[i]);
}

static float alike(const esp_signature *a, const esp_signature *b) {
    uint32_t both = 0;
    for (int i = 0; i < ESP_SIGNATURE; i++)
        both += esp_count_bits(a->bits[i] & b->bits[i]);
    const uint32_t either = a->n + b->n - both;
    return either == 0 ? 0 : (float)both / (float)either;
}

static uint32_t common_bytes(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
    const size_t most = a_length < b_length ? a_length : b_length;
    size_t n = 0;
    while (n < most && a[n] == b[n])
        n++;
    return (uint32_t)n;
}

/* ---- the query ---------------------------------------------------------- */

static esp_word_of find_word(const esp_rank_query *query, const uint8_t *text, uint32_t length) {
    const uint32_t hash = esp_word_hash(text, length);
    return (esp_word_of){.word = esp_word_find(&query->index->words, text, length, hash),
        .session = query->context->n_words == 0
                       ? ESP_NOT_THERE
                       : esp_context_find(query->context, text, length, hash)};
}

void esp_rank_start(esp_rank_query *query, const esp_index *index, esp_steps *steps,
    const esp_typed *typed, const esp_tails *tails, const uint8_t *prefix, uint32_t length) {
    const esp_context *context = steps->context;
    *query = (esp_rank_query){.index = index,
        .context = context,
        .steps = steps,
        .typed = typed,
        .tails = tails,
        .prefix = prefix,
        .prefix_length = length,
        .n_typed = typed->n_words,
        .first_users = 1,
        .log_age = NAN};
    const size_t complete = length - typed->partial_length;
    size_t at = 0;
    const uint8_t *text = NULL;
    uint32_t bytes = 0;
    for (uint32_t n = 0;
        n < ESP_CANDIDATE_WORDS && esp_next_word(prefix, complete, &at, &text, &bytes); n++)
        query->typed_word[n] = find_word(query, text, bytes);
    for (uint32_t q = 0; q < context->n_queries; q++)
        sign(context->query[q].data, (size_t)context->query[q].length, &query->signature[q]);
    if (context->n_queries == 0)
        return;
    for (uint32_t t = context->begin[0]; t < context->begin[1]; t++)
        query->words_of_first |= (uint64_t)1 << context->token[t];
    const uint32_t shared = esp_count_bits(typed->used & query->words_of_first);
    query->typed_shared = typed->n_words == 0 ? 0 : (float)shared / (float)typed->n_words;
    query->typed_follows = length == 0 ? 0
                                       : (float)common_bytes(prefix, length, context->query[0].data,
                                             (size_t)context->query[0].length) /
                                             (float)length;
}

/* ---- one candidate ------------------------------------------------------ */

/* The words of a candidate, at most ESP_CANDIDATE_WORDS. */
static uint32_t cut(const esp_rank_query *query, const esp_candidate *c, esp_word_of *out) {
    size_t at = 0;
    const uint8_t *text = NULL;
    uint32_t length = 0;
    uint32_t n = 0;
    if (c->edits == 0) { /* begins as typed: so far its words are known */
        n = esp_min_u32(query->n_typed, ESP_CANDIDATE_WORDS);
        memcpy(out, query->typed_word, n * sizeof *out);
        at = query->prefix_length - query->typed->partial_length;
    }
    if (c->made > 0) {
        const esp_tail_node *path[ESP_TAIL_WORDS];
        const uint32_t made = esp_tails_path(query->tails, c->made - 1, path);
        for (uint32_t i = 0; i < made && n < ESP_CANDIDATE_WORDS; i++)
            out[n++] = (esp_word_of){.word = path[i]->word, .session = path[i]->session};
        return n;
    }
    while (n < ESP_CANDIDATE_WORDS && esp_next_word(c->text, c->length, &at, &text, &length))
        out[n++] = find_word(query, text, length);
    return n;
}

/* How likely the words still to come are, after those that have been typed. */
static void add_chances(
    const esp_rank_query *query, const esp_word_of *word, uint32_t n, float *x) {
    const esp_ngrams *ngrams = &query->index->ngrams;
    const esp_context *context = query->context;
    if (ngrams->head == NULL)
        return;
    esp_moment moment = esp_typed_moment(query->typed);
    /* Products, and one logarithm in the end: doubles hold 37 words of exp(-19). */
    double plain = 1;
    double mixed = 1;
    float weakest = 1;
    uint32_t new_pairs = 0;
    for (uint32_t i = esp_min_u32(query->n_typed, n); i <= n; i++) {
        const bool end = i == n;
        const uint32_t next = end ? ngrams->head->n_words : word[i].word;
        const uint32_t session = end ? ESP_NOT_THERE : word[i].session;
        const esp_step *step = esp_steps_get(query->steps, &moment);
        bool listed = false;
        const float chance = esp_ngram_chance(ngrams, &step->state, next, &listed);
        plain *= (double)chance;
        mixed *= (double)esp_step_chance(step, context, chance, session, end);
        if (end) {
            x[ESP_RANK_end_chance] = logf(chance);
            break;
        }
        weakest = chance < weakest ? chance : weakest;
        new_pairs += moment.word != ESP_START && !listed;
        moment = (esp_moment){.before = moment.word,
            .word = next,
            .last = session,
            .used = moment.used | esp_context_bits(context, session)};
    }
    x[ESP_RANK_word_chance] = (float)log(plain + DBL_MIN);
    x[ESP_RANK_weakest_word] = logf(weakest);
    x[ESP_RANK_new_pairs] = (float)new_pairs;
    x[ESP_RANK_session_chance] = (float)log(mixed + DBL_MIN);
    x[ESP_RANK_session_lift] = x[ESP_RANK_session_chance] - x[ESP_RANK_word_chance];
}

static void add_context(const esp_rank_query *query, const esp_candidate *c,
    const esp_word_of *word, uint32_t n, float *x) {
    const esp_context *context = query->context;
    x[ESP_RANK_n_previous] = (float)context->n_queries;
    x[ESP_RANK_typed_shared] = query->typed_shared;
    x[ESP_RANK_typed_follows] = query->typed_follows;
    x[ESP_RANK_log_age] = query->log_age;
    if (context->n_queries == 0)
        return;
    uint64_t there = 0;
    uint32_t strange = 0;
    uint32_t related = 0;
    float weight = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t session = word[i].session;
        if (session < context->n_own) {
            there |= (uint64_t)1 << session;
            continue;
        }
        strange++;
        if (session == ESP_NOT_THERE)
            continue;
        related++;
        weight += context->word[session].weight;
    }
    x[ESP_RANK_related_words] = (float)related;
    x[ESP_RANK_related_weight] = weight;
    const uint32_t shared = esp_count_bits(there & query->words_of_first);
    const uint32_t of_first = esp_count_bits(query->words_of_first);
    x[ESP_RANK_shared_words] = (float)shared;
    x[ESP_RANK_shared_of_candidate] = n == 0 ? 0 : (float)shared / (float)n;
    x[ESP_RANK_shared_of_previous] = of_first == 0 ? 0 : (float)shared / (float)of_first;
    x[ESP_RANK_new_words] = (float)strange;
    const uint8_t *first = context->query[0].data;
    const size_t first_length = (size_t)context->query[0].length;
    const uint32_t common = common_bytes(c->text, c->length, first, first_length);
    x[ESP_RANK_common_bytes] = (float)common;
    x[ESP_RANK_extends] =
        common == first_length && common < c->length && c->text[common] == ' ' ? 1 : 0;
    x[ESP_RANK_truncates] =
        common == c->length && common < first_length && first[common] == ' ' ? 1 : 0;
    esp_signature own;
    sign(c->text, c->length, &own);
    x[ESP_RANK_similarity] = alike(&own, &query->signature[0]);
    for (uint32_t q = 1; q < context->n_queries; q++) {
        const float older = alike(&own, &query->signature[q]);
        if (older > x[ESP_RANK_similarity_older])
            x[ESP_RANK_similarity_older] = older;
    }
    for (uint32_t q = 0; q < query->n_previous; q++) {
        if (query->previous[q].length != c->length ||
            memcmp(query->previous[q].data, c->text, c->length) != 0)
            continue;
        if (x[ESP_RANK_repeated] == 0)
            x[ESP_RANK_repeats] = 1 / (float)(q + 1);
        x[ESP_RANK_repeated]++;
    }
}

static void add_text(const esp_rank_query *query, const esp_candidate *c, uint32_t n, float *x) {
    x[ESP_RANK_prefix_bytes] = (float)query->prefix_length;
    x[ESP_RANK_prefix_words] = (float)query->n_typed;
    x[ESP_RANK_partial_bytes] = (float)query->typed->partial_length;
    x[ESP_RANK_bytes] = (float)c->length;
    x[ESP_RANK_bytes_left] = (float)c->length - (float)c->matched;
    x[ESP_RANK_words_left] = (float)(n - esp_min_u32(query->n_typed, n));
    x[ESP_RANK_ends_word] =
        c->matched >= c->length || (c->matched > 0 && c->text[c->matched] == ' ') ? 1 : 0;
    x[ESP_RANK_is_address] = memchr(c->text, '.', c->length) != NULL ? 1 : 0;
}

static void fill_one(const esp_rank_query *query, const esp_candidate *c, float *x) {
    memset(x, 0, ESP_RANK_COUNT * sizeof *x);
    const bool is_label = c->label != ESP_NO_LABEL;
    const float users = is_label ? (float)query->index->users[c->label] : 0;
    x[ESP_RANK_log_users] = logf(1 + users);
    x[ESP_RANK_log_share] = logf(c->popularity + 0.5f * query->one_user);
    x[ESP_RANK_is_label] = is_label ? 1 : 0;
    x[ESP_RANK_log_range] = logf(1 + (float)query->range_labels);
    /* The tree knows labels only, and if at all was asked about those that begin as typed. */
    x[ESP_RANK_model] = query->has_model && is_label && c->edits == 0 ? c->model : NAN;
    x[ESP_RANK_followed] = logf(1 + (float)c->followed);
    x[ESP_RANK_followed_share] = (float)c->followed / query->first_users;
    x[ESP_RANK_by_model] = (c->sources & ESP_SOURCE_MODEL) != 0 ? 1.0f : 0.0f;
    x[ESP_RANK_by_popularity] = (c->sources & ESP_SOURCE_POPULAR) != 0 ? 1.0f : 0.0f;
    x[ESP_RANK_by_tail] = (c->sources & ESP_SOURCE_TAIL) != 0 ? 1.0f : 0.0f;
    x[ESP_RANK_edits] = (float)c->edits;
    esp_word_of word[ESP_CANDIDATE_WORDS];
    const uint32_t n = cut(query, c, word);
    add_chances(query, word, n, x);
    add_context(query, c, word, n, x);
    add_text(query, c, n, x);
}

/* What a number is worth shows beside the best of the same list. */
static void add_gap(uint32_t from, uint32_t to, uint32_t n, float *x) {
    float best = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        if (x[i * ESP_RANK_COUNT + from] > best)
            best = x[i * ESP_RANK_COUNT + from];
    for (uint32_t i = 0; i < n; i++)
        x[i * ESP_RANK_COUNT + to] = x[i * ESP_RANK_COUNT + from] - best; /* NaN stays */
}

void esp_rank_fill(
    const esp_rank_query *query, const esp_candidate *const *candidates, uint32_t n, float *x) {
    for (uint32_t i = 0; i < n; i++)
        fill_one(query, candidates[i], x + (size_t)i * ESP_RANK_COUNT);
    add_gap(ESP_RANK_model, ESP_RANK_model_gap, n, x);
    add_gap(ESP_RANK_word_chance, ESP_RANK_word_chance_gap, n, x);
    add_gap(ESP_RANK_session_chance, ESP_RANK_session_chance_gap, n, x);
}

void esp_rank_forget(uint32_t off, uint32_t n, float *x) {
    if (off == 0)
        return;
    for (uint32_t f = 0; f < ESP_RANK_COUNT; f++)
        if ((off >> GROUPS[f] & 1) != 0)
            for (uint32_t i = 0; i < n; i++)
                x[(size_t)i * ESP_RANK_COUNT + f] = NAN;
}
