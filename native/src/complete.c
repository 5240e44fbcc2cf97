/* complete.c: the query path end to end.
 *
 *   check -> range -> features -> MODEL candidates (beam under the range)
 *                              -> POPULAR candidates (top of the range)
 *         -> blend -> k best
 *
 * Every candidate gets every feature: a popular label the beam did not reach is
 * scored down its own path of the tree, whose nodes are mostly known already. */
#include <math.h>

#include "maxima.h"
#include "scratch.h"
#include "tree.h"
#include "trie.h"
#include "utf8.h"

enum { ESP_DEFAULT_K = 10, ESP_POPULAR_FACTOR = 2, ESP_POPULAR_LEAST = 32 };

/* A query with its defaults filled in. */
typedef struct esp_plan {
    uint32_t k;
    uint32_t beam;
    uint32_t pool;
    uint32_t sources;
    uint32_t matcher;
    uint32_t lo;
    uint32_t hi;
    uint32_t prefix_bytes;
} esp_plan;

static esp_status check_text(const esp_text *text, const char *what, uint32_t i, esp_error *err) {
    const size_t length = (size_t)text->length;
    if (length > 0 && text->data == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, what, i, "%s %u has a length but no bytes", what, i);
    const size_t bad = length == 0 ? 0 : esp_utf8_check(text->data, length);
    if (bad != length)
        ESP_FAIL(err, ESP_E_UTF8, what, bad, "%s is not UTF-8 at byte %zu", what, bad);
    return ESP_OK;
}

static esp_status check_query(
    const esp_scratch *scratch, const esp_query *query, size_t cap, esp_error *err) {
    const esp_scratch_options *caps = &scratch->caps;
    if (query->struct_size != sizeof *query)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", query->struct_size,
            "esp_query of %u bytes, not %zu", query->struct_size, sizeof *query);
    if (query->matcher > ESP_MATCH_UNCONSTRAINED)
        ESP_FAIL(err, ESP_E_ARGUMENT, "matcher", query->matcher, "no matcher %u", query->matcher);
    if (query->n_previous > 0 && query->previous == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, "previous", query->n_previous, "previous queries are NULL");
    if (query->k > caps->max_k || query->k > cap)
        ESP_FAIL(err, ESP_E_LIMIT, "k", query->k, "%u suggestions asked, at most %u possible",
            query->k, caps->max_k);
    if (query->beam > caps->max_beam)
        ESP_FAIL(err, ESP_E_LIMIT, "beam", query->beam, "a beam of %u, at most %u", query->beam,
            caps->max_beam);
    if (query->pool > caps->max_pool)
        ESP_FAIL(err, ESP_E_LIMIT, "pool", query->pool, "a pool of %u, at most %u", query->pool,
            caps->max_pool);
    if (query->prefix.length > caps->max_prefix_bytes)
        ESP_FAIL(err, ESP_E_LIMIT, "prefix", query->prefix.length,
            "a prefix of %llu bytes, at most %u", (unsigned long long)query->prefix.length,
            caps->max_prefix_bytes);
    if (query->n_previous > caps->max_previous)
        ESP_FAIL(err, ESP_E_LIMIT, "previous", query->n_previous, "%u previous queries, at most %u",
            query->n_previous, caps->max_previous);
    uint64_t room = caps->max_context_bytes;
    for (uint32_t i = 0; i < query->n_previous; i++) {
        if (query->previous[i].length > room)
            ESP_FAIL(err, ESP_E_LIMIT, "previous", i, "previous queries of more than %u bytes",
                caps->max_context_bytes);
        room -= query->previous[i].length;
        ESP_TRY(check_text(&query->previous[i], "previous query", i, err));
    }
    return check_text(&query->prefix, "prefix", 0, err);
}

