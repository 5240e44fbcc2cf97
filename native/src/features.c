/* features.c: see features.h. */
#include "features.h"

#include <math.h>

#include "utf8.h"

enum {
    ESP_NGRAM_MAX = 3,
    ESP_WORD_GRAM_MAX = 5,
    ESP_SMALL_SORT = 48,
    /* Words of all previous queries that count.  Every one is looked up in every node on
     * the way through the tree, and a pasted page is no better context than its beginning. */
    ESP_CONTEXT_TERMS = 128
};

static const uint64_t word_seed = 0x9AE16A3B2F90404Fu;
static const uint64_t char_seed = 0xC3A5C85C97CB3127u;
static const uint64_t phrase_seed = 0xB492B66FBE98F273u;
static const uint64_t gram_seed = 0x9FB21C651E98DF25u;

/* FNV-1a over the bytes, then a 64-bit finaliser: n-grams are short, so the
 * finaliser makes the quality and a wider hash would not be quicker. */
static uint64_t hash_add(uint64_t hash, uint8_t byte) {
    return (hash ^ byte) * 0x100000001B3u;
}

static uint32_t hash_finish(uint64_t hash) {
    hash ^= hash >> 33;
    hash *= 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 33;
    hash *= 0xC4CEB9FE1A85EC53u;
    return (uint32_t)(hash >> 32);
}

static uint32_t hash_bytes(uint64_t seed, const uint8_t *text, size_t length) {
    uint64_t hash = seed;
    for (size_t i = 0; i < length; i++)
        hash = hash_add(hash, text[i]);
    return hash_finish(hash);
}

static esp_status push(esp_terms *terms, uint32_t key, float weight, esp_error *err) {
    if (ESP_UNLIKELY(terms->n == terms->cap))
        ESP_FAIL(err, ESP_E_LIMIT, "terms", terms->cap, "more than %zu features in one text",
            terms->cap);
    terms->item[terms->n++] = (esp_term){.key = key, .weight = weight};
    return ESP_OK;
}

/* Words are runs of letters, marks and digits.  In a script without spaces a
 * run is cut into overlapping pairs of characters, the usual stand-in for
 * words there; a single character stands alone. */
static esp_status add_words(
    esp_terms *terms, const uint8_t *text, size_t length, float factor, esp_error *err) {
    size_t i = 0;
    while (i < length) {
        uint32_t point = 0;
        uint32_t step = esp_utf8_step(text + i, length - i, &point);
        const esp_char_class class = esp_char_classify(point);
        if (class == ESP_CHAR_SEPARATOR) {
            i += step;
            continue;
        }
        size_t start = i;
        size_t previous = i;
        uint32_t run = 0;
        while (i < length) {
            step = esp_utf8_step(text + i, length - i, &point);
            if (esp_char_classify(point) != class)
                break;
            if (class == ESP_CHAR_UNSPACED && run > 0) {
                ESP_TRY(push(terms, hash_bytes(word_seed, text + previous, i + step - previous),
                    factor, err));
            }
            previous = i;
            i += step;
            run++;
        }
        if (class == ESP_CHAR_WORD || run == 1)
            ESP_TRY(push(terms, hash_bytes(word_seed, text + start, i - start), factor, err));
    }
    return ESP_OK;
}

/* One pass: the n-grams ending at each character are those that started one,
 * two and three characters before, whose hashes are carried along. */
static esp_status add_chars(esp_terms *terms, const uint8_t *text, size_t length, float factor,
    bool position_weighted, esp_error *err) {
    uint64_t hash[ESP_NGRAM_MAX] = {0}; /* of the n-grams begun n characters ago */
    size_t character = 0;
    for (size_t i = 0; i < length; character++) {
        const uint32_t step = esp_utf8_length(text[i]);
        for (size_t n = ESP_NGRAM_MAX - 1; n > 0; n--)
            hash[n] = hash[n - 1];
        hash[0] = char_seed;
        const size_t longest = character + 1 < ESP_NGRAM_MAX ? character + 1 : ESP_NGRAM_MAX;
        for (size_t n = 0; n < longest; n++) {
            for (uint32_t b = 0; b < step && i + b < length; b++)
                hash[n] = hash_add(hash[n], text[i + b]);
            const float weight = position_weighted ? factor / (float)(character - n + 1) : factor;
            ESP_TRY(push(terms, hash_finish(hash[n]), weight, err));
        }
        i += step;
    }
    return ESP_OK;
}

