/* sieve.c: see sieve.h. */
#include "sieve.h"

enum {
    WALK_STEPS = 2000, /* labels a walk looks at, at most */
    STEP_COST = 8,     /* of a step of the walk, in labels read */
    SPARE = 8          /* labels kept for one that is wanted: others may be blocked */
};

/* ---- the filter --------------------------------------------------------- */

/* Takes over the values the index knows. */
static esp_status take_values(const esp_attributes *a, const uint32_t *values, uint32_t n,
    const char *what, uint16_t *out, uint32_t *n_out, esp_error *err) {
    if (n > ESP_FILTER_VALUES)
        ESP_FAIL(
            err, ESP_E_LIMIT, what, n, "%u values in %s, at most %u", n, what, ESP_FILTER_VALUES);
    if (n > 0 && values == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, what, n, "%s has %u values but no numbers", what, n);
    for (uint32_t i = 0; i < n; i++)
        if (values[i] < a->head->n_values)
            out[(*n_out)++] = (uint16_t)values[i];
    return ESP_OK;
}

esp_status esp_sieve_make(
    const esp_index *index, const esp_filter *filter, esp_sieve *sieve, esp_error *err) {
    const esp_attributes *a = &index->attributes;
    if (a->head == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "filter", 0,
            "the index has no attributes to filter by; train it with log.attributes");
    esp_sieve made = {.attributes = a};
    ESP_TRY(take_values(a, filter->all_of, filter->n_all, "all_of", made.all, &made.n_all, err));
    ESP_TRY(take_values(a, filter->any_of, filter->n_any, "any_of", made.any, &made.n_any, err));
    ESP_TRY(
        take_values(a, filter->none_of, filter->n_none, "none_of", made.none, &made.n_none, err));
    made.nothing = made.n_all < filter->n_all || (filter->n_any > 0 && made.n_any == 0);
    made.generated = filter->keep_generated != 0 || (filter->n_all == 0 && filter->n_any == 0);
    *sieve = made;
    return ESP_OK;
}

static bool has(const uint16_t *values, uint32_t n, uint16_t value) {
    for (uint32_t i = 0; i < n; i++)
        if (values[i] == value)
            return true;
    return false;
}

static bool has_any(const uint16_t *values, uint32_t n, const uint16_t *wanted, uint32_t n_wanted) {
    for (uint32_t i = 0; i < n_wanted; i++)
        if (has(values, n, wanted[i]))
            return true;
    return false;
}

bool esp_sieve_passes(const esp_sieve *sieve, uint32_t label) {
    const uint16_t *values = NULL;
    if (sieve->nothing)
        return false;
    const uint32_t n = esp_attributes_of(sieve->attributes, label, &values);
    for (uint32_t i = 0; i < sieve->n_all; i++)
        if (!has(values, n, sieve->all[i]))
            return false;
    return (sieve->n_any == 0 || has_any(values, n, sieve->any, sieve->n_any)) &&
           !has_any(values, n, sieve->none, sieve->n_none);
}

/* ---- the labels that pass ----------------------------------------------- */

/* What has to be read to see every label of the range that passes: the lists of some
 * values, or the whole range. */
typedef struct esp_lists {
    const uint16_t *value;
    uint32_t n;      /* values; 0: the range itself */
    uint64_t labels; /* to read */
} esp_lists;

static esp_lists shortest(const esp_sift *sift) {
    const esp_sieve *sieve = sift->sieve;
    const uint32_t *labels = NULL;
    esp_lists best = {.labels = sieve->nothing ? 0 : sift->hi - sift->lo};
    if (sieve->nothing)
        return best;
    for (uint32_t i = 0; i < sieve->n_all; i++) {
        const uint32_t n =
            esp_attributes_labels(sieve->attributes, sieve->all[i], sift->lo, sift->hi, &labels);
        if (n < best.labels)
            best = (esp_lists){.value = &sieve->all[i], .n = 1, .labels = n};
    }
    uint64_t together = 0;
    for (uint32_t i = 0; i < sieve->n_any; i++)
        together +=
            esp_attributes_labels(sieve->attributes, sieve->any[i], sift->lo, sift->hi, &labels);
    if (sieve->n_any > 0 && together < best.labels)
        best = (esp_lists){.value = sieve->any, .n = sieve->n_any, .labels = together};
    return best;
}

