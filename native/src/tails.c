/* tails.c: generating completions word by word.
 *
 *   "cheap fli|"   -> the word being typed: every likely word that begins so,
 *                     and the session's own words, known to the log or not
 *                  -> then whole words, until the end is the likeliest thing
 */
#include "tails.h"

typedef struct esp_generation {
    esp_tails *tails;
    esp_steps *steps;
    const esp_words *words;
    const esp_context *context;
    const esp_typed *typed;
    esp_tail_node next[ESP_TAIL_BEAM]; /* hypotheses one word longer, best first */
    uint32_t n_next;
} esp_generation;

/* The worst completion there is room for. */
static double least(const esp_generation *g) {
    return g->tails->n < ESP_TAILS ? 0 : g->tails->chance[ESP_TAILS - 1];
}

static void keep_next(esp_generation *g, const esp_tail_node *node) {
    uint32_t at = g->n_next;
    if (at == ESP_TAIL_BEAM) {
        if (node->chance <= g->next[at - 1].chance)
            return;
        at--;
    } else {
        g->n_next++;
    }
    while (at > 0 && g->next[at - 1].chance < node->chance) {
        g->next[at] = g->next[at - 1];
        at--;
    }
    g->next[at] = *node;
}

static void keep_tail(esp_generation *g, uint32_t node, double chance) {
    esp_tails *tails = g->tails;
    uint32_t at = tails->n;
    if (at == ESP_TAILS) {
        if (chance <= tails->chance[at - 1])
            return;
        at--;
    } else {
        tails->n++;
    }
    while (at > 0 && tails->chance[at - 1] < chance) {
        tails->chance[at] = tails->chance[at - 1];
        tails->last[at] = tails->last[at - 1];
        at--;
    }
    tails->chance[at] = chance;
    tails->last[at] = node;
}

/* A word to go on with after node `from`, which has `bytes` bytes and stands at
 * `moment`. */
typedef struct esp_origin {
    esp_moment moment;
    double chance;
    const esp_state *state; /* of the word model, there */
    uint32_t node;
    uint32_t bytes; /* generated so far */
} esp_origin;

/* Whether a hypothesis of this chance would be kept. */
static bool counts(const esp_generation *g, double chance) {
    return chance > least(g) &&
           (g->n_next < ESP_TAIL_BEAM || chance > g->next[ESP_TAIL_BEAM - 1].chance);
}

/* Whether a word already stands in the query. */
static bool is_there(
    const esp_generation *g, const esp_origin *from, uint32_t word, uint32_t session) {
    const esp_typed *typed = g->typed;
    if (session != ESP_NOT_THERE && (typed->said >> session & 1) != 0)
        return true;
    for (uint32_t i = 0; word != ESP_NO_WORD && i < typed->n_words && i < ESP_TYPED_WORDS; i++)
        if (typed->word[i] == word)
            return true;
    for (uint32_t at = from->node; at != ESP_NO_WORD; at = g->tails->node[at].parent) {
        const esp_tail_node *node = &g->tails->node[at];
        if (node->word == word && (word != ESP_NO_WORD || node->session == session))
            return true;
    }
    return false;
}

static void offer(esp_generation *g, const esp_origin *from, uint32_t word, uint32_t session,
    uint32_t length, float step) {
    const double chance = from->chance * (double)step;
    const uint32_t bytes = from->bytes + length + 1;
    if (bytes > ESP_TAIL_BYTES || !counts(g, chance))
        return;
    /* "new york new york", but not "wooden scooter wooden": twice only where people say so, or
     * this person just did. */
    const bool typed = from->node == ESP_NO_WORD && length == g->typed->partial_length;
    if (!typed && is_there(g, from, word, session) && !esp_ngram_seen(from->state, word))
        return;
    /* Words of the session are not all beginnings: no "of shoes" after "pair of shoes". */
    if (!typed && from->moment.word == ESP_START && esp_ngram_is_filler(g->steps->ngrams, word))
        return;
    const esp_tail_node node = {.chance = chance,
        .word = word,
        .session = session,
        .parent = from->node,
        .before = from->moment.word,
        .bytes = bytes,
        .used = from->moment.used | esp_context_bits(g->context, session)};
    keep_next(g, &node);
}

static bool begins(const uint8_t *text, uint32_t length, const esp_typed *typed) {
    return length >= typed->partial_length &&
           memcmp(text, typed->partial, typed->partial_length) == 0;
}

/* What stands there may be the whole word, whether anybody knows it or not. */
static void offer_typed(esp_generation *g, const esp_origin *from, const esp_step *step,
    const esp_found_word *found, uint32_t n) {
    const uint8_t *text = g->typed->partial;
    const uint32_t length = g->typed->partial_length;
    const uint32_t hash = esp_word_hash(text, length);
    const uint32_t word = esp_word_find(g->words, text, length, hash);
    if (esp_context_find(g->context, text, length, hash) != ESP_NOT_THERE)
        return; /* it has been offered */
    if (g->context->blocked != NULL &&
        esp_blocklist_blocks_words(g->context->blocked, text, length))
        return;
    for (uint32_t i = 0; i < n; i++)
        if (found[i].word == word)
            return;
    const float model = esp_ngram_chance(g->steps->ngrams, &step->state, word, NULL);
    offer(g, from, word, ESP_NOT_THERE, length,
        esp_step_chance(step, g->context, model, ESP_NOT_THERE, false));
}