/* The next run of characters of one class, separators left out; false at the end. */
static bool next_run(const uint8_t *text, size_t length, size_t *begin, size_t *end) {
    size_t i = *end;
    uint32_t point = 0;
    esp_char_class class = ESP_CHAR_SEPARATOR;
    for (uint32_t step = 0; i < length && class == ESP_CHAR_SEPARATOR; i += step) {
        step = esp_utf8_step(text + i, length - i, &point);
        class = esp_char_classify(point);
        *begin = i;
    }
    while (i < length) {
        const uint32_t step = esp_utf8_step(text + i, length - i, &point);
        if (esp_char_classify(point) != class)
            break;
        i += step;
    }
    *end = i;
    return class != ESP_CHAR_SEPARATOR;
}

/* Runs of `n` words, hashed with a space between two. */
static esp_status add_phrases(esp_terms *terms, const uint8_t *text, size_t length, float factor,
    uint32_t n, esp_error *err) {
    uint64_t hash[ESP_NGRAM_MAX] = {0}; /* of the phrases begun so many words ago */
    uint32_t words = 0;
    for (size_t begin = 0, end = 0; next_run(text, length, &begin, &end);) {
        for (uint32_t p = n - 1; p > 0; p--)
            hash[p] = hash_add(hash[p - 1], ' ');
        hash[0] = phrase_seed + n;
        for (uint32_t p = 0; p < n; p++)
            for (size_t i = begin; i < end; i++)
                hash[p] = hash_add(hash[p], text[i]);
        if (++words >= n)
            ESP_TRY(push(terms, hash_finish(hash[n - 1]), factor, err));
    }
    return ESP_OK;
}

/* Runs of `n` characters of a word, which begins and ends with a mark that no word
 * has inside; a shorter word is one run. */
static esp_status add_grams(esp_terms *terms, const uint8_t *text, size_t length, float factor,
    uint32_t n, esp_error *err) {
    static const uint8_t mark[] = {'_'};
    for (size_t begin = 0, end = 0; next_run(text, length, &begin, &end);) {
        uint64_t hash[ESP_WORD_GRAM_MAX] = {0}; /* of the runs begun so many characters ago */
        uint32_t characters = 0;
        size_t i = begin;
        bool last = false;
        while (!last) {
            last = i == end;
            const bool at_mark = characters == 0 || last;
            const uint8_t *from = at_mark ? mark : text + i;
            const size_t bytes = at_mark ? 1 : esp_utf8_length(text[i]);
            i += characters == 0 || last ? 0 : bytes;
            for (uint32_t p = n - 1; p > 0; p--)
                hash[p] = hash[p - 1];
            hash[0] = gram_seed + n;
            for (uint32_t p = 0; p < n; p++)
                for (size_t b = 0; b < bytes; b++)
                    hash[p] = hash_add(hash[p], from[b]);
            if (++characters >= n)
                ESP_TRY(push(terms, hash_finish(hash[n - 1]), factor, err));
        }
        if (characters < n)
            ESP_TRY(push(terms, hash_finish(hash[characters - 1]), factor, err));
    }
    return ESP_OK;
}

esp_status esp_terms_add(esp_terms *terms, uint32_t kind, const uint8_t *text, size_t length,
    float factor, esp_error *err) {
    switch (kind) {
    case ESP_FEATURE_WORDS: return add_words(terms, text, length, factor, err);
    case ESP_FEATURE_CHARS: return add_chars(terms, text, length, factor, false, err);
    case ESP_FEATURE_CHARS_POSITION: return add_chars(terms, text, length, factor, true, err);
    case ESP_FEATURE_WORD_PAIRS:
    case ESP_FEATURE_WORD_TRIPLES:
        return add_phrases(terms, text, length, factor, kind - ESP_FEATURE_WORD_PAIRS + 2, err);
    case ESP_FEATURE_WORD_CHARS_3:
    case ESP_FEATURE_WORD_CHARS_4:
    case ESP_FEATURE_WORD_CHARS_5:
        return add_grams(terms, text, length, factor, kind - ESP_FEATURE_WORD_CHARS_3 + 3, err);
    default: ESP_FAIL(err, ESP_E_ARGUMENT, "kind", kind, "no feature kind %u", kind);
    }
}

