/* likeness.c: see likeness.h. */
#include "likeness.h"

#include <math.h>

#include "hash.h"

static const char *const NAMES[] = {
#define NAME(name) #name,
    ESP_LIKENESS_FEATURES(NAME)
#undef NAME
};

uint32_t esp_retrieval_feature_count(void) {
    return ESP_LIKENESS_COUNT;
}

const char *esp_retrieval_feature_name(uint32_t feature) {
    return feature < ESP_LIKENESS_COUNT ? NAMES[feature] : NULL;
}

uint32_t esp_retrieval_features_id(void) {
    uint32_t id = ESP_LIKENESS_COUNT;
    for (uint32_t f = 0; f < ESP_LIKENESS_COUNT; f++)
        id = (id * 31) ^ esp_word_hash((const uint8_t *)NAMES[f], strlen(NAMES[f]));
    return id;
}

/* ---- the query ---------------------------------------------------------- */

static float unknown_weight(const esp_index *index) {
    return logf(1 + ((float)index->params->n_labels + 0.5f) / 0.5f);
}

/* The tree's features carry the root of a weight, on both sides of its product. */
static float weight_of(const esp_index *index, uint32_t feature) {
    const float root = index->space.idf[feature];
    return root * root;
}

static bool has_digit(const uint8_t *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] >= '0' && text[i] <= '9')
            return true;
    return false;
}

esp_status esp_likeness_begin(const esp_index *index, const uint8_t *words, size_t length,
    esp_terms *spare, esp_likeness *likeness, esp_error *err) {
    likeness->index = index;
    likeness->n_words = 0;
    likeness->n_best = 0;
    likeness->weight = 0;
    memset(likeness->profile, 0, sizeof likeness->profile);
    for (size_t begin = 0; begin < length;) {
        size_t end = begin;
        while (end < length && words[end] != ' ')
            end++;
        spare->n = 0;
        ESP_TRY(esp_terms_add(spare, ESP_FEATURE_WORDS, words + begin, end - begin, 1, err));
        for (size_t t = 0; t < spare->n && likeness->n_words < ESP_QUERY_WORDS; t++) {
            esp_query_word *word = &likeness->word[likeness->n_words++];
            *word = (esp_query_word){.feature = ESP_NO_FEATURE,
                .weight = unknown_weight(index),
                .has_digit = has_digit(words + begin, end - begin)};
            if (esp_feature_number(&index->space, spare->item[t].key, &word->feature))
                word->weight = weight_of(index, word->feature);
            else
                word->feature = ESP_NO_FEATURE;
            likeness->weight += word->weight;
        }
        begin = end + 1;
    }
    return ESP_OK;
}

/* ---- the best titles ---------------------------------------------------- */

/* Where a word stands in the profile, or would: the table is never full. */
static uint32_t slot_of(const esp_likeness *likeness, uint32_t feature) {
    uint32_t slot = (feature * 0x9E3779B1u) >> 21;
    while (likeness->profile[slot].feature != 0 && likeness->profile[slot].feature != feature + 1)
        slot = (slot + 1) % ESP_PROFILE_SLOTS;
    return slot;
}

static_assert(
    ESP_PROFILE_SLOTS == 1 << 11 && ESP_PROFILE_SLOTS >= 2 * ESP_BEST_TITLES * ESP_TITLE_WORDS,
    "a profile has room for every word, and slots are eleven bits");

void esp_likeness_best(esp_likeness *likeness, uint32_t label) {
    uint32_t word[ESP_TITLE_WORDS];
    if (likeness->n_best == ESP_BEST_TITLES)
        return;
    const uint32_t n =
        esp_catalogue_words(&likeness->index->catalogue, label, word, ESP_TITLE_WORDS);
    for (uint32_t i = 0; i < n; i++) {
        esp_profile_word *known = &likeness->profile[slot_of(likeness, word[i])];
        known->feature = word[i] + 1;
        known->in_best++;
        known->in_few = (uint16_t)(known->in_few + (likeness->n_best < ESP_FEW_TITLES));
    }
    likeness->n_best++;
}

/* Share, by weight, of a title's words that the best titles have: those but itself. */
static void compare_with_best(const esp_likeness *likeness, const uint32_t *word, uint32_t n,
    uint32_t rank, float *few, float *best) {
    const float self_best = rank < likeness->n_best ? 1 : 0;
    const float self_few = rank < esp_min_u32(likeness->n_best, ESP_FEW_TITLES) ? 1 : 0;
    const float n_best = (float)likeness->n_best - self_best;
    const float n_few = (float)esp_min_u32(likeness->n_best, ESP_FEW_TITLES) - self_few;
    float in_few = 0, in_best = 0, all = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (word[i] >= likeness->index->space.n_features)
            continue;
        const float weight = weight_of(likeness->index, word[i]);
        const esp_profile_word *known = &likeness->profile[slot_of(likeness, word[i])];
        all += weight;
        if (known->feature == 0)
            continue;
        in_best += weight * fmaxf((float)known->in_best - self_best, 0);
        in_few += weight * fmaxf((float)known->in_few - self_few, 0);
    }
    *few = all > 0 && n_few > 0 ? in_few / (all * n_few) : 0;
    *best = all > 0 && n_best > 0 ? in_best / (all * n_best) : 0;
}

