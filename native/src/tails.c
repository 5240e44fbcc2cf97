/* tails.c: generating completions word by word.
 *
 *   "cheap fli|"   -> the word being typed: every likely word that begins so,
 *                     and the session's own words, known to the log or not
 *                  -> then whole words, until the end is the likeliest thing
 *
 * A step mixes three answers to "which word now?": the word model; a word of the
 * session that has not been used (a cache model, Kuhn and De Mori 1990); and the
 * word that followed the last one in a previous query, which copies, extends and
 * cuts previous queries. */
#include "tails.h"

#include <math.h>

/* ---- steps -------------------------------------------------------------- */

void esp_typed_fill(esp_typed *typed, const esp_words *words, const esp_context *context,
    const uint8_t *prefix, size_t length) {
    size_t partial = length;
    while (partial > 0 && prefix[partial - 1] != ' ')
        partial--;
    *typed = (esp_typed){.partial = prefix + partial,
        .partial_length = (uint32_t)(length - partial),
        .before = {ESP_START, ESP_NO_WORD},
        .last = ESP_NOT_THERE};
    size_t at = 0;
    const uint8_t *text = NULL;
    uint32_t bytes = 0;
    while (esp_next_word(prefix, partial, &at, &text, &bytes)) {
        typed->before[1] = typed->before[0];
        typed->before[0] = esp_word_find(words, text, bytes);
        typed->last = esp_context_find(context, text, bytes, esp_word_hash(text, bytes));
        typed->used |= esp_context_bits(context, typed->last);
        typed->n_words++;
    }
}

static void add_follower(esp_step *step, uint32_t session, float weight) {
    for (uint32_t i = 0; i < step->n_followers; i++)
        if (step->follower[i] == session) {
            step->follows[i] += weight;
            return;
        }
    if (step->n_followers < ESP_TAIL_FOLLOWERS) {
        step->follower[step->n_followers] = (uint8_t)session;
        step->follows[step->n_followers++] = weight;
    }
}

void esp_step_fill(esp_step *step, const esp_ngrams *ngrams, const esp_context *context,
    uint32_t before, uint32_t word, uint32_t last, uint64_t used) {
    step->state = esp_ngram_state(ngrams, before, word);
    step->n_followers = 0;
    float following = 0;
    if (last != ESP_NOT_THERE)
        last = context->word[last].like; /* a form of a word is followed by what that was */
    for (uint32_t q = 0; q < context->n_queries; q++) {
        const uint32_t begin = context->begin[q];
        const uint32_t end = context->begin[q + 1];
        const float weight = context->query_weight[q];
        if (word == ESP_START) {
            if (begin < end) {
                add_follower(step, context->token[begin], weight);
                following += weight;
            }
            continue;
        }
        for (uint32_t t = begin; t < end && last != ESP_NOT_THERE; t++)
            if (context->token[t] == last) {
                add_follower(step, t + 1 < end ? context->token[t + 1] : ESP_NOT_THERE, weight);
                following += weight;
            }
    }
    float unused = 0;
    float relatives = 0;
    for (uint32_t w = 0; w < context->n_words; w++)
        if ((used >> w & 1) == 0)
            *(w < context->n_own ? &unused : &relatives) += context->word[w].weight;
    const float mixed = ngrams->head->mix_context;
    const float follow = following > 0 ? mixed * ngrams->head->mix_follow : 0;
    const float cache = unused > 0 ? mixed * (1 - ngrams->head->mix_follow) : 0;
    const float related = relatives > 0 ? ngrams->head->mix_related : 0;
    step->model = (1 - follow - cache) * (1 - related);
    step->related = related > 0 ? related / relatives : 0;
    step->unused = cache > 0 ? cache / unused : 0;
    step->copied = follow > 0 ? follow / following : 0;
}