static void sift_down(esp_term *item, size_t root, size_t n) {
    const esp_term moved = item[root];
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= n)
            break;
        if (child + 1 < n && item[child + 1].key > item[child].key)
            child++;
        if (item[child].key <= moved.key)
            break;
        item[root] = item[child];
        root = child;
    }
    item[root] = moved;
}

/* Queries have some forty terms: insertion.  Heapsort bounds the long ones; it
 * is not stable, but equal keys are added up, and their weights were given in
 * an order that is a function of the text alone. */
static void sort_terms(esp_term *item, size_t n) {
    if (n <= ESP_SMALL_SORT) {
        for (size_t i = 1; i < n; i++) {
            const esp_term moved = item[i];
            size_t j = i;
            for (; j > 0 && item[j - 1].key > moved.key; j--)
                item[j] = item[j - 1];
            item[j] = moved;
        }
        return;
    }
    for (size_t i = n / 2; i-- > 0;)
        sift_down(item, i, n);
    for (size_t end = n; end-- > 1;) {
        const esp_term top = item[0];
        item[0] = item[end];
        item[end] = top;
        sift_down(item, 0, end);
    }
}

void esp_terms_merge(esp_terms *terms, size_t from) {
    sort_terms(terms->item + from, terms->n - from);
    size_t out = from;
    for (size_t i = from; i < terms->n; i++) {
        if (out > from && terms->item[out - 1].key == terms->item[i].key)
            terms->item[out - 1].weight += terms->item[i].weight;
        else
            terms->item[out++] = terms->item[i];
    }
    terms->n = out;
}

/* Rank of `key`.  Keys are hashes, so the rank is close to proportional to the
 * key: guess, gallop to bracket it, bisect the bracket.  A bisection from the
 * whole range would touch fifteen cold cache lines instead of two or three. */
bool esp_feature_number(const esp_space *space, uint32_t key, uint32_t *rank) {
    const uint32_t *keys = space->keys;
    const size_t n = space->n_features;
    if (n == 0)
        return false;
    const size_t guess = (size_t)(((uint64_t)key * n) >> 32);
    size_t lo = 0; /* keys below lo are smaller, */
    size_t hi = n; /* keys from hi on are not */
    size_t step = 8;
    if (keys[guess] < key) {
        lo = guess + 1;
        while (lo + step < n && keys[lo + step] < key) {
            lo += step + 1;
            step *= 2;
        }
        hi = lo + step < n ? lo + step : n;
    } else {
        hi = guess;
        while (hi > step && keys[hi - step] >= key) {
            hi -= step;
            step *= 2;
        }
        lo = hi > step ? hi - step : 0;
    }
    while (lo < hi) {
        const size_t middle = lo + (hi - lo) / 2;
        if (keys[middle] < key)
            lo = middle + 1;
        else
            hi = middle;
    }
    *rank = (uint32_t)lo;
    return lo < n && keys[lo] == key;
}

void esp_terms_known(const esp_space *space, esp_terms *terms, size_t from) {
    esp_terms_merge(terms, from);
    size_t out = from;
    for (size_t i = from; i < terms->n; i++) {
        uint32_t rank = 0;
        if (!esp_feature_number(space, terms->item[i].key, &rank))
            continue;
        const float weight = terms->item[i].weight * space->idf[rank];
        terms->item[out++] = (esp_term){.key = rank, .weight = weight};
    }
    terms->n = out;
}

bool esp_terms_unit(esp_terms *terms, size_t from) {
    double squares = 0;
    for (size_t i = from; i < terms->n; i++)
        squares += (double)terms->item[i].weight * (double)terms->item[i].weight;
    if (!(squares > 0)) {
        terms->n = from; /* weights of zero alone: nothing to scale, nothing to keep */
        return false;
    }
    const float scale = (float)(1.0 / sqrt(squares));
    for (size_t i = from; i < terms->n; i++)
        terms->item[i].weight *= scale;
    return true;
}

