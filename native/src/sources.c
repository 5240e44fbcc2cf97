/* sources.c: candidates of a query.
 *
 *   MODEL    beam search through the tree, under the prefix's range
 *   POPULAR  the most popular labels of the range
 *   TAIL     queries put together from words; those that are labels join them
 *
 * A label gets its score from the tree whatever source found it: one the beam did
 * not reach is scored down its own path, whose nodes are mostly known already. */
#include "sources.h"

#include <math.h>

#include "overlay.h"
#include "related.h"
#include "tree.h"
#include "trie.h"
#include "utf8.h"

enum {
    ESP_POPULAR_FACTOR = 2,
    ESP_POPULAR_LEAST = 32,
    ESP_FOLLOWERS = 64,
    ESP_CORRECTED = 32, /* corrected labels, at most */
    ESP_CORRECTED_RANGES = 16,
    ESP_CORRECTED_EACH = 8, /* of one way to correct the prefix */
    /* A log has misspelt queries too.  Where few people typed anything that begins so, it is
     * worth a look whether many more typed what almost does. */
    ESP_DOUBTFUL_USERS = 20,
    ESP_DOUBTFUL_NODES = 600,
    ESP_OUTDONE = 10, /* times as popular */
    /* Generated texts that may be suggested beside corrections, */
    ESP_TAILS_BESIDE = 1,
    /* and where a word was begun that nobody knows, there is little to say. */
    ESP_TAILS_BEGUN = 2
};

bool esp_eligible(const esp_plan *plan, const uint8_t *text, uint32_t length) {
    const esp_query *query = plan->query;
    const bool just = query->n_previous > 0 && length > 0 && query->previous[0].length == length &&
                      memcmp(query->previous[0].data, text, length) == 0;
    return !just && !esp_overlay_blocks(query->overlay, text, length);
}

static void add_label(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    uint32_t label, uint32_t source, float model) {
    const uint8_t *text = NULL;
    uint32_t length = 0;
    if (!esp_index_label(index, label, &text, &length) || length == 0)
        return; /* damaged: the others are as good */
    esp_candidate *c = esp_candidates_add(&scratch->candidates, text, length, label, source);
    if (c == NULL || c->source != source)
        return;
    c->model = model;
    c->matched = plan->prefix_bytes;
    c->popularity = (float)esp_popularity_now(index).value[label] / plan->most;
}

static esp_status find_model(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, esp_error *err) {
    const esp_search search = {
        .lo = plan->lo,
        .hi = plan->hi,
        .constrained = plan->matcher != ESP_MATCH_UNCONSTRAINED,
        .beam = plan->beam,
        .pool = plan->pool,
        .sieve = plan->sieve,
    };
    ESP_TRY(esp_tree_search(index, scratch, &search, err));
    for (uint32_t i = 0; i < scratch->labels.n; i++) {
        const esp_scored *found = &scratch->labels.item[i];
        if (found->id >= plan->lo && found->id < plan->hi)
            add_label(index, scratch, plan, found->id, ESP_SOURCE_MODEL, found->score);
    }
    return ESP_OK;
}

/* A label some other source than the tree has found, if the filter lets it through. */
static esp_status add_scored(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    uint32_t label, uint32_t source, esp_error *err) {
    const uint8_t *text = NULL;
    uint32_t length = 0;
    float model = 0;
    if (!esp_index_label(index, label, &text, &length) || !esp_sieve_lets(plan->sieve, label))
        return ESP_OK;
    esp_candidate *there = esp_candidates_find(&scratch->candidates, text, length);
    if (there != NULL) {
        there->sources |= source; /* its score is known */
        return ESP_OK;
    }
    if (plan->has_model)
        ESP_TRY(esp_tree_score(index, scratch, label, &model, err));
    add_label(index, scratch, plan, label, source, model);
    return ESP_OK;
}

/* Twice as many as are wanted, so that the ranking has something to choose from
 * where the beam came back with little; and never fewer than a fixed number, so
 * that short lists are the beginning of longer ones. */
static esp_status find_popular(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, esp_error *err) {
    const uint32_t wanted =
        esp_min_u32(esp_max_u32(plan->k * ESP_POPULAR_FACTOR, ESP_POPULAR_LEAST),
            scratch->caps.max_pool + scratch->caps.max_k);
    uint32_t label = 0;
    esp_sift sift;
    esp_sift_start(&sift, &scratch->ranking, plan->sieve, esp_popularity_now(index), plan->lo,
        plan->hi, wanted);
    uint32_t found = 0;
    while (found < wanted && esp_sift_next(&sift, &label)) {
        const uint8_t *text = NULL;
        uint32_t length = 0;
        if (!esp_index_label(index, label, &text, &length) || !esp_eligible(plan, text, length))
            continue; /* does not count: what is blocked takes nobody's place */
        ESP_TRY(add_scored(index, scratch, plan, label, ESP_SOURCE_POPULAR, err));
        found++;
    }
    if (found < wanted && !scratch->ranking.lost)
        plan->n_popular = found;
    return ESP_OK;
}