static esp_plan make_plan(
    const esp_index *index, const esp_scratch *scratch, const esp_query *query) {
    const esp_params *params = index->params;
    const esp_scratch_options *caps = &scratch->caps;
    const uint32_t k = query->k != 0 ? query->k : esp_min_u32(ESP_DEFAULT_K, caps->max_k);
    const uint32_t beam = query->beam != 0 ? query->beam : params->default_beam;
    const uint32_t pool = query->pool != 0 ? query->pool : params->default_pool;
    return (esp_plan){
        .k = k,
        .beam = esp_max_u32(1, esp_min_u32(beam, caps->max_beam)),
        .pool = esp_max_u32(k, esp_min_u32(pool, caps->max_pool)),
        .sources = query->sources != 0 ? query->sources
                                       : (uint32_t)(ESP_SOURCE_MODEL | ESP_SOURCE_POPULAR),
        .matcher = query->matcher != ESP_MATCH_DEFAULT ? query->matcher : params->default_matcher,
        .prefix_bytes = (uint32_t)query->prefix.length,
    };
}

/* ---- candidates --------------------------------------------------------- */

/* The slot of a label in the candidate set: its own, or a free one. */
static uint32_t set_slot(const esp_scratch *scratch, uint32_t label) {
    uint32_t slot = (label * 0x9E3779B1u) & scratch->set_mask;
    while (scratch->set_stamp[slot] == scratch->stamp &&
           scratch->candidates[scratch->set[slot]].label != label)
        slot = (slot + 1) & scratch->set_mask;
    return slot;
}

static bool is_candidate(const esp_scratch *scratch, uint32_t label) {
    return scratch->set_stamp[set_slot(scratch, label)] == scratch->stamp;
}

static void add_candidate(esp_scratch *scratch, uint32_t label, uint32_t source, float model) {
    const uint32_t slot = set_slot(scratch, label);
    scratch->set[slot] = scratch->n_candidates;
    scratch->set_stamp[slot] = scratch->stamp;
    scratch->candidates[scratch->n_candidates++] =
        (esp_candidate){.label = label, .source = source, .model = model};
}

static esp_status find_model(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, esp_error *err) {
    const esp_search search = {
        .lo = plan->lo,
        .hi = plan->hi,
        .constrained = plan->matcher != ESP_MATCH_UNCONSTRAINED,
        .beam = plan->beam,
        .pool = plan->pool,
    };
    ESP_TRY(esp_tree_search(index, scratch, &search, err));
    for (uint32_t i = 0; i < scratch->labels.n; i++) {
        const esp_scored *found = &scratch->labels.item[i];
        if (found->id >= plan->lo && found->id < plan->hi)
            add_candidate(scratch, found->id, ESP_SOURCE_MODEL, found->score);
    }
    return ESP_OK;
}

/* Twice as many as are wanted, so that the blend has something to choose from
 * where the beam came back with little; and never fewer than a fixed number, so
 * that short lists are the beginning of longer ones. */
static esp_status find_popular(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    bool has_model, esp_error *err) {
    const uint32_t wanted =
        esp_min_u32(esp_max_u32(plan->k * ESP_POPULAR_FACTOR, ESP_POPULAR_LEAST),
            scratch->caps.max_pool + scratch->caps.max_k);
    uint32_t label = 0;
    esp_ranking_start(&scratch->ranking, esp_popularity_now(index), plan->lo, plan->hi);
    for (uint32_t i = 0; i < wanted && esp_ranking_next(&scratch->ranking, &label); i++) {
        if (is_candidate(scratch, label))
            continue;
        float model = 0;
        if (has_model)
            ESP_TRY(esp_tree_score(index, scratch, label, &model, err));
        add_candidate(scratch, label, ESP_SOURCE_POPULAR, model);
    }
    return ESP_OK;
}

static uint32_t most_popular(const esp_index *index, esp_scratch *scratch, const esp_plan *plan) {
    esp_ranking_start(&scratch->ranking, esp_popularity_now(index), plan->lo, plan->hi);
    return scratch->ranking.n > 0 ? scratch->ranking.heap[0].value : 0;
}

/* ---- ranking ------------------------------------------------------------ */

