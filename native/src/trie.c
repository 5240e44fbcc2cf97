/* trie.c: see trie.h. */
#include "trie.h"

/* Below 0, 0, above 0: label against prefix, a label that starts with the
 * prefix being equal. */
static int compare_prefix(
    const uint8_t *label, uint32_t label_length, const uint8_t *prefix, size_t length) {
    const size_t common = label_length < length ? label_length : length;
    const int order = memcmp(label, prefix, common);
    if (order != 0)
        return order;
    return label_length < length ? -1 : 0;
}

/* First label of [lo, hi) that is not below the prefix (`past` false), or first
 * that is above all labels starting with it (`past` true). */
static esp_status bisect(const esp_index *index, uint32_t lo, uint32_t hi, const uint8_t *prefix,
    size_t length, bool past, uint32_t *out, esp_error *err) {
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        const uint8_t *text = NULL;
        uint32_t text_length = 0;
        if (!esp_index_label(index, middle, &text, &text_length))
            return esp_index_damaged(ESP_SEC_LOFF, "L2", middle, err);
        const int order = compare_prefix(text, text_length, prefix, length);
        if (order < 0 || (past && order == 0))
            lo = middle + 1;
        else
            hi = middle;
    }
    *out = lo;
    return ESP_OK;
}

/* The child of `node` that begins with `byte`: [*lo, *hi) and its number, or an
 * empty range.  `node_hi` ends the node's own range. */
static bool find_child(const esp_index *index, const esp_trie_node *node, uint32_t node_hi,
    uint8_t byte, uint32_t *child, uint32_t *hi) {
    uint32_t begin = node->first_child;
    uint32_t end = begin + node->n_children;
    const uint32_t last = end;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (index->trie[middle].byte < byte)
            begin = middle + 1;
        else
            end = middle;
    }
    if (begin == last || index->trie[begin].byte != byte)
        return false;
    *child = begin;
    *hi = begin + 1 < last ? index->trie[begin + 1].lo : node_hi;
    return true;
}

esp_status esp_trie_range(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t *lo, uint32_t *hi, esp_error *err) {
    const uint32_t n_labels = index->params->n_labels;
    uint32_t at = 0;
    uint32_t at_hi = n_labels;
    if (length == 0) {
        *lo = 0;
        *hi = n_labels;
        return ESP_OK;
    }
    *lo = *hi = 0;
    if (index->n_trie == 0)
        return ESP_OK;
    for (;;) {
        const esp_trie_node *node = &index->trie[at];
        if (node->lo > at_hi || at_hi > n_labels)
            return esp_index_damaged(ESP_SEC_TRIE, "T2", at, err);
        if (node->n_children == 0) {
            ESP_TRY(bisect(index, node->lo, at_hi, prefix, length, false, lo, err));
            return bisect(index, *lo, at_hi, prefix, length, true, hi, err);
        }
        if (node->first_child <= at || node->n_children > index->n_trie ||
            node->first_child > index->n_trie - node->n_children)
            return esp_index_damaged(ESP_SEC_TRIE, "T3", at, err);
        if (node->lo == at_hi)
            return ESP_OK;
        /* The skipped bytes stand in the labels themselves. */
        const uint8_t *text = NULL;
        uint32_t text_length = 0;
        if (!esp_index_label(index, node->lo, &text, &text_length) || text_length < node->depth)
            return esp_index_damaged(ESP_SEC_LOFF, "L2", node->lo, err);
        const size_t known = length < node->depth ? length : node->depth;
        if (memcmp(text, prefix, known) != 0)
            return ESP_OK;
        if (length <= node->depth) {
            *lo = node->lo;
            *hi = at_hi;
            return ESP_OK;
        }
        uint32_t child = 0;
        if (!find_child(index, node, at_hi, prefix[node->depth], &child, &at_hi))
            return ESP_OK;
        at = child; /* above the parent's number, so this ends */
    }
}

esp_status esp_prefix_range(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t *lo, uint32_t *hi, esp_error *err) {
    if (index->label_offset == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "labels", 0, "the index has no label texts");
    return esp_trie_range(index, prefix, length, lo, hi, err);
}

/* ---- building ----------------------------------------------------------- */

typedef struct span {
    uint32_t lo;
    uint32_t hi;
} span;

typedef struct builder {
    const uint8_t *blob;
    const uint64_t *offsets;
    esp_trie_node *nodes;
    span *spans; /* of nodes */
    size_t n;
    size_t cap;
} builder;

