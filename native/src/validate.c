/* validate.c: what opening leaves unchecked: every checksum, every invariant. */
#include <math.h>

#include "index.h"
#include "maxima.h"
#include "tree.h"
#include "trie.h"
#include "utf8.h"

static bool all_zero(const uint8_t *data, uint64_t length) {
    for (uint64_t i = 0; i < length; i++)
        if (data[i] != 0)
            return false;
    return true;
}

/* Sections lie in file order with zeros between them, so every byte of the
 * file is under a checksum or must be zero. */
esp_status esp_index_verify(const esp_index *index, esp_error *err) {
    uint64_t at = sizeof(esp_file_header);
    for (uint32_t i = 0; i < index->head->n_sections; i++) {
        const esp_file_section *section = &index->table[i];
        if (section->offset < at || !all_zero(index->data + at, section->offset - at))
            return esp_index_damaged(section->id, "H8", at, err);
        if (esp_crc32c(0, index->data + section->offset, (size_t)section->length) != section->crc)
            return esp_error_set(err, ESP_E_CORRUPT, section->id, section->offset, "C1",
                "the checksum of section %.4s does not match; restore the file or train it again",
                (const char *)&section->id);
        at = section->offset + section->length;
    }
    const uint64_t table = index->head->table_offset;
    const uint64_t end = table + (uint64_t)index->head->n_sections * sizeof(esp_file_section);
    if (table < at || !all_zero(index->data + at, table - at) || end != index->length)
        return esp_index_damaged(0, "H8", at, err);
    return ESP_OK;
}

static esp_status validate_labels(const esp_index *index, esp_error *err) {
    const uint32_t n = index->params->n_labels;
    const uint8_t *before = NULL;
    uint32_t before_length = 0;
    if (index->label_offset[0] != 0 || index->label_offset[n] != index->label_text.length)
        return esp_index_damaged(ESP_SEC_LOFF, "L1", 0, err);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *text = NULL;
        uint32_t length = 0;
        if (!esp_index_label(index, i, &text, &length) || length == 0)
            return esp_index_damaged(ESP_SEC_LOFF, "L2", i, err);
        if (esp_utf8_check(text, length) != length)
            return esp_index_damaged(ESP_SEC_LTXT, "L3", i, err);
        const uint32_t common = esp_min_u32(before_length, length);
        const int order = i == 0 ? -1 : memcmp(before, text, common);
        if (order > 0 || (order == 0 && before_length >= length))
            return esp_index_damaged(ESP_SEC_LTXT, "L4", i, err);
        before = text;
        before_length = length;
    }
    for (uint32_t i = 0; i < index->n_display; i++) {
        const uint32_t begin = index->display_offset[i];
        const uint32_t end = index->display_offset[i + 1];
        if (index->display_label[i] >= n ||
            (i > 0 && index->display_label[i - 1] >= index->display_label[i]))
            return esp_index_damaged(ESP_SEC_DIDS, "D1", i, err);
        if (begin > end || end > index->display_text.length)
            return esp_index_damaged(ESP_SEC_DOFF, "D2", i, err);
        if (esp_utf8_check(index->display_text.data + begin, end - begin) != end - begin)
            return esp_index_damaged(ESP_SEC_DTXT, "D3", i, err);
    }
    return ESP_OK;
}

static esp_status validate_features(const esp_index *index, esp_error *err) {
    const esp_space *space = &index->space;
    for (uint32_t i = 0; i < space->n_features; i++) {
        if (i > 0 && space->keys[i - 1] >= space->keys[i])
            return esp_index_damaged(ESP_SEC_FKEY, "F1", i, err);
        if (!isfinite(space->idf[i]) || space->idf[i] < 0)
            return esp_index_damaged(ESP_SEC_FIDF, "F2", i, err);
    }
    return ESP_OK;
}

static esp_status validate_params(const esp_index *index, esp_error *err) {
    const esp_params *params = index->params;
    const uint32_t post = params->post_processor;
    const bool known = post == ESP_POST_NOOP || post == ESP_POST_SIGMOID ||
                       post == ESP_POST_LOG_SIGMOID ||
                       (post >= ESP_POST_L1_HINGE && post <= ESP_POST_L3_HINGE) ||
                       (post >= ESP_POST_LOG_L1_HINGE && post <= ESP_POST_LOG_L3_HINGE);
    if (!known || params->prefix_features > ESP_PREFIX_POSITION_WEIGHTED ||
        !isfinite(params->context_decay) || !isfinite(params->blend_model) ||
        !isfinite(params->blend_popularity) || params->default_matcher == ESP_MATCH_DEFAULT ||
        params->default_matcher > ESP_MATCH_UNCONSTRAINED)
        return esp_index_damaged(ESP_SEC_PARM, "S2", 0, err);
    return ESP_OK;
}

esp_status esp_index_validate(const esp_index *index, esp_error *err) {
    ESP_TRY(validate_params(index, err));
    if (index->label_offset != NULL) {
        ESP_TRY(validate_labels(index, err));
        ESP_TRY(esp_trie_validate(index, err));
        ESP_TRY(esp_maxima_validate(index, err));
    }
    if (index->attributes.head != NULL)
        ESP_TRY(esp_attributes_validate(&index->attributes, err));
    if (index->has_features)
        ESP_TRY(validate_features(index, err));
    if (index->tree != NULL)
        ESP_TRY(esp_tree_validate(index, err));
    if (index->ngrams.head != NULL) {
        ESP_TRY(esp_words_validate(&index->words, err));
        ESP_TRY(esp_ngrams_validate(&index->ngrams, err));
    }
    if (index->relations.head != NULL)
        ESP_TRY(esp_relations_validate(
            &index->relations, index->words.n_words, index->params->n_labels, err));
    if (index->blocklist.head != NULL)
        ESP_TRY(esp_blocklist_validate(&index->blocklist, &index->words, err));
    if (index->catalogue.head != NULL) {
        uint64_t where = 0;
        const char *broken =
            esp_catalogue_validate(&index->catalogue, index->params->n_features, &where);
        if (broken != NULL)
            return esp_index_damaged(ESP_SEC_CATA, broken, where, err);
    }
    return esp_forest_present(index) ? esp_forest_validate(&index->forest, err) : ESP_OK;
}