/* Whether a label stands in one of the lists before number `i`: then it was read. */
static bool read_before(const esp_sift *sift, const esp_lists *lists, uint32_t i, uint32_t label) {
    const uint16_t *values = NULL;
    const uint32_t n = i == 0 ? 0 : esp_attributes_of(sift->sieve->attributes, label, &values);
    return n > 0 && has_any(values, n, lists->value, i);
}

bool esp_sieve_list(
    const esp_sieve *sieve, uint32_t n_labels, uint32_t *out, uint32_t cap, uint32_t *n_read) {
    const esp_sift all = {.sieve = sieve, .hi = n_labels};
    const esp_lists lists = shortest(&all);
    *n_read = (uint32_t)lists.labels; /* below n_labels: the range itself is the longest */
    if (lists.labels > cap || (lists.n == 0 && lists.labels > 0))
        return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < lists.n; i++) {
        const uint32_t *labels = NULL;
        const uint32_t n_value =
            esp_attributes_labels(sieve->attributes, lists.value[i], 0, n_labels, &labels);
        for (uint32_t j = 0; j < n_value; j++)
            if (labels[j] < n_labels && !read_before(&all, &lists, i, labels[j]) &&
                esp_sieve_passes(sieve, labels[j]))
                out[n++] = labels[j];
    }
    *n_read = n;
    return true;
}

/* Whether the walk has come to a label. */
static bool walked_past(const esp_sift *sift, uint32_t label) {
    const uint32_t *value = sift->ranking->by.value;
    return sift->last != ESP_NO_LABEL &&
           (value[label] > value[sift->last] ||
               (value[label] == value[sift->last] && label <= sift->last));
}

/* Most labels are not popular enough to be kept, which is the cheapest thing to see. */
static void read_lists(esp_sift *sift, const esp_lists *lists) {
    esp_ranking *ranking = sift->ranking;
    sift->walking = false;
    esp_ranking_clear(ranking, (size_t)sift->wanted * SPARE);
    for (uint32_t i = 0; i < lists->n; i++) {
        const uint32_t *labels = NULL;
        const uint32_t n = esp_attributes_labels(
            sift->sieve->attributes, lists->value[i], sift->lo, sift->hi, &labels);
        for (uint32_t j = 0; j < n; j++) {
            const uint32_t label = labels[j];
            if (label < sift->lo || label >= sift->hi)
                continue; /* a damaged file */
            if (esp_ranking_wants(ranking, label) && !walked_past(sift, label) &&
                !read_before(sift, lists, i, label) && esp_sieve_passes(sift->sieve, label))
                esp_ranking_keep(ranking, label);
        }
    }
    if (lists->n == 0 && lists->labels > 0)
        for (uint32_t label = sift->lo; label < sift->hi; label++)
            if (esp_ranking_wants(ranking, label) && !walked_past(sift, label) &&
                esp_sieve_passes(sift->sieve, label))
                esp_ranking_keep(ranking, label);
    esp_ranking_kept(ranking);
}

void esp_sift_start(esp_sift *sift, esp_ranking *ranking, const esp_sieve *sieve, esp_popularity by,
    uint32_t lo, uint32_t hi, uint32_t wanted) {
    *sift = (esp_sift){.ranking = ranking,
        .sieve = sieve,
        .lo = lo,
        .hi = hi,
        .wanted = wanted,
        .steps = WALK_STEPS,
        .last = ESP_NO_LABEL,
        .walking = true};
    esp_ranking_start(ranking, by, lo, hi);
    if (sieve == NULL)
        return;
    /* One label in (hi - lo) / labels passes, so the walk takes as many steps for each. */
    const esp_lists lists = shortest(sift);
    const uint64_t steps = (uint64_t)wanted * (hi - lo);
    if (lists.labels * lists.labels <= STEP_COST * steps || steps > WALK_STEPS * lists.labels)
        read_lists(sift, &lists);
}

bool esp_sift_next(esp_sift *sift, uint32_t *label) {
    if (sift->sieve == NULL)
        return esp_ranking_next(sift->ranking, label);
    for (;;) {
        /* A walk that lost a piece would pass over labels. */
        if (sift->walking && (sift->steps == 0 || sift->ranking->lost)) {
            const esp_lists lists = shortest(sift);
            read_lists(sift, &lists);
        }
        if (!esp_ranking_next(sift->ranking, label))
            return false;
        if (!sift->walking)
            return true;
        sift->steps--;
        sift->last = *label;
        if (esp_sieve_passes(sift->sieve, *label))
            return true;
    }
}