static uint64_t text_length(const builder *b, uint32_t label) {
    return b->offsets[label + 1] - b->offsets[label];
}

static bool add_node(builder *b, uint32_t lo, uint32_t hi, uint8_t byte) {
    if (b->n == b->cap) {
        const size_t cap = b->cap == 0 ? 1024 : b->cap * 2;
        esp_trie_node *nodes = realloc(b->nodes, cap * sizeof *nodes);
        if (nodes == NULL)
            return false;
        b->nodes = nodes;
        span *spans = realloc(b->spans, cap * sizeof *spans);
        if (spans == NULL)
            return false;
        b->spans = spans;
        b->cap = cap;
    }
    b->nodes[b->n] = (esp_trie_node){.lo = lo, .byte = byte};
    b->spans[b->n++] = (span){lo, hi};
    return true;
}

/* Bytes that the first and last, and so all, labels of the range share. */
static uint32_t shared_bytes(const builder *b, uint32_t lo, uint32_t hi) {
    const uint8_t *x = b->blob + b->offsets[lo];
    const uint8_t *y = b->blob + b->offsets[hi - 1];
    const uint64_t limit =
        text_length(b, lo) < text_length(b, hi - 1) ? text_length(b, lo) : text_length(b, hi - 1);
    uint32_t i = 0;
    while (i < limit && x[i] == y[i])
        i++;
    return i;
}

/* End of the run of labels from `lo` on with the same byte at `depth`; gallops,
 * because runs are either tiny or huge. */
static uint32_t run_end(const builder *b, uint32_t lo, uint32_t hi, uint32_t depth) {
    const uint8_t byte = b->blob[b->offsets[lo] + depth];
    uint32_t step = 1;
    uint32_t good = lo;
    while (good + step < hi && b->blob[b->offsets[good + step] + depth] == byte) {
        good += step;
        step = step < (1u << 30) ? step * 2 : step;
    }
    uint32_t bad = good + step < hi ? good + step : hi;
    while (good + 1 < bad) {
        const uint32_t middle = good + (bad - good) / 2;
        if (b->blob[b->offsets[middle] + depth] == byte)
            good = middle;
        else
            bad = middle;
    }
    return bad;
}

static bool split_node(builder *b, size_t at) {
    const span range = b->spans[at];
    if (range.hi - range.lo <= ESP_TRIE_BUCKET)
        return true;
    const uint32_t depth = shared_bytes(b, range.lo, range.hi);
    if (depth > UINT16_MAX)
        return true; /* labels this long stay a bucket, searched by bisection */
    const size_t first = b->n;
    /* A label that ends here sorts first and belongs to no child. */
    uint32_t lo = range.lo + (text_length(b, range.lo) == depth ? 1 : 0);
    while (lo < range.hi) {
        const uint32_t end = run_end(b, lo, range.hi, depth);
        if (!add_node(b, lo, end, b->blob[b->offsets[lo] + depth]))
            return false;
        lo = end;
    }
    b->nodes[at].depth = (uint16_t)depth;
    b->nodes[at].first_child = (uint32_t)first;
    b->nodes[at].n_children = (uint16_t)(b->n - first);
    return true;
}

static esp_status check_sorted(
    const uint8_t *blob, const uint64_t *offsets, uint32_t n_labels, esp_error *err) {
    for (uint32_t i = 0; i < n_labels; i++) {
        if (offsets[i] > offsets[i + 1] || offsets[i + 1] > UINT32_MAX)
            ESP_FAIL(err, ESP_E_ARGUMENT, "offsets", i,
                "label texts are not consecutive or exceed 4 GiB");
        if (i == 0)
            continue;
        const uint64_t x = offsets[i] - offsets[i - 1];
        const uint64_t y = offsets[i + 1] - offsets[i];
        const int order = memcmp(blob + offsets[i - 1], blob + offsets[i], (size_t)(x < y ? x : y));
        if (order > 0 || (order == 0 && x >= y))
            ESP_FAIL(err, ESP_E_ARGUMENT, "sorted", i,
                "label %u is not above the one before it; sort labels by their bytes", i);
    }
    return ESP_OK;
}