/* Keys from item `from` on become known features, together of unit length. */
static bool finish_block(const esp_space *space, esp_terms *terms, size_t from) {
    esp_terms_known(space, terms, from);
    return esp_terms_unit(terms, from);
}

esp_status esp_vectorise(const esp_space *space, const esp_text *previous, uint32_t n_previous,
    const uint8_t *prefix, size_t prefix_length, esp_terms *terms, esp_error *err) {
    terms->n = 0;
    float factor = 1.0f;
    const uint32_t counted = esp_min_u32(n_previous, space->max_context);
    for (uint32_t i = 0; i < counted; i++) {
        ESP_TRY(esp_terms_add(
            terms, ESP_FEATURE_WORDS, previous[i].data, (size_t)previous[i].length, factor, err));
        if (terms->n >= ESP_CONTEXT_TERMS) {
            terms->n = ESP_CONTEXT_TERMS;
            break;
        }
        factor *= space->context_decay;
    }
    const bool has_context = finish_block(space, terms, 0);
    const size_t context_end = terms->n;
    bool has_prefix = false;
    if (space->prefix_features != ESP_PREFIX_NONE) {
        const uint32_t kind = space->prefix_features == ESP_PREFIX_POSITION_WEIGHTED
                                  ? ESP_FEATURE_CHARS_POSITION
                                  : ESP_FEATURE_CHARS;
        ESP_TRY(esp_terms_add(terms, kind, prefix, prefix_length, 1.0f, err));
        has_prefix = finish_block(space, terms, context_end);
    }
    if (has_context && has_prefix) {
        const float half = (float)sqrt(0.5);
        for (size_t i = 0; i < terms->n; i++)
            terms->item[i].weight *= half;
        esp_terms_merge(terms, 0); /* the blocks interleave in feature order */
    }
    return ESP_OK;
}

esp_status esp_features_hash(const uint8_t *blob, const uint64_t *offsets, const uint32_t *lengths,
    size_t n, uint32_t kind, uint32_t *out_key, float *out_weight, uint64_t *out_ptr, size_t cap,
    esp_error *err) {
    size_t longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = lengths[i] > longest ? lengths[i] : longest;
    esp_terms terms = {.cap = esp_terms_for(longest)};
    terms.item = esp_alloc(terms.cap, sizeof *terms.item);
    if (terms.item == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "terms", terms.cap, "no memory for %zu features", terms.cap);
    esp_status status = ESP_OK;
    size_t out = 0;
    out_ptr[0] = 0;
    for (size_t i = 0; i < n && status == ESP_OK; i++) {
        const uint8_t *text = blob + offsets[i];
        terms.n = 0;
        if (esp_utf8_check(text, lengths[i]) != lengths[i])
            status = esp_error_set(err, ESP_E_UTF8, 0, i, "utf8", "text %zu is not UTF-8", i);
        else
            status = esp_terms_add(&terms, kind, text, lengths[i], 1.0f, err);
        if (status != ESP_OK)
            break;
        esp_terms_merge(&terms, 0);
        if (terms.n > cap - out) {
            status = esp_error_set(err, ESP_E_LIMIT, 0, i, "cap",
                "no room for the features of text %zu in %zu entries", i, cap);
            break;
        }
        for (size_t t = 0; t < terms.n; t++) {
            out_key[out] = terms.item[t].key;
            out_weight[out++] = terms.item[t].weight;
        }
        out_ptr[i + 1] = out;
    }
    free(terms.item);
    return status;
}