esp_status esp_find_label(
    const esp_index *index, const uint8_t *text, uint32_t length, uint32_t *label, esp_error *err) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    const uint8_t *found = NULL;
    uint32_t bytes = 0;
    *label = ESP_NO_LABEL;
    ESP_TRY(esp_trie_range(index, text, length, &lo, &hi, err));
    /* Sorted: the text itself comes before whatever else begins with it. */
    if (lo < hi && esp_index_label(index, lo, &found, &bytes) && bytes == length)
        *label = lo;
    return ESP_OK;
}

static esp_status add_text(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    const uint8_t *text, uint32_t length, float chance, uint32_t made, esp_error *err) {
    uint32_t label = ESP_NO_LABEL;
    esp_candidate *there = esp_candidates_find(&scratch->candidates, text, length);
    if (there == NULL) {
        if (plan->lo < plan->hi)
            ESP_TRY(esp_find_label(index, text, length, &label, err));
        /* Labels were filtered when they were chosen, by the rules as they are written. */
        if (label == ESP_NO_LABEL && esp_blocklist_blocks_whole(&index->blocklist, text, length))
            return ESP_OK;
        if (label == ESP_NO_LABEL) {
            if (!esp_sieve_lets(plan->sieve, ESP_NO_LABEL))
                return ESP_OK;
            there = esp_candidates_add(
                &scratch->candidates, text, length, ESP_NO_LABEL, ESP_SOURCE_TAIL);
            if (there != NULL)
                there->matched = plan->prefix_bytes;
        } else {
            ESP_TRY(add_scored(index, scratch, plan, label, ESP_SOURCE_TAIL, err));
            there = esp_candidates_find(&scratch->candidates, text, length);
        }
    }
    if (there != NULL) {
        there->sources |= ESP_SOURCE_TAIL;
        there->tail = chance;
        there->made = made;
    }
    return ESP_OK;
}

static esp_status find_tails(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, esp_error *err) {
    scratch->tails.n = 0;
    if (esp_blocklist_blocks_words(&index->blocklist, plan->query->prefix.data,
            plan->prefix_bytes - scratch->typed.partial_length))
        return ESP_OK; /* whatever begins so has that word in it */
    esp_tails_generate(&scratch->tails, &scratch->steps, &index->words, &scratch->typed);
    for (uint32_t i = 0; i < scratch->tails.n; i++) {
        uint8_t *text = scratch->tail_text + (size_t)i * scratch->tail_bytes;
        const size_t length =
            esp_tails_text(&scratch->tails, i, &index->words, &scratch->context, &scratch->typed,
                plan->query->prefix.data, plan->prefix_bytes, text, scratch->tail_bytes);
        /* Words of a damaged file may be no text. */
        if (length > 0 && esp_utf8_check(text, length) == length &&
            esp_eligible(plan, text, (uint32_t)length))
            ESP_TRY(add_text(index, scratch, plan, text, (uint32_t)length,
                (float)log(scratch->tails.chance[i]), i + 1, err));
    }
    return ESP_OK;
}

/* What the session has searched for before, however long ago, if it begins so: as
 * likely as the best that is generated, unless the generator has an opinion. */
static esp_status find_repeats(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, esp_error *err) {
    const esp_query *query = plan->query;
    const float chance = scratch->tails.n == 0 ? 0 : (float)log(scratch->tails.chance[0]);
    for (uint32_t i = 1; i < plan->n_previous; i++) {
        const esp_text *text = &query->previous[i];
        const size_t length = (size_t)text->length;
        if (length < plan->prefix_bytes || length == 0 || length > scratch->tail_bytes ||
            (plan->prefix_bytes > 0 &&
                memcmp(text->data, query->prefix.data, plan->prefix_bytes) != 0) ||
            !esp_eligible(plan, text->data, (uint32_t)length) ||
            esp_blocklist_blocks_words(&index->blocklist, text->data, length))
            continue;
        const esp_candidate *there =
            esp_candidates_find(&scratch->candidates, text->data, (uint32_t)length);
        if (there != NULL && (there->sources & ESP_SOURCE_TAIL) != 0)
            continue;
        /* The caller's text may be gone before the answer is read. */
        uint8_t *own = scratch->tail_text + (size_t)(ESP_TAILS + i) * scratch->tail_bytes;
        memcpy(own, text->data, length);
        ESP_TRY(add_text(index, scratch, plan, own, (uint32_t)length, chance, 0, err));
    }
    return ESP_OK;
}

