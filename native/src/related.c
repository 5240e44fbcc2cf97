/* related.c: four ways from the words of a query to words of the next.
 *
 *   forms        "shoe" -> "shoes", "target" -> "target.com": affix rules learned
 *                from the log, applied to any word, known or not
 *   corrections  "brittney" -> "britney": a more common word that differs in one
 *                place by at most two letters
 *   spacing      "my space" -> "myspace", and back
 *   topics       "britney" -> "lyrics": what people type after it
 *
 * A related word is one more word of the session, with a weight of its own. */
#include "related.h"

enum {
    QUERIES = 2,        /* previous queries whose words are looked at */
    NEAR_BYTES = 4,     /* shorter words are not corrected */
    NEAR_SHARED = 2,    /* a correction begins with as many bytes */
    NEAR_LOOKED = 1024, /* words compared with one of the session, at most */
    NEAR_BUDGET = 6144, /* and with all of them */
    PART_BYTES = 3,     /* of a word that is cut in two, at least */
    PARTED_BYTES = 40,  /* of that word, at most */
    TOPICS = 48,        /* entries looked at per word */
    FOUND = 96,
    FITTING = 16, /* that begin as typed */
    LATER = 8     /* that do not: words for later */
};

/* Against using the word again. */
static const float CORRECTION = 0.3f;
static const float CORRECTED_TIMES = 2.7725887f; /* log of 16 times as common */
static const float JOINED = 0.2f;
static const float PART = 0.2f;

typedef struct esp_relative {
    const uint8_t *text;
    uint32_t length;
    uint32_t word; /* in the vocabulary; ESP_NO_WORD: not looked up */
    uint32_t like; /* the word it is a form of, or ESP_NOT_THERE */
    float weight;
} esp_relative;

typedef struct esp_relatives {
    esp_context *context;
    const esp_index *index;
    const esp_typed *typed;
    uint32_t lo; /* words of the vocabulary that begin as typed */
    uint32_t hi;
    uint32_t near_left;            /* of NEAR_BUDGET */
    esp_relative fitting[FITTING]; /* best first */
    esp_relative later[LATER];
    uint32_t n_fitting;
    uint32_t n_later;
} esp_relatives;

static uint32_t insert(esp_relative *list, uint32_t n, uint32_t cap, const esp_relative *one) {
    for (uint32_t i = 0; i < n; i++)
        if (list[i].length == one->length && memcmp(list[i].text, one->text, one->length) == 0) {
            list[i].weight += one->weight;
            return n;
        }
    if (n == cap && one->weight <= list[n - 1].weight)
        return n;
    uint32_t at = n < cap ? n++ : n - 1;
    for (; at > 0 && list[at - 1].weight < one->weight; at--)
        list[at] = list[at - 1];
    list[at] = *one;
    return n;
}

static bool fits(const esp_relatives *r, const uint8_t *text, uint32_t length) {
    return length >= r->typed->partial_length &&
           memcmp(text, r->typed->partial, r->typed->partial_length) == 0;
}

static void add(esp_relatives *r, const esp_relative *one) {
    if (esp_context_find(r->context, one->text, one->length,
            esp_word_hash(one->text, one->length)) != ESP_NOT_THERE)
        return; /* the session has the word itself */
    if (fits(r, one->text, one->length))
        r->n_fitting = insert(r->fitting, r->n_fitting, FITTING, one);
    else
        r->n_later = insert(r->later, r->n_later, LATER, one);
}