/* ---- a product ---------------------------------------------------------- */

void esp_likeness_row(
    const esp_likeness *likeness, const esp_candidate_product *product, float *row) {
    const esp_index *index = likeness->index;
    const esp_catalogue_header *head = index->catalogue.head;
    uint32_t title[ESP_TITLE_WORDS];
    const uint32_t n =
        esp_catalogue_words(&index->catalogue, product->label, title, ESP_TITLE_WORDS);
    const uint32_t n_query = likeness->n_words;
    const float length = head->average > 0 ? (float)n / head->average : 1;
    const float slow = head->k1 * (1 - head->b + head->b * length);
    float score = 0, matched_weight = 0, missed = 0, numbers = 0, number_matched = 0;
    uint32_t matched = 0, side_by_side = 0;
    int32_t first = -1, last = -1, place_of_last = -1;
    for (uint32_t q = 0; q < n_query; q++) {
        const esp_query_word *word = &likeness->word[q];
        const bool has_next = q + 1 < n_query;
        uint32_t count = 0;
        bool paired = false;
        for (uint32_t i = 0; i < n; i++) {
            if (title[i] != word->feature)
                continue;
            count++;
            first = first < 0 || (int32_t)i < first ? (int32_t)i : first;
            last = (int32_t)i > last ? (int32_t)i : last;
            place_of_last = has_next ? place_of_last : (int32_t)i;
            paired = paired || (has_next && i + 1 < n && title[i + 1] == word[1].feature);
        }
        const float times = (float)count;
        score += count > 0 ? word->weight * times * (head->k1 + 1) / (times + slow) : 0;
        matched += count > 0;
        matched_weight += count > 0 ? word->weight : 0;
        missed = count == 0 ? fmaxf(missed, word->weight) : missed;
        numbers += word->has_digit ? 1 : 0;
        number_matched += word->has_digit && count > 0 ? 1 : 0;
        side_by_side += paired;
        if (q == 0)
            row[ESP_LIKENESS_first_matched] = count > 0 ? 1 : 0;
        if (!has_next)
            row[ESP_LIKENESS_last_matched] = count > 0 ? 1 : 0;
    }
    if (n_query == 0)
        row[ESP_LIKENESS_first_matched] = row[ESP_LIKENESS_last_matched] = 0;
    uint32_t unknown = 0;
    for (uint32_t q = 0; q < n_query; q++)
        unknown += likeness->word[q].feature == ESP_NO_FEATURE;
    row[ESP_LIKENESS_model] = product->model;
    row[ESP_LIKENESS_model_gap] = 0;
    row[ESP_LIKENESS_model_rank] = logf((float)product->rank + 1);
    row[ESP_LIKENESS_words] = score;
    row[ESP_LIKENESS_words_gap] = 0;
    row[ESP_LIKENESS_beyond_words] = product->model - score;
    row[ESP_LIKENESS_matched] = n_query > 0 ? (float)matched / (float)n_query : 0;
    row[ESP_LIKENESS_matched_weight] = likeness->weight > 0 ? matched_weight / likeness->weight : 0;
    row[ESP_LIKENESS_heaviest_missed] = missed;
    row[ESP_LIKENESS_first_place] = (float)first;
    row[ESP_LIKENESS_last_place] = (float)place_of_last;
    row[ESP_LIKENESS_from_end] = place_of_last < 0 ? -1 : (float)n - 1 - (float)place_of_last;
    row[ESP_LIKENESS_span] = first < 0 ? -1 : (float)(last - first);
    row[ESP_LIKENESS_pairs] = n_query > 1 ? (float)side_by_side / (float)(n_query - 1) : 0;
    row[ESP_LIKENESS_numbers] = numbers > 0 ? number_matched / numbers : 1;
    row[ESP_LIKENESS_title_words] = (float)n;
    row[ESP_LIKENESS_query_words] = (float)n_query;
    row[ESP_LIKENESS_query_weight] = likeness->weight;
    row[ESP_LIKENESS_query_unknown] = (float)unknown;
    compare_with_best(
        likeness, title, n, product->rank, &row[ESP_LIKENESS_like_3], &row[ESP_LIKENESS_like_10]);
    row[ESP_LIKENESS_log_pairs] = log1pf((float)index->users[product->label]);
    row[ESP_LIKENESS_host] = product->host_rank > 0 ? 1 / (float)product->host_rank : 0;
}

void esp_likeness_finish(float *rows, uint32_t n) {
    static const struct {
        uint32_t value;
        uint32_t gap;
    } COMPARED[] = {
        {ESP_LIKENESS_model, ESP_LIKENESS_model_gap},
        {ESP_LIKENESS_words, ESP_LIKENESS_words_gap},
    };
    for (size_t c = 0; c < sizeof COMPARED / sizeof COMPARED[0]; c++) {
        float best = -INFINITY;
        for (uint32_t i = 0; i < n; i++)
            best = fmaxf(best, rows[(size_t)i * ESP_LIKENESS_COUNT + COMPARED[c].value]);
        for (uint32_t i = 0; i < n; i++) {
            float *row = rows + (size_t)i * ESP_LIKENESS_COUNT;
            row[COMPARED[c].gap] = row[COMPARED[c].value] - best;
        }
    }
}
