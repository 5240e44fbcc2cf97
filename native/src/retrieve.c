/* retrieve.c: products for a query.
 *
 *   words, text --features--> tree, beam search --.
 *                                                 +--> candidates --> features --> scorer
 *                      another engine's list -----'    (likeness.c)
 *
 * A product's column of weights begins as its own title, so the tree finds what a
 * scan of all titles would; its upper nodes only decide what is worth looking at. */
#include "likeness.h"
#include "tree.h"
#include "utf8.h"

#include <math.h>

static esp_status check_text(const esp_text *text, uint64_t most, esp_error *err) {
    if (text->length > most)
        ESP_FAIL(err, ESP_E_LIMIT, "bytes", text->length,
            "a query of %llu bytes; %llu are the limit", (unsigned long long)text->length,
            (unsigned long long)most);
    const size_t valid = esp_utf8_check(text->data, (size_t)text->length);
    if (valid != text->length)
        ESP_FAIL(err, ESP_E_UTF8, "utf8", valid, "byte %zu of the query is not UTF-8", valid);
    return ESP_OK;
}

static esp_status check(const esp_index *index, const esp_scratch *scratch,
    const esp_retrieval *query, size_t cap, esp_error *err) {
    const esp_scratch_options *caps = &scratch->caps;
    if (query->struct_size != sizeof *query)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", query->struct_size,
            "esp_retrieval of %u bytes, not %zu", query->struct_size, sizeof *query);
    if (index->catalogue.head == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "catalogue", 0,
            "the index has no products; train one with --task retrieval");
    if (query->k == 0 || query->k > caps->max_k || query->k > cap)
        ESP_FAIL(err, ESP_E_LIMIT, "k", query->k, "k must be 1 to %u, not %u",
            esp_min_u32(caps->max_k, cap > UINT32_MAX ? UINT32_MAX : (uint32_t)cap), query->k);
    if (query->beam > caps->max_beam)
        ESP_FAIL(err, ESP_E_LIMIT, "beam", query->beam, "a beam of %u at most, not %u",
            caps->max_beam, query->beam);
    ESP_TRY(check_text(&query->words, caps->max_prefix_bytes, err));
    ESP_TRY(check_text(&query->text, caps->max_prefix_bytes, err));
    if (query->n_previous > caps->max_previous)
        ESP_FAIL(err, ESP_E_LIMIT, "previous", query->n_previous,
            "%u previous queries; %u are the limit", query->n_previous, caps->max_previous);
    if (query->n_previous > 0 && !(query->previous_weight >= 0 && query->previous_weight <= 1))
        ESP_FAIL(err, ESP_E_ARGUMENT, "previous_weight", 0, "a weight of 0 to 1");
    uint64_t left = caps->max_context_bytes / 2;
    for (uint32_t i = 0; i < 2 * query->n_previous; i++) {
        ESP_TRY(check_text(&query->previous[i], left, err));
        left -= query->previous[i].length;
    }
    for (uint32_t i = 0; i < query->n_host; i++)
        if (query->host[i] >= index->params->n_labels)
            ESP_FAIL(err, ESP_E_ARGUMENT, "host", i, "label %u of %u", query->host[i],
                index->params->n_labels);
    return ESP_OK;
}

/* Adds what one query has, as the index was trained with it, not merged. */
static esp_status add_query(const esp_index *index, esp_terms *terms, const esp_text *words,
    const esp_text *text, float weight, esp_error *err) {
    const esp_catalogue_header *head = index->catalogue.head;
    for (uint32_t kind = 0; kind <= ESP_FEATURE_WORD_CHARS_5; kind++) {
        if ((head->word_kinds >> kind & 1) != 0)
            ESP_TRY(esp_terms_add(terms, kind, words->data, (size_t)words->length, weight, err));
        if ((head->text_kinds >> kind & 1) != 0)
            ESP_TRY(esp_terms_add(terms, kind, text->data, (size_t)text->length, weight, err));
    }
    return ESP_OK;
}