float esp_step_chance(const esp_step *step, const esp_context *context, float model,
    uint32_t session, uint64_t used, bool end) {
    float chance = step->model * model;
    if (session == ESP_NOT_THERE && !end)
        return chance;
    if (!end && (used >> session & 1) == 0)
        chance += (session < context->n_own ? step->unused : step->related) *
                  context->word[session].weight;
    for (uint32_t i = 0; i < step->n_followers; i++)
        if (step->follower[i] == session)
            return chance + step->copied * step->follows[i];
    return chance;
}

/* ---- beam --------------------------------------------------------------- */

typedef struct esp_generation {
    esp_tails *tails;
    const esp_ngrams *ngrams;
    const esp_words *words;
    const esp_context *context;
    const esp_typed *typed;
    esp_tail_node next[ESP_TAIL_BEAM]; /* hypotheses one word longer, best first */
    uint32_t n_next;
} esp_generation;

/* The worst score that still matters. */
static float least(const esp_generation *g) {
    return g->tails->n < ESP_TAILS ? -INFINITY : g->tails->score[ESP_TAILS - 1];
}

static void keep_next(esp_generation *g, const esp_tail_node *node) {
    uint32_t at = g->n_next;
    if (at == ESP_TAIL_BEAM) {
        if (node->score <= g->next[at - 1].score)
            return;
        at--;
    } else {
        g->n_next++;
    }
    while (at > 0 && g->next[at - 1].score < node->score) {
        g->next[at] = g->next[at - 1];
        at--;
    }
    g->next[at] = *node;
}

static void keep_tail(esp_generation *g, uint32_t node, float score) {
    esp_tails *tails = g->tails;
    uint32_t at = tails->n;
    if (at == ESP_TAILS) {
        if (score <= tails->score[at - 1])
            return;
        at--;
    } else {
        tails->n++;
    }
    while (at > 0 && tails->score[at - 1] < score) {
        tails->score[at] = tails->score[at - 1];
        tails->last[at] = tails->last[at - 1];
        at--;
    }
    tails->score[at] = score;
    tails->last[at] = node;
}

typedef struct esp_origin {
    uint32_t node;
    float score;
    uint32_t word;  /* the last word */
    uint32_t bytes; /* generated so far */
    uint64_t used;
} esp_origin;

static void offer(esp_generation *g, const esp_origin *from, uint32_t word, uint32_t session,
    uint32_t length, float chance) {
    const float score = from->score + logf(chance);
    const uint32_t bytes = from->bytes + length + 1;
    if (score <= least(g) || bytes > ESP_TAIL_BYTES ||
        (g->n_next == ESP_TAIL_BEAM && score <= g->next[ESP_TAIL_BEAM - 1].score))
        return;
    const esp_tail_node node = {.score = score,
        .word = word,
        .session = session,
        .parent = from->node,
        .before = from->word,
        .bytes = bytes,
        .used = from->used | esp_context_bits(g->context, session)};
    keep_next(g, &node);
}

static bool begins(const uint8_t *text, uint32_t length, const esp_typed *typed) {
    return length >= typed->partial_length &&
           memcmp(text, typed->partial, typed->partial_length) == 0;
}