/* All words worth trying after `from`.  In the first step they begin as typed. */
static void expand(esp_generation *g, esp_origin *from, bool first) {
    const esp_context *context = g->context;
    const esp_ngrams *ngrams = g->steps->ngrams;
    uint32_t lo = 0;
    uint32_t hi = g->words->n_words;
    const bool partial = first && g->typed->partial_length > 0;
    if (partial)
        esp_words_range(g->words, g->typed->partial, g->typed->partial_length, &lo, &hi);
    const esp_step *step = esp_steps_get(g->steps, &from->moment);
    from->state = &step->state;
    esp_found_word found[3 * ESP_TAIL_LIKELY];
    const uint32_t n =
        esp_ngram_likely(ngrams, &step->state, lo, hi, first, ESP_TAIL_LIKELY, found);
    uint64_t tried = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t session = esp_context_find_word(context, found[i].word);
        if (session != ESP_NOT_THERE)
            tried |= (uint64_t)1 << session;
        const float chance = esp_step_chance(step, context, found[i].chance, session, false);
        uint32_t length = 0;
        /* No text: the end, or damaged.  Few get as far as being looked up. */
        if (counts(g, from->chance * (double)chance) &&
            esp_word_text(g->words, found[i].word, &length) != NULL)
            offer(g, from, found[i].word, session, length, chance);
    }
    for (uint32_t w = 0; w < context->n_words; w++) {
        const esp_context_word *word = &context->word[w];
        if ((tried >> w & 1) != 0 || (partial && !begins(word->text, word->length, g->typed)))
            continue;
        /* Later the word model has named its likely words; of the others it is enough to
         * know that they are not. */
        const float model = first ? esp_ngram_chance(ngrams, &step->state, word->word, NULL)
                                  : esp_ngram_least(ngrams, &step->state, word->word);
        offer(
            g, from, word->word, w, word->length, esp_step_chance(step, context, model, w, false));
    }
    if (partial)
        offer_typed(g, from, step, found, n);
}

static esp_moment moment_of(const esp_tail_node *node) {
    return (esp_moment){
        .before = node->before, .word = node->word, .last = node->session, .used = node->used};
}

/* The hypotheses of the last step end here or go on. */
static void finish(esp_generation *g, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; i++) {
        const esp_tail_node *node = &g->tails->node[i];
        const esp_moment moment = moment_of(node);
        const esp_step *step = esp_steps_get(g->steps, &moment);
        const float model =
            esp_ngram_chance(g->steps->ngrams, &step->state, g->words->n_words, NULL);
        keep_tail(g, i,
            node->chance * (double)esp_step_chance(step, g->context, model, ESP_NOT_THERE, true));
    }
}

void esp_tails_generate(
    esp_tails *tails, esp_steps *steps, const esp_words *words, const esp_typed *typed) {
    tails->n = 0;
    tails->n_nodes = 0;
    if (steps->ngrams->head == NULL)
        return;
    esp_generation g = {
        .tails = tails, .steps = steps, .words = words, .context = steps->context, .typed = typed};
    esp_origin start = {.moment = esp_typed_moment(typed), .chance = 1, .node = ESP_NO_WORD};
    expand(&g, &start, true);
    for (uint32_t step = 1; g.n_next > 0; step++) {
        const uint32_t begin = tails->n_nodes;
        memcpy(tails->node + begin, g.next, g.n_next * sizeof g.next[0]);
        tails->n_nodes += g.n_next;
        g.n_next = 0;
        finish(&g, begin, tails->n_nodes);
        if (step == ESP_TAIL_WORDS)
            return;
        for (uint32_t i = begin; i < tails->n_nodes; i++) {
            const esp_tail_node *node = &tails->node[i];
            if (!counts(&g, node->chance))
                break; /* best first: what the others lead to is less likely still */
            esp_origin from = {
                .moment = moment_of(node), .chance = node->chance, .node = i, .bytes = node->bytes};
            expand(&g, &from, false);
        }
    }
}

uint32_t esp_tails_path(const esp_tails *tails, uint32_t i, const esp_tail_node **path) {
    uint32_t n = 0;
    for (uint32_t node = tails->last[i]; node != ESP_NO_WORD && n < ESP_TAIL_WORDS;
        node = tails->node[node].parent)
        path[n++] = &tails->node[node];
    for (uint32_t a = 0, b = n; a + 1 < b; a++) {
        const esp_tail_node *last = path[--b];
        path[b] = path[a];
        path[a] = last;
    }
    return n;
}

size_t esp_tails_text(const esp_tails *tails, uint32_t i, const esp_words *words,
    const esp_context *context, const esp_typed *typed, const uint8_t *prefix, size_t length,
    uint8_t *out, size_t cap) {
    const esp_tail_node *path[ESP_TAIL_WORDS];
    const uint32_t n = esp_tails_path(tails, i, path);
    size_t used = length - typed->partial_length;
    if (used > cap)
        return 0;
    if (used > 0)
        memcpy(out, prefix, used);
    for (uint32_t w = 0; w < n; w++) {
        const esp_tail_node *node = path[w];
        const uint8_t *text = typed->partial;
        uint32_t bytes = typed->partial_length;
        if (node->session != ESP_NOT_THERE) {
            text = context->word[node->session].text;
            bytes = context->word[node->session].length;
        } else if (node->word != ESP_NO_WORD) {
            text = esp_word_text(words, node->word, &bytes);
        }
        if (text == NULL || used + bytes + 1 > cap)
            return 0;
        memcpy(out + used, text, bytes);
        used += bytes;
        out[used++] = ' ';
    }
    return used > 0 ? used - 1 : 0;
}