/* A fixed linear blend of the two log scores.  Either alone orders by itself. */
static void blend(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, bool has_model) {
    const uint32_t *value = esp_popularity_now(index).value;
    const float most = (float)esp_max_u32(1, most_popular(index, scratch, plan));
    const bool popular = (plan->sources & ESP_SOURCE_POPULAR) != 0;
    const float model_weight = index->params->blend_model;
    const float popular_weight = index->params->blend_popularity;
    for (uint32_t i = 0; i < scratch->n_candidates; i++) {
        esp_candidate *c = &scratch->candidates[i];
        c->popularity = (float)value[c->label] / most;
        c->score = !popular ? c->model
                   : !has_model
                       ? logf(c->popularity + 1e-9f)
                       : model_weight * c->model + popular_weight * logf(c->popularity + 1e-9f);
    }
}

static esp_status write_suggestions(const esp_index *index, esp_scratch *scratch,
    const esp_plan *plan, esp_suggestion *out, size_t *count, esp_error *err) {
    esp_top *top = &scratch->labels; /* the search is done with it */
    top->n = 0;
    top->limit = plan->k;
    for (uint32_t i = 0; i < scratch->n_candidates; i++)
        esp_top_add(top, (esp_scored){.score = scratch->candidates[i].score,
                             .id = scratch->candidates[i].label,
                             .first = i});
    esp_top_sort(top);
    for (uint32_t i = 0; i < top->n; i++) {
        const esp_candidate *c = &scratch->candidates[top->item[i].first];
        out[i] = (esp_suggestion){.label = c->label,
            .source = c->source,
            .score = c->score,
            .model = c->model,
            .popularity = c->popularity,
            .matched = plan->prefix_bytes};
        ESP_TRY(esp_label_text(index, c->label, &out[i].text, &out[i].display, err));
    }
    *count = top->n;
    return ESP_OK;
}

esp_status esp_complete(const esp_index *index, esp_scratch *scratch, const esp_query *query,
    esp_suggestion *out, size_t cap, size_t *count, esp_error *err) {
    if (index->label_offset == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "labels", 0,
            "the index has no label texts; it can predict, not complete");
    ESP_TRY(check_query(scratch, query, cap, err));
    esp_plan plan = make_plan(index, scratch, query);
    if (plan.k > cap)
        ESP_FAIL(err, ESP_E_LIMIT, "cap", cap, "room for %zu suggestions, %u wanted", cap, plan.k);
    esp_scratch_begin(scratch);
    ESP_TRY(esp_trie_range(
        index, query->prefix.data, (size_t)query->prefix.length, &plan.lo, &plan.hi, err));
    scratch->work.range_labels = plan.hi - plan.lo;
    if (plan.lo == plan.hi) {
        *count = 0;
        return ESP_OK;
    }
    const bool has_model =
        (plan.sources & ESP_SOURCE_MODEL) != 0 && index->tree != NULL && index->has_features;
    if (has_model) {
        ESP_TRY(esp_vectorise(&index->space, query->previous, query->n_previous, query->prefix.data,
            (size_t)query->prefix.length, &scratch->terms, err));
        esp_tree_features(index, scratch);
        ESP_TRY(find_model(index, scratch, &plan, err));
    }
    if ((plan.sources & ESP_SOURCE_POPULAR) != 0)
        ESP_TRY(find_popular(index, scratch, &plan, has_model, err));
    scratch->work.candidates = scratch->n_candidates;
    blend(index, scratch, &plan, has_model);
    return write_suggestions(index, scratch, &plan, out, count, err);
}

esp_status esp_popular(const esp_index *index, esp_scratch *scratch, const uint8_t *prefix,
    size_t length, uint32_t *out, size_t cap, size_t *count, esp_error *err) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    ESP_TRY(esp_prefix_range(index, prefix, length, &lo, &hi, err));
    if (cap > (size_t)scratch->caps.max_pool + scratch->caps.max_k)
        ESP_FAIL(err, ESP_E_LIMIT, "cap", cap, "%zu labels asked, at most %u", cap,
            scratch->caps.max_pool + scratch->caps.max_k);
    size_t n = 0;
    esp_ranking_start(&scratch->ranking, esp_popularity_users(index), lo, hi);
    while (n < cap && esp_ranking_next(&scratch->ranking, &out[n]))
        n++;
    *count = n;
    return ESP_OK;
}