/* Labels typed right after the previous query, and how often: what the tree learned
 * about them in general, here about them alone. */
static esp_status find_followers(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, esp_error *err) {
    const esp_query *query = plan->query;
    uint32_t first = ESP_NO_LABEL;
    if (plan->n_previous == 0 || index->relations.head == NULL || plan->lo == plan->hi)
        return ESP_OK;
    ESP_TRY(esp_find_label(
        index, query->previous[0].data, (uint32_t)query->previous[0].length, &first, err));
    if (first == ESP_NO_LABEL)
        return ESP_OK;
    plan->first_users = (float)esp_max_u32(1, index->users[first]);
    const uint32_t *label = NULL;
    const uint32_t *users = NULL;
    const uint32_t n = esp_followers(&index->relations, first, plan->lo, plan->hi, &label, &users);
    for (uint32_t i = 0; i < n && i < ESP_FOLLOWERS; i++) {
        const uint8_t *text = NULL;
        uint32_t length = 0;
        if (label[i] < plan->lo || label[i] >= plan->hi ||
            !esp_index_label(index, label[i], &text, &length))
            continue; /* damaged */
        ESP_TRY(add_scored(index, scratch, plan, label[i], ESP_SOURCE_MODEL, err));
        esp_candidate *c = esp_candidates_find(&scratch->candidates, text, length);
        if (c != NULL)
            c->followed = users[i];
    }
    return ESP_OK;
}

/* Whether a correction is so much more popular than whatever begins as typed that what was
 * typed is likely to be an error that others have made before. */
static bool is_outdone(const esp_plan *plan, const esp_fuzzy_match *match, uint32_t n) {
    for (uint32_t m = 0; m < n; m++)
        if ((float)match[m].popularity >= ESP_OUTDONE * plan->most)
            return true;
    return false;
}

/* Labels that begin almost as typed; with `doubtful` only if one of them outdoes what begins
 * as typed.  How many there are. */
static uint32_t find_corrected(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, bool doubtful) {
    const esp_text *prefix = &plan->query->prefix;
    const uint32_t most =
        esp_min_u32(doubtful ? 1 : 2, esp_fuzzy_distance(prefix->data, (size_t)prefix->length));
    if (most == 0)
        return 0;
    esp_fuzzy_match match[ESP_CORRECTED_RANGES];
    const uint32_t n = esp_fuzzy_find(index, &scratch->fuzzy, prefix->data, (size_t)prefix->length,
        most, doubtful ? ESP_DOUBTFUL_NODES : ESP_FUZZY_NODES, match, ESP_CORRECTED_RANGES,
        &scratch->work.corrected_nodes);
    plan->outdone = is_outdone(plan, match, n);
    if (doubtful && !plan->outdone)
        return 0;
    const uint32_t most_wanted = esp_min_u32(plan->k * 2, ESP_CORRECTED);
    uint32_t left = most_wanted;
    for (uint32_t m = 0; m < n && left > 0; m++) {
        uint32_t label = 0;
        esp_sift sift;
        esp_sift_start(&sift, &scratch->ranking, plan->sieve, esp_popularity_now(index),
            match[m].lo, match[m].hi, ESP_CORRECTED_EACH);
        for (uint32_t i = 0; i < ESP_CORRECTED_EACH && left > 0 && esp_sift_next(&sift, &label);
            i++) {
            const uint8_t *text = NULL;
            uint32_t length = 0;
            if (!esp_index_label(index, label, &text, &length) ||
                !esp_eligible(plan, text, length) ||
                esp_candidates_find(&scratch->candidates, text, length) != NULL)
                continue;
            /* The tree was asked about what was typed; popularity orders these. */
            add_label(index, scratch, plan, label, ESP_SOURCE_CORRECTED, 0);
            esp_candidate *c = esp_candidates_find(&scratch->candidates, text, length);
            if (c == NULL)
                return most_wanted - left; /* full */
            c->edits = match[m].distance;
            c->matched = match[m].length;
            left--;
        }
    }
    return most_wanted - left;
}

/* Exact candidates that can be suggested; only labels, or all. */
static uint32_t count_eligible(const esp_scratch *scratch, const esp_plan *plan, bool labels) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < scratch->candidates.n && n < plan->k; i++) {
        const esp_candidate *c = &scratch->candidates.item[i];
        n += (!labels || c->label != ESP_NO_LABEL) && esp_eligible(plan, c->text, c->length);
    }
    return n;
}

/* Whether a word of the session begins as the one being typed. */
static bool is_of_session(const esp_scratch *scratch) {
    const esp_typed *typed = &scratch->typed;
    const esp_context *context = &scratch->context;
    for (uint32_t w = 0; typed->partial_length > 0 && w < context->n_words; w++)
        if (context->word[w].length >= typed->partial_length &&
            memcmp(context->word[w].text, typed->partial, typed->partial_length) == 0)
            return true;
    return false;
}