esp_status esp_trie_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_labels,
    uint8_t **section, size_t *section_bytes, esp_error *err) {
    ESP_TRY(check_sorted(blob, offsets, n_labels, err));
    builder b = {.blob = blob, .offsets = offsets};
    bool ok = n_labels == 0 || add_node(&b, 0, n_labels, 0);
    for (size_t at = 0; ok && at < b.n; at++)
        ok = split_node(&b, at);
    free(b.spans);
    if (ok && b.nodes == NULL)
        ok = (b.nodes = esp_alloc(1, sizeof *b.nodes)) != NULL;
    if (!ok) {
        free(b.nodes);
        ESP_FAIL(
            err, ESP_E_MEMORY, "trie", n_labels, "no memory for a trie of %u labels", n_labels);
    }
    *section = (uint8_t *)b.nodes;
    *section_bytes = b.n * sizeof *b.nodes;
    return ESP_OK;
}

/* ---- validation --------------------------------------------------------- */

/* Do all labels of [lo, hi), not empty, share their first `length` bytes with the
 * label `like`?  They are sorted, so the first and the last decide. */
static bool share_bytes(
    const esp_index *index, uint32_t lo, uint32_t hi, uint32_t like, uint32_t length) {
    const uint32_t labels[3] = {like, lo, hi - 1};
    const uint8_t *text[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        uint32_t have = 0;
        if (!esp_index_label(index, labels[i], &text[i], &have) || have < length)
            return false;
    }
    return memcmp(text[0], text[1], length) == 0 && memcmp(text[0], text[2], length) == 0;
}

/* T4 of a node with children whose ranges are known to lie in the node's. */
static bool splits_by_byte(
    const esp_index *index, const esp_trie_node *node, uint32_t hi, const uint32_t *child_ends) {
    const uint8_t *text = NULL;
    uint32_t length = 0;
    if (!share_bytes(index, node->lo, hi, node->lo, node->depth) ||
        !esp_index_label(index, node->lo, &text, &length))
        return false;
    const esp_trie_node *child = &index->trie[node->first_child];
    if (child->lo != node->lo + (length == node->depth ? 1 : 0))
        return false;
    for (uint32_t c = 0; c < node->n_children; c++, child++)
        if (!share_bytes(index, child->lo, child_ends[c], child->lo, node->depth + 1u) ||
            !esp_index_label(index, child->lo, &text, &length) || text[node->depth] != child->byte)
            return false;
    return true;
}

/* Breadth-first order makes one pass enough: a node's end is known from its
 * parent before the node is met. */
esp_status esp_trie_validate(const esp_index *index, esp_error *err) {
    const uint32_t n_labels = index->params->n_labels;
    if (n_labels == 0 || index->n_trie == 0)
        return n_labels == index->n_trie ? ESP_OK : esp_index_damaged(ESP_SEC_TRIE, "T1", 0, err);
    uint32_t *ends = esp_alloc(index->n_trie, sizeof *ends);
    if (ends == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "T1", index->n_trie, "no memory to validate the trie");
    const char *check = index->trie[0].lo == 0 ? NULL : "T1";
    uint32_t next = 1; /* number the next child must have */
    uint32_t at = 0;
    ends[0] = n_labels;
    for (; at < index->n_trie && check == NULL; at++) {
        const esp_trie_node *node = &index->trie[at];
        if (at >= next)
            check = "T3";
        else if (node->lo >= ends[at])
            check = "T2";
        else if (node->reserved[0] != 0 || node->reserved[1] != 0 || node->reserved[2] != 0)
            check = "T5";
        if (check != NULL)
            break;
        if (node->n_children == 0)
            continue;
        if (node->first_child != next || node->n_children > index->n_trie - next) {
            check = "T3";
            break;
        }
        next += node->n_children;
        for (uint32_t c = 0; c < node->n_children && check == NULL; c++) {
            const esp_trie_node *child = &index->trie[node->first_child + c];
            const bool last = c + 1 == node->n_children;
            ends[node->first_child + c] = last ? ends[at] : child[1].lo;
            if (child->lo < node->lo || child->lo >= ends[at] ||
                (!last && (child[1].lo <= child->lo || child[1].lo > ends[at] ||
                              child[1].byte <= child->byte)))
                check = "T2";
        }
        if (check == NULL && !splits_by_byte(index, node, ends[at], ends + node->first_child))
            check = "T4";
    }
    if (check == NULL && next != index->n_trie)
        check = "T3";
    free(ends);
    return check == NULL ? ESP_OK : esp_index_damaged(ESP_SEC_TRIE, check, at, err);
}
