/* complete.c: the query path end to end.
 *
 *   check -> range -> candidates of every source (sources.c)
 *         -> features -> forest -> k best, variants and blocked ones left out (order.c)
 */
#include "maxima.h"
#include "order.h"
#include "trie.h"
#include "utf8.h"

enum { ESP_DEFAULT_K = 10 };

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

/* Generated queries stand beside labels only where a forest has learned what each is
 * worth; without one they have to be asked for. */
static uint32_t default_sources(const esp_index *index) {
    return esp_forest_usable(index) ? (uint32_t)ESP_ALL_SOURCES
                                    : (uint32_t)ESP_ALL_SOURCES & ~(uint32_t)ESP_SOURCE_TAIL;
}

static esp_plan make_plan(
    const esp_index *index, const esp_scratch *scratch, const esp_query *query) {
    const esp_params *params = index->params;
    const esp_scratch_options *caps = &scratch->caps;
    const uint32_t k = query->k != 0 ? query->k : esp_min_u32(ESP_DEFAULT_K, caps->max_k);
    const uint32_t beam = query->beam != 0 ? query->beam : params->default_beam;
    const esp_ngram_header *words = index->ngrams.head;
    const uint32_t fresh = esp_context_fresh(
        query->previous_age, query->n_previous, words != NULL ? words->half_life : 0);
    const uint32_t pool = query->pool != 0 ? query->pool : params->default_pool;
    return (esp_plan){
        .query = query,
        .features = (query->flags & ESP_QUERY_FEATURES) != 0,
        .k = k,
        .beam = esp_max_u32(1, esp_min_u32(beam, caps->max_beam)),
        .pool = esp_max_u32(k, esp_min_u32(pool, caps->max_pool)),
        .sources = query->sources != 0 ? query->sources : default_sources(index),
        .matcher = query->matcher != ESP_MATCH_DEFAULT ? query->matcher : params->default_matcher,
        .prefix_bytes = (uint32_t)query->prefix.length,
        .n_previous = params->max_context == 0 ? 0 : fresh,
        .first_users = 1,
        .n_popular = UINT32_MAX,
        .most_tails = UINT32_MAX,
        .most_exact = k,
    };
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
    esp_sieve sieve;
    if (query->filter != NULL) {
        ESP_TRY(esp_sieve_make(index, query->filter, &sieve, err));
        plan.sieve = &sieve;
    }
    esp_scratch_begin(scratch);
    ESP_TRY(esp_trie_range(
        index, query->prefix.data, (size_t)query->prefix.length, &plan.lo, &plan.hi, err));
    scratch->work.range_labels = plan.hi - plan.lo;
    ESP_TRY(esp_find_candidates(index, scratch, &plan, err));
    scratch->work.candidates = scratch->candidates.n;
    return esp_order(index, scratch, &plan, out, count, err);
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
