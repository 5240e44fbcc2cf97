/* tree.c: see tree.h. */
#include "tree.h"

#include "node.h"

void esp_tree_features(const esp_index *index, esp_scratch *scratch) {
    const uint32_t n = (uint32_t)scratch->terms.n;
    for (uint32_t i = 0; i < n; i++)
        scratch->features[i] = (esp_feature){
            .mixed = esp_feature_mix(scratch->terms.item[i].key, index->feature_bits),
            .value = scratch->terms.item[i].weight,
        };
    scratch->n_features = n;
    scratch->work.n_features = n;
}

/* ---- scores ------------------------------------------------------------- */

/* Where the scores of a node are kept in this query, or may be: NULL if there
 * is no room. */
static esp_memo *find_memo(esp_scratch *scratch, uint32_t node) {
    const uint32_t slot = (node * 0x9E3779B1u) >> (32 - 12); /* 2^12 slots */
    static_assert(ESP_MEMO_SLOTS == 1 << 12, "slot computation");
    for (uint32_t probe = 0; probe < 8; probe++) {
        esp_memo *memo = &scratch->memo[(slot + probe) & (ESP_MEMO_SLOTS - 1)];
        if (memo->stamp != scratch->stamp || memo->node == node)
            return memo;
    }
    return NULL;
}

/* Takes room for the scores of a node's n children and adds its chunks. */
static esp_status schedule(const esp_index *index, esp_scratch *scratch, uint32_t node, uint32_t n,
    esp_memo *memo, esp_jobs *due, esp_error *err) {
    float *out = scratch->arena + scratch->arena_used;
    ESP_TRY(esp_jobs_add(index, due, node, n, scratch->features, scratch->n_features, out, err));
    *memo = (esp_memo){.stamp = scratch->stamp, .node = node, .at = scratch->arena_used};
    scratch->arena_used += n;
    scratch->work.nodes_scored++;
    return ESP_OK;
}

/* Chunks write 256 margins at a time, so that much must be free. */
static bool has_room(const esp_scratch *scratch, uint32_t n) {
    return scratch->arena_used + (uint64_t)n + ESP_CHUNK_COLUMNS <= ESP_ARENA_FLOATS;
}

/* Own scores of a node's children, computed once per query.  The pointer holds
 * until the next call at least. */
static esp_status node_scores(const esp_index *index, esp_scratch *scratch, uint32_t node,
    uint32_t n, const float **scores, esp_error *err) {
    esp_memo *memo = find_memo(scratch, node);
    if (memo != NULL && memo->stamp == scratch->stamp) {
        *scores = scratch->arena + memo->at;
        return ESP_OK;
    }
    esp_jobs due;
    due.n = 0;
    float *out = scratch->spill;
    if (memo != NULL && has_room(scratch, n)) {
        out = scratch->arena + scratch->arena_used;
        ESP_TRY(schedule(index, scratch, node, n, memo, &due, err));
    } else {
        ESP_TRY(
            esp_jobs_add(index, &due, node, n, scratch->features, scratch->n_features, out, err));
        scratch->work.nodes_scored++;
    }
    ESP_TRY(esp_jobs_run(index, &due, err));
    esp_scores_transform(index->params->post_processor, out, n);
    *scores = out;
    return ESP_OK;
}

/* ---- pruning ------------------------------------------------------------ */