/* All words worth trying after `from`.  In the first step they begin as typed. */
static void expand(
    esp_generation *g, const esp_origin *from, uint32_t before, uint32_t last, bool first) {
    const esp_context *context = g->context;
    const uint32_t n_words = g->words->n_words;
    uint32_t lo = 0;
    uint32_t hi = n_words;
    const bool partial = first && g->typed->partial_length > 0;
    if (partial)
        esp_words_range(g->words, g->typed->partial, g->typed->partial_length, &lo, &hi);
    esp_step step;
    esp_step_fill(&step, g->ngrams, context, before, from->word, last, from->used);
    esp_found_word found[3 * ESP_TAIL_LIKELY];
    const uint32_t n =
        esp_ngram_likely(g->ngrams, &step.state, lo, hi, first, ESP_TAIL_LIKELY, found);
    uint64_t tried = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(g->words, found[i].word, &length);
        if (text == NULL)
            continue; /* the end, or damaged */
        const uint32_t session = context->n_words == 0 ? ESP_NOT_THERE
                                                       : esp_context_find(context, text, length,
                                                             esp_word_hash(text, length));
        if (session != ESP_NOT_THERE)
            tried |= (uint64_t)1 << session;
        const float chance =
            esp_step_chance(&step, context, found[i].chance, session, from->used, false);
        offer(g, from, found[i].word, session, length, chance);
    }
    for (uint32_t w = 0; w < context->n_words; w++) {
        const esp_context_word *word = &context->word[w];
        if ((tried >> w & 1) != 0 || (partial && !begins(word->text, word->length, g->typed)))
            continue;
        const float model = esp_ngram_chance(g->ngrams, &step.state, word->word, NULL);
        const float chance = esp_step_chance(&step, context, model, w, from->used, false);
        offer(g, from, word->word, w, word->length, chance);
    }
    if (partial) {
        /* What stands there may be the whole word, whether anybody knows it or not. */
        const uint8_t *text = g->typed->partial;
        const uint32_t length = g->typed->partial_length;
        const uint32_t word = esp_word_find(g->words, text, length);
        const uint32_t session =
            esp_context_find(context, text, length, esp_word_hash(text, length));
        bool there = session != ESP_NOT_THERE;
        for (uint32_t i = 0; i < n && !there; i++)
            there = found[i].word == word;
        if (!there)
            offer(g, from, word, ESP_NOT_THERE, length,
                esp_step_chance(&step, context,
                    esp_ngram_chance(g->ngrams, &step.state, word, NULL), ESP_NOT_THERE, from->used,
                    false));
    }
}

/* The hypotheses of the last step end here or go on. */
static void finish(esp_generation *g, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; i++) {
        const esp_tail_node *node = &g->tails->node[i];
        esp_step step;
        esp_step_fill(
            &step, g->ngrams, g->context, node->before, node->word, node->session, node->used);
        const float model = esp_ngram_chance(g->ngrams, &step.state, g->words->n_words, NULL);
        const float chance =
            esp_step_chance(&step, g->context, model, ESP_NOT_THERE, node->used, true);
        keep_tail(g, i, node->score + logf(chance));
    }
}

void esp_tails_generate(esp_tails *tails, const esp_ngrams *ngrams, const esp_words *words,
    const esp_context *context, const esp_typed *typed) {
    tails->n = 0;
    tails->n_nodes = 0;
    if (ngrams->head == NULL)
        return;
    esp_generation g = {
        .tails = tails, .ngrams = ngrams, .words = words, .context = context, .typed = typed};
    const esp_origin start = {.node = ESP_NO_WORD, .word = typed->before[0], .used = typed->used};
    expand(&g, &start, typed->before[1], typed->last, true);
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
            if (node->score <= least(&g))
                break; /* best first: the others cannot do better */
            const esp_origin from = {.node = i,
                .score = node->score,
                .word = node->word,
                .bytes = node->bytes,
                .used = node->used};
            expand(&g, &from, node->before, node->session, false);
        }
    }
}

size_t esp_tails_text(const esp_tails *tails, uint32_t i, const esp_words *words,
    const esp_context *context, const esp_typed *typed, const uint8_t *prefix, size_t length,
    uint8_t *out, size_t cap) {
    uint32_t path[ESP_TAIL_WORDS];
    uint32_t n = 0;
    for (uint32_t node = tails->last[i]; node != ESP_NO_WORD && n < ESP_TAIL_WORDS;
        node = tails->node[node].parent)
        path[n++] = node;
    size_t used = length - typed->partial_length;
    if (used > cap)
        return 0;
    memcpy(out, prefix, used);
    while (n-- > 0) {
        const esp_tail_node *node = &tails->node[path[n]];
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