static void add_forms(esp_relatives *r, uint32_t number) {
    esp_context *context = r->context;
    const esp_context_word *word = &context->word[number];
    const esp_relations *relations = &r->index->relations;
    for (uint32_t i = 0; relations->head != NULL && i < relations->head->n_rules; i++) {
        uint8_t *made = context->made + context->n_made;
        const uint32_t length = esp_affix_apply(&relations->rule[i], word->text, word->length, made,
            ESP_CONTEXT_MADE - context->n_made);
        if (length == 0 || (r->typed->partial_length > 0 && !fits(r, made, length)))
            continue;
        /* A rule makes "shoess", too.  A word that people use has forms that they use; of one
         * that nobody knows, a form is worth telling once it is being typed. */
        const uint32_t form =
            esp_word_find(&r->index->words, made, length, esp_word_hash(made, length));
        if (form == ESP_NO_WORD && (word->word != ESP_NO_WORD || r->typed->partial_length == 0))
            continue;
        context->n_made += length;
        add(r,
            &(esp_relative){made, length, form, number, word->weight * relations->rule[i].chance});
    }
}

/* Whether two words differ in one place only, by at most two bytes. */
static bool is_near(const uint8_t *a, uint32_t a_length, const uint8_t *b, uint32_t b_length) {
    const uint32_t longer = esp_max_u32(a_length, b_length);
    const uint32_t shorter = esp_min_u32(a_length, b_length);
    if (longer - shorter > 2)
        return false;
    uint32_t head = 0;
    while (head < shorter && a[head] == b[head])
        head++;
    uint32_t tail = 0;
    while (tail < shorter - head && a[a_length - 1 - tail] == b[b_length - 1 - tail])
        tail++;
    return head + tail + 2 >= longer;
}

static void add_corrections(esp_relatives *r, uint32_t number) {
    const esp_words *words = &r->index->words;
    const uint8_t *q = r->index->ngrams.word;
    const esp_context_word *word = &r->context->word[number];
    if (word->length < NEAR_BYTES || q == NULL)
        return;
    uint32_t lo = r->lo;
    uint32_t hi = r->hi;
    if (r->typed->partial_length <= NEAR_SHARED)
        esp_words_range(words, word->text, NEAR_SHARED, &lo, &hi);
    /* What has been typed says more about where the two differ. */
    else if (memcmp(r->typed->partial, word->text, NEAR_SHARED) != 0)
        return;
    const uint32_t own = word->word == ESP_NO_WORD ? 256 : q[word->word];
    /* "civic" is no error for "civil", though that is more common: not by so much. */
    const uint32_t far = (uint32_t)(CORRECTED_TIMES / r->index->ngrams.head->step);
    const uint32_t least = own > far ? own - far : 0;
    const uint32_t looked = esp_min_u32(hi - lo, esp_min_u32(NEAR_LOOKED, r->near_left));
    r->near_left -= looked;
    for (uint32_t i = lo; i < lo + looked; i++) {
        uint32_t length = 0;
        if (q[i] >= least)
            continue;
        const uint8_t *text = esp_word_text(words, i, &length);
        if (text != NULL && is_near(text, length, word->text, word->length))
            add(r, &(esp_relative){text, length, i, number,
                       word->weight * CORRECTION * (1 + (float)(own - q[i]) / 64)});
    }
}

/* "my space" -> "myspace". */
static void add_joined(esp_relatives *r, uint32_t first, uint32_t second) {
    esp_context *context = r->context;
    const esp_context_word *a = &context->word[first];
    const esp_context_word *b = &context->word[second];
    const uint32_t length = a->length + b->length;
    uint8_t *made = context->made + context->n_made;
    if (length > ESP_CONTEXT_MADE - context->n_made)
        return;
    memcpy(made, a->text, a->length);
    memcpy(made + a->length, b->text, b->length);
    if (r->typed->partial_length > 0 && !fits(r, made, length))
        return;
    context->n_made += length;
    add(r, &(esp_relative){made, length, ESP_NO_WORD, first, a->weight * JOINED});
}