static esp_status check_rows(const esp_rows *rows, size_t *longest, esp_error *err) {
    *longest = 0;
    for (size_t r = 0; r < rows->n_rows; r++) {
        const uint64_t begin = rows->context_ptr[r];
        const uint64_t end = rows->context_ptr[r + 1];
        if (begin > end)
            ESP_FAIL(err, ESP_E_ARGUMENT, "context_ptr", r, "context_ptr decreases at row %zu", r);
        size_t bytes = 0;
        for (uint64_t c = begin; c < end; c++) {
            if (rows->context[c] >= rows->n_texts)
                ESP_FAIL(err, ESP_E_ARGUMENT, "context", r, "row %zu names text %u of %u", r,
                    rows->context[c], rows->n_texts);
            bytes += rows->lengths[rows->context[c]];
        }
        if (rows->prefix_text[r] >= rows->n_texts ||
            rows->prefix_bytes[r] > rows->lengths[rows->prefix_text[r]])
            ESP_FAIL(err, ESP_E_ARGUMENT, "prefix", r, "row %zu has a prefix outside its text", r);
        bytes += rows->prefix_bytes[r];
        *longest = bytes > *longest ? bytes : *longest;
    }
    return ESP_OK;
}

/* Every text used must be UTF-8, and a prefix must end between characters. */
static esp_status check_texts(const esp_rows *rows, esp_error *err) {
    for (size_t i = 0; i < rows->n_texts; i++)
        if (esp_utf8_check(rows->blob + rows->offsets[i], rows->lengths[i]) != rows->lengths[i])
            ESP_FAIL(err, ESP_E_UTF8, "utf8", i, "text %zu is not UTF-8", i);
    for (size_t r = 0; r < rows->n_rows; r++) {
        const uint32_t text = rows->prefix_text[r];
        const uint32_t cut = rows->prefix_bytes[r];
        if (cut < rows->lengths[text] && (rows->blob[rows->offsets[text] + cut] & 0xC0u) == 0x80u)
            ESP_FAIL(err, ESP_E_UTF8, "prefix", r, "row %zu cuts a character", r);
    }
    return ESP_OK;
}

/* Previous queries of the row that has most. */
static uint32_t most_previous(const esp_rows *rows) {
    uint64_t most = 0;
    for (size_t r = 0; r < rows->n_rows; r++) {
        const uint64_t n = rows->context_ptr[r + 1] - rows->context_ptr[r];
        most = n > most ? n : most;
    }
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

esp_status esp_features_vectorise(const esp_space *space, const esp_rows *rows, uint64_t *out_ptr,
    uint32_t *out_col, float *out_val, size_t cap, esp_error *err) {
    size_t longest = 0;
    ESP_TRY(check_rows(rows, &longest, err));
    ESP_TRY(check_texts(rows, err));
    const uint32_t max_context = esp_min_u32(space->max_context, most_previous(rows));
    esp_terms terms = {.cap = esp_terms_for(longest)};
    terms.item = esp_alloc(terms.cap, sizeof *terms.item);
    esp_text *previous = esp_alloc(max_context, sizeof *previous);
    esp_status status = ESP_OK;
    if (terms.item == NULL || previous == NULL) {
        status = esp_error_set(err, ESP_E_MEMORY, 0, longest, "terms", "no memory for a row");
        goto cleanup;
    }
    size_t out = 0;
    out_ptr[0] = 0;
    for (size_t r = 0; r < rows->n_rows; r++) {
        uint32_t n_previous = 0;
        for (uint64_t c = rows->context_ptr[r];
            c < rows->context_ptr[r + 1] && n_previous < max_context; c++) {
            const uint32_t text = rows->context[c];
            previous[n_previous++] =
                (esp_text){.data = rows->blob + rows->offsets[text], .length = rows->lengths[text]};
        }
        status = esp_vectorise(space, previous, n_previous,
            rows->blob + rows->offsets[rows->prefix_text[r]], rows->prefix_bytes[r], &terms, err);
        if (status != ESP_OK)
            goto cleanup;
        if (terms.n > cap - out) {
            status = esp_error_set(err, ESP_E_LIMIT, 0, r, "cap",
                "no room for the features of row %zu in %zu entries", r, cap);
            goto cleanup;
        }
        for (size_t t = 0; t < terms.n; t++) {
            out_col[out] = terms.item[t].key;
            out_val[out++] = terms.item[t].weight;
        }
        out_ptr[r + 1] = out;
    }
cleanup:
    free(previous);
    free(terms.item);
    return status;
}