/* Whether a word was begun that the log does not know.  The generator goes on from
 * anything, so that it found something proves nothing. */
static bool is_begun_strangely(const esp_index *index, const esp_typed *typed) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    if (typed->partial_length > 0)
        esp_words_range(&index->words, typed->partial, typed->partial_length, &lo, &hi);
    return typed->partial_length > 0 && lo == hi;
}

/* CORRECTED: where there is too little, and where what was typed looks like an error. */
static void find_corrections(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, bool tails) {
    const bool told = tails && is_of_session(scratch);
    const bool begun = tails && !told && is_begun_strangely(index, &scratch->typed);
    const bool strange = begun || (tails && scratch->typed.strange);
    const bool doubtful = tails && !told && !strange && plan->log_most <= logf(ESP_DOUBTFUL_USERS);
    uint32_t n = 0;
    if (begun)
        plan->most_tails = ESP_TAILS_BEGUN;
    if (count_eligible(scratch, plan, false) < plan->k)
        n = find_corrected(index, scratch, plan, false);
    else if (doubtful || (strange && count_eligible(scratch, plan, true) < plan->k))
        n = find_corrected(index, scratch, plan, doubtful);
    if (n == 0)
        return;
    plan->most_tails = plan->outdone && strange ? 0 : ESP_TAILS_BESIDE;
    if (tails && plan->outdone && !told)
        plan->most_exact = plan->k - esp_min_u32(n, plan->k / 2);
}

esp_status esp_find_candidates(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, esp_error *err) {
    const esp_query *query = plan->query;
    /* Nothing typed and nothing known: what most people search for. */
    plan->by_popularity = query->prefix.length == 0 && plan->n_previous == 0 &&
                          (plan->sources & ESP_SOURCE_POPULAR) != 0;
    if (plan->by_popularity)
        plan->sources = ESP_SOURCE_POPULAR;
    const uint32_t sources = plan->sources;
    const bool tails = (sources & ESP_SOURCE_TAIL) != 0 && index->ngrams.head != NULL;
    plan->has_model =
        (sources & ESP_SOURCE_MODEL) != 0 && index->tree != NULL && index->has_features;
    plan->most = 1;
    esp_ranking_start(&scratch->ranking, esp_popularity_now(index), plan->lo, plan->hi);
    if (scratch->ranking.n > 0) {
        const esp_range *first = &scratch->ranking.heap[0];
        plan->most = (float)esp_max_u32(1, first->value);
        plan->log_most = logf((float)esp_max_u32(1, esp_label_users(index, first->top)));
    }
    /* The tree and popularity alone order by themselves: nobody asks for words then. */
    const bool by_words =
        plan->features || (sources != ESP_SOURCE_MODEL && sources != ESP_SOURCE_POPULAR);
    esp_context_fill(&scratch->context, &index->words, query->previous, query->previous_age,
        by_words ? esp_min_u32(plan->n_previous, index->params->max_context) : 0,
        index->ngrams.head != NULL ? index->ngrams.head->decay : 1,
        index->ngrams.head != NULL ? index->ngrams.head->half_life : 0);
    esp_context_dampen(&scratch->context, &index->ngrams);
    esp_typed_fill(
        &scratch->typed, &index->words, &scratch->context, query->prefix.data, plan->prefix_bytes);
    if (scratch->context.n_queries > 0) {
        esp_related_fill(&scratch->context, index, &scratch->typed);
        /* Typed words may be related ones. */
        esp_typed_fill(&scratch->typed, &index->words, &scratch->context, query->prefix.data,
            plan->prefix_bytes);
    }
    esp_steps_start(&scratch->steps, &index->ngrams, &scratch->context);
    if (plan->has_model) {
        ESP_TRY(esp_vectorise(&index->space, query->previous, plan->n_previous, query->prefix.data,
            plan->prefix_bytes, &scratch->terms, err));
        esp_tree_features(index, scratch);
        if (plan->lo < plan->hi)
            ESP_TRY(find_model(index, scratch, plan, err));
    }
    if ((sources & ESP_SOURCE_POPULAR) != 0)
        ESP_TRY(find_popular(index, scratch, plan, err));
    if (plan->has_model && (sources & (sources - 1)) != 0)
        ESP_TRY(find_followers(index, scratch, plan, err));
    if (tails) {
        ESP_TRY(find_tails(index, scratch, plan, err));
        ESP_TRY(find_repeats(index, scratch, plan, err));
    }
    if ((sources & ESP_SOURCE_CORRECTED) != 0)
        find_corrections(index, scratch, plan, tails);
    return ESP_OK;
}