/* "myspacelayouts" -> "myspace", "layouts": where the rarer part is most common. */
static void add_parts(esp_relatives *r, uint32_t number) {
    const esp_words *words = &r->index->words;
    const uint8_t *q = r->index->ngrams.word;
    const esp_context_word *word = &r->context->word[number];
    if (q == NULL || word->length < 2 * PART_BYTES || word->length > PARTED_BYTES)
        return;
    uint32_t least = word->word == ESP_NO_WORD ? 256 : q[word->word];
    uint32_t best = 0;
    uint32_t part[2] = {0};
    for (uint32_t at = PART_BYTES; at + PART_BYTES <= word->length; at++) {
        const uint32_t a = esp_word_find(words, word->text, at, esp_word_hash(word->text, at));
        if (a == ESP_NO_WORD || q[a] >= least)
            continue;
        const uint32_t left = word->length - at;
        const uint32_t b =
            esp_word_find(words, word->text + at, left, esp_word_hash(word->text + at, left));
        if (b == ESP_NO_WORD || q[b] >= least)
            continue;
        least = esp_max_u32(q[a], q[b]);
        best = at;
        part[0] = a;
        part[1] = b;
    }
    if (best == 0)
        return;
    const float weight = word->weight * PART;
    add(r, &(esp_relative){word->text, best, part[0], number, weight});
    add(r, &(esp_relative){word->text + best, word->length - best, part[1], number, weight});
}

/* Whether a word that does not begin as typed would change nothing: there is no room
 * for it, and it is not there to become heavier.  All that are there have a number. */
static bool is_too_late(const esp_relatives *r, uint32_t word, float weight) {
    if (r->typed->partial_length == 0 || (word >= r->lo && word < r->hi) || r->n_later < LATER ||
        weight > r->later[LATER - 1].weight)
        return false;
    for (uint32_t i = 0; i < LATER; i++)
        if (r->later[i].word == word)
            return false;
    return true;
}

static void add_topics(esp_relatives *r, uint32_t number) {
    const esp_context_word *word = &r->context->word[number];
    const uint32_t *entries = NULL;
    const uint32_t n = esp_related_words(&r->index->relations, word->word, &entries);
    for (uint32_t i = 0; i < n && i < TOPICS; i++) {
        const uint32_t other = entries[i] & (ESP_WORD_LIMIT - 1);
        const float weight = word->weight * r->index->ngrams.chance[entries[i] >> 24];
        if (is_too_late(r, other, weight))
            continue;
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(&r->index->words, other, &length);
        if (text != NULL)
            add(r, &(esp_relative){text, length, other, ESP_NOT_THERE, weight});
    }
}

static void keep(esp_relatives *r, const esp_relative *list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        /* What has a number is in the vocabulary, which has nothing blocked. */
        if (list[i].word == ESP_NO_WORD &&
            esp_blocklist_hides(&r->index->blocklist, list[i].text, list[i].length, false))
            continue;
        const uint32_t number = esp_context_add(
            r->context, &r->index->words, list[i].text, list[i].length, ESP_CONTEXT_WORDS);
        if (number == ESP_NOT_THERE)
            return;
        r->context->word[number].weight = list[i].weight;
        r->context->word[number].like = list[i].like == ESP_NOT_THERE ? number : list[i].like;
    }
}

void esp_related_fill(esp_context *context, const esp_index *index, const esp_typed *typed) {
    esp_relatives r = {
        .context = context, .index = index, .typed = typed, .near_left = NEAR_BUDGET};
    const uint32_t n_queries = esp_min_u32(context->n_queries, QUERIES);
    if (index->ngrams.head == NULL || n_queries == 0)
        return;
    if (typed->partial_length > 0)
        esp_words_range(&index->words, typed->partial, typed->partial_length, &r.lo, &r.hi);
    uint64_t done = 0;
    for (uint32_t t = 0; t < context->begin[n_queries]; t++) {
        const uint32_t number = context->token[t];
        if ((done >> number & 1) != 0)
            continue;
        done |= (uint64_t)1 << number;
        add_forms(&r, number);
        add_corrections(&r, number);
        add_topics(&r, number);
        add_parts(&r, number);
    }
    for (uint32_t i = 0; i < n_queries; i++)
        for (uint32_t t = context->begin[i]; t + 1 < context->begin[i + 1]; t++)
            add_joined(&r, context->token[t], context->token[t + 1]);
    keep(&r, r.fitting, r.n_fitting);
    keep(&r, r.later, r.n_later);
}