/* Features of the tree; none where the query itself has none. */
static esp_status add_features(
    const esp_index *index, esp_scratch *scratch, const esp_retrieval *query, esp_error *err) {
    esp_terms *terms = &scratch->terms;
    terms->n = 0;
    ESP_TRY(add_query(index, terms, &query->words, &query->text, 1, err));
    esp_terms_known(&index->space, terms, 0);
    const size_t own = terms->n;
    if (own > 0 && query->n_previous > 0 && query->previous_weight > 0) {
        float weight = query->previous_weight;
        for (uint32_t i = 0; i < query->n_previous; i++, weight /= 2)
            ESP_TRY(add_query(
                index, terms, &query->previous[2 * i], &query->previous[2 * i + 1], weight, err));
        esp_terms_known(&index->space, terms, own);
        esp_terms_merge(terms, 0);
    }
    /* A margin is learned from rows of unit length; a sum of weights needs none. */
    if (index->params->post_processor != ESP_POST_NOOP)
        (void)esp_terms_unit(&scratch->terms, 0);
    return ESP_OK;
}

/* Keeps the search to the products that pass, where they are few; where they are not,
 * the rarer they are, the further it looks. */
static void narrow(esp_scratch *scratch, uint32_t n_labels, esp_search *search) {
    uint32_t n = 0;
    if (esp_sieve_list(search->sieve, n_labels, scratch->positions_spare, ESP_POSITIONS_CAP, &n)) {
        search->constrained = true;
        search->listed = scratch->positions_spare;
        search->n_listed = n;
        return;
    }
    const uint64_t wide = (uint64_t)search->beam * n_labels / esp_max_u32(1, n);
    const uint32_t most = scratch->caps.max_beam;
    search->beam = wide > most ? most : (uint32_t)wide;
}

/* Puts what the tree finds into scratch->labels, best first. */
static esp_status search(const esp_index *index, esp_scratch *scratch, const esp_retrieval *query,
    const esp_sieve *sieve, uint32_t pool, esp_error *err) {
    const uint32_t n_labels = index->params->n_labels;
    const uint32_t own = esp_max_u32(1, index->params->default_beam);
    const uint32_t beam = query->beam != 0 ? query->beam : esp_min_u32(own, scratch->caps.max_beam);
    ESP_TRY(add_features(index, scratch, query, err));
    scratch->labels.n = 0;
    if (scratch->terms.n == 0)
        return ESP_OK;
    esp_tree_features(index, scratch);
    esp_search all = {.hi = n_labels, .beam = beam, .pool = pool, .sieve = sieve};
    if (sieve != NULL)
        narrow(scratch, n_labels, &all);
    ESP_TRY(esp_tree_search(index, scratch, &all, err));
    esp_top_sort(&scratch->labels);
    /* Where weights add up, nothing is what has nothing in common with the query. */
    if (index->params->post_processor == ESP_POST_NOOP)
        while (scratch->labels.n > 0 && scratch->labels.item[scratch->labels.n - 1].score <= 0)
            scratch->labels.n--;
    return ESP_OK;
}

static uint32_t host_rank(const esp_retrieval *query, uint32_t label) {
    for (uint32_t i = 0; i < query->n_host; i++)
        if (query->host[i] == label)
            return i + 1;
    return 0;
}

/* Appends what only the host found, with the least score of the tree; from here on
 * `first` of an item is its row, `last` its place in the host's list. */
static void join_host(
    esp_scratch *scratch, const esp_retrieval *query, const esp_sieve *sieve, float least) {
    esp_top *labels = &scratch->labels;
    const uint32_t found = labels->n;
    for (uint32_t i = 0; i < found; i++) {
        labels->item[i].first = i;
        labels->item[i].last = host_rank(query, labels->item[i].id);
    }
    for (uint32_t h = 0; h < query->n_host; h++) {
        bool known = !esp_sieve_lets(sieve, query->host[h]);
        for (uint32_t i = 0; i < found && !known; i++)
            known = labels->item[i].id == query->host[h];
        if (!known) {
            labels->item[labels->n] = (esp_scored){
                .score = least, .id = query->host[h], .first = labels->n, .last = h + 1};
            labels->n++;
        }
    }
}

static esp_status describe(const esp_index *index, esp_scratch *scratch, const esp_retrieval *query,
    uint32_t n_tree, esp_error *err) {
    static_assert((int)ESP_LIKENESS_COUNT <= (int)ESP_RANK_COUNT, "rows fit scratch->x");
    const esp_top *labels = &scratch->labels;
    esp_likeness likeness;
    ESP_TRY(esp_likeness_begin(
        index, query->words.data, (size_t)query->words.length, &scratch->terms, &likeness, err));
    for (uint32_t i = 0; i < n_tree && i < ESP_BEST_TITLES; i++)
        esp_likeness_best(&likeness, labels->item[i].id);
    for (uint32_t i = 0; i < labels->n; i++) {
        const esp_candidate_product product = {.label = labels->item[i].id,
            .rank = i,
            .host_rank = labels->item[i].last,
            .model = labels->item[i].score};
        scratch->order[i] = product.label;
        esp_likeness_row(&likeness, &product, scratch->x + (size_t)i * ESP_LIKENESS_COUNT);
    }
    esp_likeness_finish(scratch->x, labels->n);
    scratch->n_retrieved = labels->n;
    return ESP_OK;
}