static uint32_t lower_bound(const uint32_t *array, uint32_t lo, uint32_t hi, uint32_t value) {
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (array[middle] < value)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* Sorts n <= ESP_POSITIONS_CAP numbers: insertion for the common handful, else
 * three counting passes of 11 bits. */
static void sort_positions(uint32_t *array, uint32_t *spare, uint32_t n) {
    if (n <= 48) {
        for (uint32_t i = 1; i < n; i++) {
            const uint32_t moved = array[i];
            uint32_t j = i;
            for (; j > 0 && array[j - 1] > moved; j--)
                array[j] = array[j - 1];
            array[j] = moved;
        }
        return;
    }
    uint32_t count[2048];
    for (uint32_t shift = 0; shift < 33; shift += 11) {
        memset(count, 0, sizeof count);
        for (uint32_t i = 0; i < n; i++)
            count[(array[i] >> shift) & 2047u]++;
        uint32_t sum = 0;
        for (uint32_t b = 0; b < 2048; b++) {
            const uint32_t here = count[b];
            count[b] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < n; i++)
            spare[count[(array[i] >> shift) & 2047u]++] = array[i];
        memcpy(array, spare, n * sizeof *array);
    }
}

/* Is the whole node inside the range?  Then nothing below it needs a test. */
static bool covers(const esp_search *search, const esp_tree_node *node) {
    return search->listed == NULL && search->lo <= node->label_min && node->label_max < search->hi;
}

/* Could the node hold a label of the range?  Narrows [*first, *last) to the
 * node's places in positions. */
static bool allowed(const esp_scratch *scratch, const esp_search *search, const esp_tree_node *node,
    uint32_t *first, uint32_t *last) {
    if (node->label_max < search->lo || node->label_min >= search->hi)
        return false;
    if (!scratch->by_position)
        return true;
    *first = lower_bound(scratch->positions, *first, *last, node->pos_begin);
    *last = lower_bound(scratch->positions, *first, *last, node->pos_end);
    return *first < *last;
}

/* Walks down while the prefix leaves a single child, without scoring. */
static esp_status skip_decided(const esp_index *index, const esp_scratch *scratch,
    const esp_search *search, uint32_t *node, esp_error *err) {
    for (;;) {
        esp_children below;
        ESP_TRY(esp_children_of(index, *node, &below, err));
        if (below.are_labels || covers(search, &index->tree[*node]))
            return ESP_OK;
        uint32_t survivors = 0;
        uint32_t survivor = 0;
        for (uint32_t c = 0; c < below.n && survivors < 2; c++) {
            uint32_t first = 0;
            uint32_t last = scratch->n_positions;
            if (allowed(scratch, search, &index->tree[below.begin + c], &first, &last)) {
                survivors++;
                survivor = below.begin + c;
            }
        }
        if (survivors != 1)
            return ESP_OK;
        *node = survivor;
    }
}

/* Sorts n positions that were written, for the search to go by. */
static esp_status keep_positions(
    const esp_index *index, esp_scratch *scratch, uint32_t n, uint32_t place, esp_error *err) {
    sort_positions(scratch->positions, scratch->positions_spare, n);
    if (n > 0 && scratch->positions[n - 1] >= index->params->n_labels)
        return esp_index_damaged(ESP_SEC_POSL, "N4", place, err);
    scratch->n_positions = n;
    scratch->by_position = true;
    return ESP_OK;
}

static esp_status find_start(
    const esp_index *index, esp_scratch *scratch, const esp_search *search, esp_error *err) {
    scratch->by_position = false;
    scratch->n_positions = 0;
    scratch->start = 0;
    if (!search->constrained)
        return ESP_OK;
    if (search->listed != NULL) {
        for (uint32_t i = 0; i < search->n_listed; i++)
            scratch->positions[i] = index->position_of[search->listed[i]];
        ESP_TRY(keep_positions(index, scratch, search->n_listed, 0, err));
        return skip_decided(index, scratch, search, &scratch->start, err);
    }
    ESP_TRY(skip_decided(index, scratch, search, &scratch->start, err));
    const uint32_t n = search->hi - search->lo;
    if (n > ESP_POSITIONS_CAP || covers(search, &index->tree[scratch->start]))
        return ESP_OK;
    memcpy(scratch->positions, index->position_of + search->lo, n * sizeof *scratch->positions);
    ESP_TRY(keep_positions(index, scratch, n, search->lo, err));
    return skip_decided(index, scratch, search, &scratch->start, err);
}

/* ---- search ------------------------------------------------------------- */

static esp_status expand_node(const esp_index *index, esp_scratch *scratch,
    const esp_search *search, const esp_scored *at, const esp_children *below, esp_error *err) {
    const uint32_t post = index->params->post_processor;
    const float *scores = NULL;
    ESP_TRY(node_scores(index, scratch, at->id, below->n, &scores, err));
    const bool open = !search->constrained || covers(search, &index->tree[at->id]);
    for (uint32_t c = 0; c < below->n; c++) {
        const float score = esp_score_combine(post, at->score, scores[c]);
        if (!esp_top_wants(&scratch->next, score))
            continue;
        esp_scored child = {
            .score = score, .id = below->begin + c, .first = at->first, .last = at->last};
        if (open || allowed(scratch, search, &index->tree[child.id], &child.first, &child.last))
            esp_top_add(&scratch->next, child);
    }
    return ESP_OK;
}

static esp_status expand_labels(const esp_index *index, esp_scratch *scratch,
    const esp_search *search, const esp_scored *at, const esp_children *below, esp_error *err) {
    const uint32_t post = index->params->post_processor;
    const uint32_t n_labels = index->params->n_labels;
    const float *scores = NULL;
    ESP_TRY(node_scores(index, scratch, at->id, below->n, &scores, err));
    const bool open = !search->constrained || covers(search, &index->tree[at->id]);
    if (scratch->by_position && !open) {
        for (uint32_t p = at->first; p < at->last; p++) {
            const uint32_t position = scratch->positions[p];
            const uint32_t c = position - below->begin;
            if (ESP_UNLIKELY(c >= below->n))
                return esp_index_damaged(ESP_SEC_TREE, "N3", at->id, err);
            const uint32_t label = index->label_at[position];
            if (ESP_UNLIKELY(label >= n_labels))
                return esp_index_damaged(ESP_SEC_LPOS, "N4", position, err);
            if (esp_sieve_lets(search->sieve, label))
                esp_top_offer(&scratch->labels,
                    (esp_scored){
                        .score = esp_score_combine(post, at->score, scores[c]), .id = label});
        }
        return ESP_OK;
    }
    for (uint32_t c = 0; c < below->n; c++) {
        const float score = esp_score_combine(post, at->score, scores[c]);
        if (!esp_top_wants(&scratch->labels, score))
            continue; /* before its label number is fetched */
        const uint32_t label = index->label_at[below->begin + c];
        if (ESP_UNLIKELY(label >= n_labels))
            return esp_index_damaged(ESP_SEC_LPOS, "N4", below->begin + c, err);
        if ((open || (label >= search->lo && label < search->hi)) &&
            esp_sieve_lets(search->sieve, label))
            esp_top_add(&scratch->labels, (esp_scored){.score = score, .id = label});
    }
    return ESP_OK;
}

/* Scores the children of all nodes of the beam together, as far as there is
 * room: the nodes of a level are known before the first of them is expanded, and
 * what costs is waiting for their chunks one after the other. */
static esp_status score_level(
    const esp_index *index, esp_scratch *scratch, bool labels_too, esp_error *err) {
    const esp_top *beam = &scratch->beam;
    const uint32_t first = scratch->arena_used;
    esp_jobs due;
    due.n = 0;
    for (uint32_t i = 0; i < beam->n; i++)
        ESP_PREFETCH(&index->tree[beam->item[i].id]);
    for (uint32_t i = 0; i < beam->n; i++)
        esp_jobs_prefetch(index, beam->item[i].id);
    for (uint32_t i = 0; i < beam->n; i++) {
        const uint32_t node = beam->item[i].id;
        esp_children below;
        ESP_TRY(esp_children_of(index, node, &below, err));
        if (below.are_labels && !labels_too)
            continue;
        esp_memo *memo = find_memo(scratch, node);
        if (memo == NULL || memo->stamp == scratch->stamp || !has_room(scratch, below.n))
            continue;
        ESP_TRY(schedule(index, scratch, node, below.n, memo, &due, err));
    }
    ESP_TRY(esp_jobs_run(index, &due, err));
    esp_scores_transform(
        index->params->post_processor, scratch->arena + first, scratch->arena_used - first);
    return ESP_OK;
}

esp_status esp_tree_search(
    const esp_index *index, esp_scratch *scratch, const esp_search *search, esp_error *err) {
    ESP_TRY(find_start(index, scratch, search, err));
    scratch->labels.n = 0;
    scratch->labels.limit = search->pool;
    scratch->beam.n = 1;
    scratch->beam.item[0] =
        (esp_scored){.id = scratch->start, .first = 0, .last = scratch->n_positions};
    for (bool inner = true; inner;) {
        inner = false;
        scratch->next.n = 0;
        scratch->next.limit = search->beam;
        ESP_TRY(score_level(index, scratch, false, err));
        for (uint32_t i = 0; i < scratch->beam.n; i++) {
            const esp_scored *at = &scratch->beam.item[i];
            esp_children below;
            ESP_TRY(esp_children_of(index, at->id, &below, err));
            if (below.are_labels) {
                esp_top_add(&scratch->next, *at);
            } else {
                inner = true;
                ESP_TRY(expand_node(index, scratch, search, at, &below, err));
            }
        }
        const esp_top swapped = scratch->beam;
        scratch->beam = scratch->next;
        scratch->next = swapped;
    }
    ESP_TRY(score_level(index, scratch, true, err));
    for (uint32_t i = 0; i < scratch->beam.n; i++) {
        const esp_scored *at = &scratch->beam.item[i];
        esp_children below;
        ESP_TRY(esp_children_of(index, at->id, &below, err));
        ESP_TRY(expand_labels(index, scratch, search, at, &below, err));
    }
    return ESP_OK;
}

/* Number of the child whose positions hold `position`; below->n if none. */
static uint32_t child_holding(
    const esp_index *index, const esp_children *below, uint32_t position) {
    uint32_t lo = 0;
    uint32_t hi = below->n;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (index->tree[below->begin + middle].pos_end <= position)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

esp_status esp_tree_score(
    const esp_index *index, esp_scratch *scratch, uint32_t label, float *score, esp_error *err) {
    const uint32_t post = index->params->post_processor;
    const uint32_t position = index->position_of[label];
    float sum = 0;
    for (uint32_t node = scratch->start;;) {
        esp_children below;
        const float *scores = NULL;
        ESP_TRY(esp_children_of(index, node, &below, err));
        const uint32_t c =
            below.are_labels ? position - below.begin : child_holding(index, &below, position);
        if (c >= below.n)
            return esp_index_damaged(ESP_SEC_TREE, "N3", node, err);
        ESP_TRY(node_scores(index, scratch, node, below.n, &scores, err));
        sum = esp_score_combine(post, sum, scores[c]);
        if (below.are_labels)
            break;
        node = below.begin + c; /* above its parent's number, so this ends */
    }
    *score = sum;
    return ESP_OK;
}

/* ---- validation --------------------------------------------------------- */

static const char *validate_node(const esp_index *index, uint32_t node, uint32_t next_child) {
    const esp_tree_node *at = &index->tree[node];
    const uint32_t n_nodes = index->params->n_nodes;
    if (at->pos_begin >= at->pos_end || at->pos_end > index->params->n_labels)
        return "N2";
    if (at->child_begin == at->child_end)
        return at->pos_end - at->pos_begin > index->params->max_children ? "N2" : NULL;
    if (at->child_begin != next_child || at->child_end < at->child_begin ||
        at->child_end > n_nodes || at->child_end - at->child_begin > index->params->max_children)
        return "N2";
    uint32_t position = at->pos_begin;
    uint32_t smallest = UINT32_MAX;
    uint32_t largest = 0;
    for (uint32_t c = at->child_begin; c < at->child_end; c++) {
        const esp_tree_node *child = &index->tree[c];
        if (child->pos_begin != position)
            return "N3";
        position = child->pos_end;
        smallest = esp_min_u32(smallest, child->label_min);
        largest = esp_max_u32(largest, child->label_max);
    }
    if (position != at->pos_end)
        return "N3";
    return smallest == at->label_min && largest == at->label_max ? NULL : "N5";
}

static const char *validate_leaf(const esp_index *index, const esp_tree_node *at) {
    uint32_t smallest = UINT32_MAX;
    uint32_t largest = 0;
    for (uint32_t p = at->pos_begin; p < at->pos_end; p++) {
        const uint32_t label = index->label_at[p];
        if (label >= index->params->n_labels || index->position_of[label] != p)
            return "N4";
        smallest = esp_min_u32(smallest, label);
        largest = esp_max_u32(largest, label);
    }
    return smallest == at->label_min && largest == at->label_max ? NULL : "N5";
}

static esp_status validate_chunks(
    const esp_index *index, uint32_t node, uint64_t *at, esp_error *err) {
    esp_children below;
    ESP_TRY(esp_children_of(index, node, &below, err));
    if (index->tree[node].chunk != *at)
        return esp_index_damaged(ESP_SEC_TREE, "N6", node, err);
    for (uint32_t done = 0; done < below.n;) {
        const uint32_t wanted = esp_min_u32(below.n - done, ESP_CHUNK_COLUMNS);
        esp_chunk chunk;
        if (*at > index->chunks.length ||
            !esp_chunk_open(index->chunks.data + *at, index->chunks.length - *at,
                index->feature_bits, &chunk) ||
            chunk.head->n_cols != wanted)
            return esp_index_damaged(ESP_SEC_WGHT, "W1", *at, err);
        const char *check = esp_chunk_validate(&chunk, index->feature_bits);
        if (check != NULL)
            return esp_index_damaged(ESP_SEC_WGHT, check, *at, err);
        *at += chunk.head->bytes;
        done += wanted;
    }
    return ESP_OK;
}

esp_status esp_tree_validate(const esp_index *index, esp_error *err) {
    const uint32_t n_nodes = index->params->n_nodes;
    const esp_tree_node *root = index->tree;
    if (root->pos_begin != 0 || root->pos_end != index->params->n_labels)
        return esp_index_damaged(ESP_SEC_TREE, "N1", 0, err);
    uint32_t next_child = 1;
    uint64_t chunk = 0;
    for (uint32_t node = 0; node < n_nodes; node++) {
        const esp_tree_node *at = &index->tree[node];
        if (node >= next_child)
            return esp_index_damaged(ESP_SEC_TREE, "N2", node, err);
        const char *check = validate_node(index, node, next_child);
        if (check == NULL && at->child_begin == at->child_end)
            check = validate_leaf(index, at);
        if (check != NULL)
            return esp_index_damaged(ESP_SEC_TREE, check, node, err);
        if (at->child_begin != at->child_end)
            next_child = at->child_end;
        ESP_TRY(validate_chunks(index, node, &chunk, err));
    }
    if (next_child != n_nodes)
        return esp_index_damaged(ESP_SEC_TREE, "N2", next_child, err);
    if (chunk != index->chunks.length)
        return esp_index_damaged(ESP_SEC_WGHT, "W1", chunk, err);
    return ESP_OK;
}
