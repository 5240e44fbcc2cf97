/* step.c: one step of a query.
 *
 * It mixes four answers to "which word now?": the word model; a word of the session
 * that has not been used (a cache model, Kuhn and De Mori 1990); a word related to
 * those; and the word that followed the last one in a previous query, which copies,
 * extends and cuts previous queries. */
#include "step.h"

void esp_typed_fill(esp_typed *typed, const esp_words *words, const esp_context *context,
    const uint8_t *prefix, size_t length) {
    static const uint8_t nothing[1];
    if (length == 0)
        prefix = nothing; /* an empty text may be at no address */
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
        const uint32_t hash = esp_word_hash(text, bytes);
        typed->before[0] = esp_word_find(words, text, bytes, hash);
        typed->last = esp_context_find(context, text, bytes, hash);
        typed->strange |= typed->before[0] == ESP_NO_WORD && typed->last == ESP_NOT_THERE;
        typed->said |= typed->last == ESP_NOT_THERE ? 0 : (uint64_t)1 << typed->last;
        typed->used |= esp_context_bits(context, typed->last);
        if (typed->n_words < ESP_TYPED_WORDS)
            typed->word[typed->n_words] = typed->before[0];
        typed->n_words++;
    }
}

static void add_follower(esp_step *step, uint32_t session, float weight) {
    for (uint32_t i = 0; i < step->n_followers; i++)
        if (step->follower[i] == session) {
            step->follows[i] += weight;
            return;
        }
    if (step->n_followers < ESP_FOLLOWERS_OF) {
        step->follower[step->n_followers] = (uint8_t)session;
        step->follows[step->n_followers++] = weight;
    }
}

static void fill(esp_step *step, const esp_ngrams *ngrams, const esp_context *context) {
    const uint32_t word = step->moment.word;
    const uint64_t used = step->moment.used;
    uint32_t last = step->moment.last;
    step->state = esp_ngram_state(ngrams, step->moment.before, word);
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
    const float mixed = ngrams->head->mix_context * context->trust;
    const float follow = following > 0 ? mixed * ngrams->head->mix_follow : 0;
    const float cache = unused > 0 ? mixed * (1 - ngrams->head->mix_follow) : 0;
    const float related = relatives > 0 ? ngrams->head->mix_related * context->trust : 0;
    step->model = (1 - follow - cache) * (1 - related);
    step->related = related > 0 ? related / relatives : 0;
    step->unused = cache > 0 ? cache / unused : 0;
    step->copied = follow > 0 ? follow / following : 0;
}

static bool is_moment(const esp_moment *a, const esp_moment *b) {
    return a->before == b->before && a->word == b->word && a->last == b->last && a->used == b->used;
}

void esp_steps_start(esp_steps *steps, const esp_ngrams *ngrams, const esp_context *context) {
    steps->ngrams = ngrams;
    steps->context = context;
    if (++steps->stamp == 0) { /* after 2^32 queries old stamps would match again */
        memset(steps->item, 0, sizeof steps->item);
        steps->stamp = 1;
    }
}

const esp_step *esp_steps_get(esp_steps *steps, const esp_moment *moment) {
    const uint32_t mixed = moment->before * 0x9E3779B1u ^ moment->word * 0x85EBCA6Bu ^
                           (uint32_t)(moment->used ^ moment->used >> 32) * 0xC2B2AE35u;
    esp_step *step = &steps->item[(mixed ^ mixed >> 15) % ESP_STEPS];
    if (step->stamp == steps->stamp && is_moment(&step->moment, moment))
        return step;
    step->stamp = steps->stamp;
    step->moment = *moment;
    fill(step, steps->ngrams, steps->context);
    return step;
}

float esp_step_chance(
    const esp_step *step, const esp_context *context, float model, uint32_t session, bool end) {
    float chance = step->model * model;
    if (session == ESP_NOT_THERE && !end)
        return chance;
    if (!end && (step->moment.used >> session & 1) == 0)
        chance += (session < context->n_own ? step->unused : step->related) *
                  context->word[session].weight;
    for (uint32_t i = 0; i < step->n_followers; i++)
        if (step->follower[i] == session)
            return chance + step->copied * step->follows[i];
    return chance;
}
