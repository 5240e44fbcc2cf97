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
#include "sources.h"
#include "trie.h"
#include "utf8.h"

enum { ESP_DEFAULT_K = 10, ESP_RANKED_LABELS = 48 };

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
                                       : (uint32_t)(ESP_SOURCE_MODEL | ESP_SOURCE_POPULAR |
                                                    ESP_SOURCE_TAIL | ESP_SOURCE_CORRECTED),
        .matcher = query->matcher != ESP_MATCH_DEFAULT ? query->matcher : params->default_matcher,
        .prefix_bytes = (uint32_t)query->prefix.length,
        .first_users = 1,
    };
}

/* ---- ranking ------------------------------------------------------------ */

/* Without a forest: a fixed blend of the two log scores of a label; either alone
 * orders by itself.  What is no label stands where a label of a third of a user
 * would, moved by what the generator thinks of it. */
static void blend(const esp_index *index, esp_scratch *scratch, const esp_plan *plan) {
    const bool popular = (plan->sources & ESP_SOURCE_POPULAR) != 0;
    const float model_weight = plan->has_model ? index->params->blend_model : 0;
    const float popular_weight = popular ? index->params->blend_popularity : 0;
    float least = 0;
    float best_tail = -INFINITY;
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        const esp_candidate *c = &scratch->candidates.item[i];
        least = c->model < least ? c->model : least;
        if (c->tail > best_tail && (c->sources & ESP_SOURCE_TAIL) != 0)
            best_tail = c->tail;
    }
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        esp_candidate *c = &scratch->candidates.item[i];
        if (c->label != ESP_NO_LABEL) {
            c->score = !popular && plan->has_model
                           ? c->model
                           : model_weight * c->model + popular_weight * logf(c->popularity + 1e-9f);
            if (!popular && !plan->has_model)
                c->score = logf(c->popularity + 1e-9f);
        } else {
            c->score = model_weight * least + popular_weight * (logf(0.3f) - plan->log_most) +
                       (c->tail - best_tail);
        }
        c->score -= 100 * (float)c->edits;
    }
}

/* The candidates worth ranking: the best labels of the blend, and all that the
 * session or the generator speak for. */
static void choose_ranked(esp_scratch *scratch, const esp_plan *plan) {
    esp_top *top = &scratch->labels; /* the search is done with it */
    top->n = 0;
    top->limit = esp_min_u32(esp_max_u32(plan->k, ESP_RANKED_LABELS), top->cap);
    scratch->n_ranked = 0;
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        const esp_candidate *c = &scratch->candidates.item[i];
        const bool beside =
            c->label == ESP_NO_LABEL || c->followed > 0 || (c->sources & ESP_SOURCE_TAIL) != 0;
        if (!beside || scratch->n_ranked == ESP_MOST_RANKED)
            esp_top_add(top, (esp_scored){.score = c->score, .id = c->label, .first = i});
        else
            scratch->ranked[scratch->n_ranked++] = c;
    }
    for (uint32_t i = 0; i < top->n && scratch->n_ranked < scratch->max_ranked; i++)
        scratch->ranked[scratch->n_ranked++] = &scratch->candidates.item[top->item[i].first];
}

static void rank(
    const esp_index *index, esp_scratch *scratch, const esp_plan *plan, const esp_query *query) {
    esp_rank_query asked;
    choose_ranked(scratch, plan);
    for (uint32_t i = 0; i < scratch->n_ranked; i++)
        scratch->ranked_score[i] = scratch->ranked[i]->score;
    esp_rank_start(
        &asked, index, &scratch->context, &scratch->typed, query->prefix.data, plan->prefix_bytes);
    asked.range_labels = plan->hi - plan->lo;
    asked.first_users = plan->first_users;
    asked.one_user = expf(-plan->log_most);
    esp_rank_fill(&asked, scratch->ranked, scratch->n_ranked, scratch->x);
    esp_rank_forget(query->groups_off, scratch->n_ranked, scratch->x);
}

/* Total order: score, then labels before others and by number, then text. */
static bool before(const esp_candidate *a, float a_score, const esp_candidate *b, float b_score) {
    if (a_score != b_score)
        return a_score > b_score;
    if (a->label != b->label)
        return a->label < b->label;
    const uint32_t common = esp_min_u32(a->length, b->length);
    const int order = memcmp(a->text, b->text, common);
    return order != 0 ? order < 0 : a->length < b->length;
}

static esp_status write_suggestions(const esp_index *index, esp_scratch *scratch,
    const esp_plan *plan, esp_suggestion *out, size_t *count, esp_error *err) {
    /* Insertion into a short list: k is 10, the list nearly always full at once. */
    uint32_t n = 0;
    uint32_t *order = scratch->order;
    for (uint32_t i = 0; i < scratch->n_ranked; i++) {
        const esp_candidate *c = scratch->ranked[i];
        uint32_t at = n;
        if (n == plan->k) {
            if (!before(c, scratch->ranked_score[i], scratch->ranked[order[n - 1]],
                    scratch->ranked_score[order[n - 1]]))
                continue;
            at--;
        } else {
            n++;
        }
        while (at > 0 && before(c, scratch->ranked_score[i], scratch->ranked[order[at - 1]],
                             scratch->ranked_score[order[at - 1]])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        const esp_candidate *c = scratch->ranked[order[i]];
        out[i] = (esp_suggestion){.label = c->label,
            .text = {c->text, c->length},
            .display = {c->text, c->length},
            .source = c->source,
            .score = scratch->ranked_score[order[i]],
            .model = c->model,
            .popularity = c->popularity,
            .matched = c->matched};
        if (c->label != ESP_NO_LABEL)
            ESP_TRY(esp_label_text(index, c->label, &out[i].text, &out[i].display, err));
    }
    *count = n;
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
    ESP_TRY(esp_find_candidates(index, scratch, query, &plan, err));
    scratch->work.candidates = scratch->candidates.n;
    blend(index, scratch, &plan);
    rank(index, scratch, &plan, query);
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