/* The k products that most queries were paired with; returns how many there are. */
static uint32_t popular(const esp_index *index, esp_scratch *scratch, const esp_sieve *sieve,
    uint32_t k, esp_product *out) {
    esp_sift sift;
    uint32_t n = 0, label = 0;
    esp_sift_start(&sift, &scratch->ranking, sieve, esp_popularity_users(index), 0,
        index->params->n_labels, k);
    while (n < k && esp_sift_next(&sift, &label))
        out[n++] = (esp_product){.label = label, .score = (float)index->users[label]};
    return n;
}

esp_status esp_retrieve(const esp_index *index, esp_scratch *scratch, const esp_retrieval *query,
    esp_product *out, size_t cap, size_t *count, esp_error *err) {
    ESP_TRY(check(index, scratch, query, cap, err));
    const bool fused = (query->flags & ESP_RETRIEVAL_MODEL_ONLY) == 0 &&
                       esp_forest_present(index) &&
                       esp_forest_features_id(index) == esp_retrieval_features_id() &&
                       esp_forest_features(index) == ESP_LIKENESS_COUNT;
    const bool described = fused || (query->flags & ESP_RETRIEVAL_FEATURES) != 0;
    const uint32_t wanted = query->pool != 0 ? query->pool : index->catalogue.head->pool;
    const uint32_t pool = esp_min_u32(esp_max_u32(wanted, query->k), index->params->n_labels);
    const uint32_t room =
        esp_min_u32(scratch->labels.cap, described ? scratch->max_ranked : scratch->labels.cap);
    if (pool > room || query->n_host > room - pool)
        ESP_FAIL(err, ESP_E_LIMIT, "pool", pool,
            "a pool of %u and %u products of another engine; %u together are the limit", pool,
            query->n_host, room);
    esp_sieve made;
    const esp_sieve *sieve = NULL;
    if (query->filter != NULL) {
        ESP_TRY(esp_sieve_make(index, query->filter, &made, err));
        sieve = &made;
    }
    esp_scratch_begin(scratch);
    ESP_TRY(search(index, scratch, query, sieve, pool, err));
    esp_top *labels = &scratch->labels;
    const uint32_t n_tree = labels->n;
    join_host(scratch, query, sieve, n_tree > 0 ? labels->item[n_tree - 1].score : 0);
    const uint32_t n = labels->n;
    const bool scored = fused && n_tree > 0;
    if (n == 0 && (query->flags & ESP_RETRIEVAL_POPULAR) != 0) {
        *count = popular(index, scratch, sieve, query->k, out);
        return ESP_OK;
    }
    if (described)
        ESP_TRY(describe(index, scratch, query, n_tree, err));
    if (scored)
        esp_forest_score(index, scratch->x, n, ESP_LIKENESS_COUNT, scratch->ranked_score);
    /* The heap grows over the places already read. */
    esp_top best = {.item = labels->item, .limit = esp_min_u32(query->k, n), .cap = n};
    for (uint32_t i = 0; i < n; i++) {
        esp_scored item = labels->item[i];
        item.score = scored ? scratch->ranked_score[i] : item.score;
        /* Where nothing is known of the query, the host's order is all there is. */
        if (n_tree == 0)
            item.score = 1 / (float)item.last;
        esp_top_offer(&best, item);
    }
    esp_top_sort(&best);
    for (uint32_t i = 0; i < best.n; i++) {
        const esp_scored *item = &best.item[i];
        const float *row = scratch->x + (size_t)item->first * ESP_LIKENESS_COUNT;
        out[i] = (esp_product){.label = item->id,
            .host_rank = item->last,
            .score = item->score,
            .model = n_tree == 0 ? 0
                     : described ? row[ESP_LIKENESS_model]
                                 : item->score};
    }
    labels->n = best.n;
    *count = best.n;
    return ESP_OK;
}

size_t esp_scratch_get_retrieved(
    const esp_scratch *scratch, const uint32_t **labels, const float **features) {
    *labels = scratch->order;
    *features = scratch->x;
    return scratch->n_retrieved;
}
