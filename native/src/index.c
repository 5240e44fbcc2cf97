/* index.c: opening and describing an index file. */
#define _POSIX_C_SOURCE 200809L

#include "index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utf8.h"

/* ---- opening ------------------------------------------------------------ */

static bool is_little_endian(void) {
    const uint32_t mark = 1;
    uint8_t first = 0;
    memcpy(&first, &mark, 1);
    return first == 1;
}

/* Header and section table: H1 to H7.  Everything else relies on them. */
static esp_status check_header(esp_index *index, esp_error *err) {
    const esp_file_header *head = (const void *)index->data;
    if (!is_little_endian())
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "H1", 0, "index files need a little-endian host");
    if (index->length < sizeof *head || memcmp(head->magic, ESP_MAGIC, sizeof head->magic) != 0)
        ESP_FAIL(err, ESP_E_FORMAT, "H2", 0,
            "not an Espalier index: the file does not begin with its signature");
    if (head->endian != ESP_ENDIAN_MARK)
        ESP_FAIL(err, ESP_E_FORMAT, "H1", 12, "the byte order mark is damaged");
    if (head->major != ESP_FORMAT_MAJOR)
        ESP_FAIL(err, ESP_E_VERSION, "H3", 8,
            "index format %u.%u; this library reads %u.x: train again or use a matching version",
            head->major, head->minor, ESP_FORMAT_MAJOR);
    if (esp_crc32c(0, index->data, offsetof(esp_file_header, header_crc)) != head->header_crc)
        return esp_index_damaged(0, "H4", offsetof(esp_file_header, header_crc), err);
    if (head->file_bytes != index->length)
        ESP_FAIL(err, ESP_E_CORRUPT, "H5", index->length,
            "the file has %zu bytes, its header says %llu: it was cut short or appended to",
            index->length, (unsigned long long)head->file_bytes);
    const uint64_t table_bytes = (uint64_t)head->n_sections * sizeof(esp_file_section);
    if (head->n_sections > ESP_MAX_SECTIONS || head->table_offset % 8 != 0 ||
        head->table_offset > index->length || table_bytes > index->length - head->table_offset)
        return esp_index_damaged(0, "H6", head->table_offset, err);
    index->head = head;
    index->table = (const void *)(index->data + head->table_offset);
    if (esp_crc32c(0, (const uint8_t *)index->table, (size_t)table_bytes) != head->table_crc)
        return esp_index_damaged(0, "H6", head->table_offset, err);
    for (uint32_t i = 0; i < head->n_sections; i++) {
        const esp_file_section *section = &index->table[i];
        if (section->offset % ESP_ALIGNMENT != 0 || section->offset > index->length ||
            section->length > index->length - section->offset || section->offset < sizeof *head)
            return esp_index_damaged(section->id, "H7", section->offset, err);
    }
    return ESP_OK;
}

static esp_section find_section(const esp_index *index, uint32_t id) {
    for (uint32_t i = 0; i < index->head->n_sections; i++)
        if (index->table[i].id == id)
            return (esp_section){index->data + index->table[i].offset, index->table[i].length};
    return (esp_section){0};
}

const uint8_t *esp_index_section(const esp_index *index, uint32_t id, uint64_t *length) {
    const esp_section section = find_section(index, id);
    *length = section.length;
    return section.data;
}

/* The section must be there with exactly count * size bytes. */
static esp_status need(const esp_index *index, uint32_t id, uint64_t count, size_t size,
    const void **data, esp_error *err) {
    const esp_section section = find_section(index, id);
    if (section.data == NULL || section.length != count * size)
        return esp_index_damaged(id, "S1", section.length, err);
    *data = section.data;
    return ESP_OK;
}

/* Range maxima over one number per label.  `numbers`: the check that its three
 * numbers, and with them its length, follow from n_labels. */
static esp_status need_maxima(const esp_index *index, uint32_t id, const char *numbers,
    const esp_maxima_header **maxima, esp_error *err) {
    const uint32_t n = index->params->n_labels;
    const esp_section section = find_section(index, id);
    if (section.length < sizeof(esp_maxima_header))
        return esp_index_damaged(id, "S1", section.length, err);
    const esp_maxima_header *head = (const void *)section.data;
    const uint32_t n_blocks = n / ESP_MAXIMA_BLOCK;
    uint32_t n_levels = 0;
    for (uint32_t blocks = n_blocks; blocks > 0; blocks >>= 1)
        n_levels++;
    if (head->n_labels != n || head->n_blocks != n_blocks || head->n_levels != n_levels ||
        section.length != sizeof *head + (uint64_t)n_blocks * n_levels * 4)
        return esp_index_damaged(id, numbers, 0, err);
    *maxima = head;
    return ESP_OK;
}

static esp_status open_labels(esp_index *index, esp_error *err) {
    const uint32_t n = index->params->n_labels;
    const void *data = NULL;
    if (find_section(index, ESP_SEC_LOFF).data == NULL)
        return ESP_OK; /* a model without texts */
    ESP_TRY(need(index, ESP_SEC_LOFF, (uint64_t)n + 1, 4, &data, err));
    index->label_offset = data;
    index->label_text = find_section(index, ESP_SEC_LTXT);
    if (index->label_text.data == NULL)
        return esp_index_damaged(ESP_SEC_LTXT, "S1", 0, err);
    const esp_section displays = find_section(index, ESP_SEC_DIDS);
    if (displays.length % 4 != 0 || displays.length / 4 > n)
        return esp_index_damaged(ESP_SEC_DIDS, "S1", displays.length, err);
    index->n_display = (uint32_t)(displays.length / 4);
    if (index->n_display > 0) {
        index->display_label = (const void *)displays.data;
        ESP_TRY(need(index, ESP_SEC_DOFF, (uint64_t)index->n_display + 1, 4, &data, err));
        index->display_offset = data;
        index->display_text = find_section(index, ESP_SEC_DTXT);
        if (index->display_text.data == NULL)
            return esp_index_damaged(ESP_SEC_DTXT, "S1", 0, err);
    }
    const esp_section trie = find_section(index, ESP_SEC_TRIE);
    if (trie.length % sizeof(esp_trie_node) != 0 ||
        trie.length / sizeof(esp_trie_node) > 2 * (uint64_t)n + 1)
        return esp_index_damaged(ESP_SEC_TRIE, "S1", trie.length, err);
    index->trie = (const void *)trie.data;
    index->n_trie = (uint32_t)(trie.length / sizeof(esp_trie_node));
    ESP_TRY(need(index, ESP_SEC_USER, n, 4, &data, err));
    index->users = data;
    ESP_TRY(need_maxima(index, ESP_SEC_PMAX, "P1", &index->maxima, err));
    if (find_section(index, ESP_SEC_RCNT).data == NULL)
        return ESP_OK; /* popularity does not decay */
    ESP_TRY(need(index, ESP_SEC_RCNT, n, 4, &data, err));
    index->recent = data;
    return need_maxima(index, ESP_SEC_RMAX, "R1", &index->recent_maxima, err);
}

static esp_status open_features(esp_index *index, esp_error *err) {
    const esp_params *params = index->params;
    const void *data = NULL;
    if (find_section(index, ESP_SEC_FKEY).data == NULL)
        return ESP_OK; /* features come from outside */
    ESP_TRY(need(index, ESP_SEC_FKEY, params->n_features, 4, &data, err));
    index->space.keys = data;
    ESP_TRY(need(index, ESP_SEC_FIDF, params->n_features, 4, &data, err));
    index->space.idf = data;
    index->space.n_features = params->n_features;
    index->space.prefix_features = params->prefix_features;
    index->space.context_decay = params->context_decay;
    index->space.max_context = params->max_context;
    index->has_features = true;
    return ESP_OK;
}

static esp_status open_words(esp_index *index, esp_error *err) {
    const esp_section words = find_section(index, ESP_SEC_VOCA);
    const esp_section ngrams = find_section(index, ESP_SEC_NGRM);
    const esp_section relations = find_section(index, ESP_SEC_RELA);
    if ((words.data == NULL) != (ngrams.data == NULL))
        return esp_index_damaged(words.data == NULL ? ESP_SEC_VOCA : ESP_SEC_NGRM, "S1", 0, err);
    if (relations.data != NULL && words.data == NULL)
        return esp_index_damaged(ESP_SEC_VOCA, "S1", 0, err);
    if (words.data == NULL)
        return ESP_OK; /* nothing is generated */
    if (!esp_words_open(words.data, words.length, &index->words))
        return esp_index_damaged(ESP_SEC_VOCA, "V1", words.length, err);
    const char *check =
        esp_ngrams_open(ngrams.data, ngrams.length, index->words.n_words, &index->ngrams);
    if (check != NULL)
        return esp_index_damaged(ESP_SEC_NGRM, check, ngrams.length, err);
    if (relations.data != NULL)
        check = esp_relations_open(relations.data, relations.length, &index->relations);
    return check == NULL ? ESP_OK : esp_index_damaged(ESP_SEC_RELA, check, relations.length, err);
}

static esp_status open_attributes(esp_index *index, esp_error *err) {
    const esp_section section = find_section(index, ESP_SEC_ATTR);
    if (section.data == NULL || index->label_offset == NULL)
        return ESP_OK; /* nothing to filter by, or nothing to filter */
    const char *check = esp_attributes_open(
        section.data, section.length, index->params->n_labels, &index->attributes);
    return check == NULL ? ESP_OK : esp_index_damaged(ESP_SEC_ATTR, check, section.length, err);
}

static esp_status open_blocklist(esp_index *index, esp_error *err) {
    const esp_section section = find_section(index, ESP_SEC_BLCK);
    return section.data == NULL ||
                   esp_blocklist_open(section.data, section.length, &index->blocklist)
               ? ESP_OK
               : esp_index_damaged(ESP_SEC_BLCK, "K1", section.length, err);
}

static esp_status open_model(esp_index *index, esp_error *err) {
    const esp_params *params = index->params;
    const void *data = NULL;
    index->feature_bits = esp_feature_bits(params->n_features);
    if (params->n_nodes == 0)
        return ESP_OK; /* popularity only */
    if (params->n_labels == 0 || index->feature_bits > ESP_MAX_FEATURE_BITS ||
        params->max_children == 0 ||
        params->max_children > (uint64_t)params->n_labels + params->n_nodes)
        return esp_index_damaged(ESP_SEC_PARM, "S2", 0, err);
    ESP_TRY(need(index, ESP_SEC_TREE, params->n_nodes, sizeof(esp_tree_node), &data, err));
    index->tree = data;
    ESP_TRY(need(index, ESP_SEC_LPOS, params->n_labels, 4, &data, err));
    index->label_at = data;
    ESP_TRY(need(index, ESP_SEC_POSL, params->n_labels, 4, &data, err));
    index->position_of = data;
    index->chunks = find_section(index, ESP_SEC_WGHT);
    return ESP_OK;
}

static esp_status open_catalogue(esp_index *index, esp_error *err) {
    const esp_section section = find_section(index, ESP_SEC_CATA);
    if (section.data == NULL)
        return ESP_OK; /* labels are no products */
    if (!esp_catalogue_open(
            section.data, section.length, index->params->n_labels, &index->catalogue))
        return esp_index_damaged(ESP_SEC_CATA, "E1", section.length, err);
    if (!index->has_features || index->label_offset == NULL || index->tree == NULL)
        return esp_index_damaged(ESP_SEC_CATA, "S1", 0, err);
    return ESP_OK;
}

static esp_status open_sections(esp_index *index, esp_error *err) {
    ESP_TRY(check_header(index, err));
    const esp_section params = find_section(index, ESP_SEC_PARM);
    if (params.data == NULL || params.length != sizeof(esp_params))
        return esp_index_damaged(ESP_SEC_PARM, "S1", params.length, err);
    index->params = (const void *)params.data;
    ESP_TRY(open_labels(index, err));
    ESP_TRY(open_attributes(index, err));
    ESP_TRY(open_features(index, err));
    ESP_TRY(open_words(index, err));
    ESP_TRY(open_blocklist(index, err));
    ESP_TRY(open_model(index, err));
    ESP_TRY(open_catalogue(index, err));
    const esp_section forest = find_section(index, ESP_SEC_FRST);
    return forest.data == NULL
               ? ESP_OK
               : esp_forest_resolve(forest.data, forest.length, &index->forest, err);
}

static esp_status open_bytes(
    const uint8_t *data, size_t length, bool mapped, esp_index **index, esp_error *err) {
    esp_index *made = calloc(1, sizeof *made);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "index", 0, "no memory to open an index");
    made->data = data;
    made->length = length;
    made->mapped = mapped;
    const esp_status status = open_sections(made, err);
    if (status != ESP_OK) {
        free(made);
        return status;
    }
    *index = made;
    return ESP_OK;
}

esp_status esp_index_open_memory(
    const uint8_t *data, size_t length, esp_index **index, esp_error *err) {
    /* No bytes are at no address: they are refused for what they are, not an index. */
    if (length > 0 && (data == NULL || (uintptr_t)data % ESP_ALIGNMENT != 0))
        ESP_FAIL(err, ESP_E_ARGUMENT, "alignment", 0, "index bytes must be aligned to %u",
            ESP_ALIGNMENT);
    return open_bytes(data, length, false, index, err);
}

esp_status esp_index_open(const char *path, esp_index **index, esp_error *err) {
    /* Not blocking: opening a named pipe would wait for a writer. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        ESP_FAIL(err, ESP_E_IO, "open", errno, "cannot open the file: %s", strerror(errno));
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        ESP_FAIL(err, ESP_E_IO, "open", 0, "not a regular file");
    }
    const size_t length = (size_t)status.st_size;
    if (length < sizeof(esp_file_header)) {
        close(file);
        ESP_FAIL(err, ESP_E_FORMAT, "H2", length,
            "not an Espalier index: %zu bytes are too few for a header", length);
    }
    void *data = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
    const int why = errno;
    close(file);
    if (data == MAP_FAILED)
        ESP_FAIL(err, ESP_E_IO, "mmap", why, "cannot map the file: %s", strerror(why));
    const esp_status opened = open_bytes(data, length, true, index, err);
    if (opened != ESP_OK)
        munmap(data, length);
    return opened;
}

void esp_index_close(esp_index *index) {
    if (index == NULL)
        return;
    if (index->mapped)
        munmap((void *)(uintptr_t)index->data, index->length);
    free(index);
}

/* ---- describing --------------------------------------------------------- */

void esp_index_get_info(const esp_index *index, esp_index_info *info) {
    const esp_params *params = index->params;
    *info = (esp_index_info){
        .bytes = index->length,
        .format_major = index->head->major,
        .format_minor = index->head->minor,
        .n_labels = params->n_labels,
        .n_nodes = params->n_nodes,
        .n_features = params->n_features,
        .tree_depth = params->tree_depth,
        .max_children = params->max_children,
        .n_sections = index->head->n_sections,
        .fingerprint = index->head->fingerprint,
        .has_labels = index->label_offset != NULL,
        .has_features = index->has_features,
        .has_model = index->tree != NULL,
        .post_processor = params->post_processor,
    };
}

esp_status esp_index_get_section(
    const esp_index *index, uint32_t i, esp_section_info *out, esp_error *err) {
    if (i >= index->head->n_sections)
        ESP_FAIL(err, ESP_E_ARGUMENT, "section", i, "section %u of %u", i, index->head->n_sections);
    const esp_file_section *section = &index->table[i];
    *out = (esp_section_info){.id = section->id,
        .crc32c = section->crc,
        .offset = section->offset,
        .length = section->length};
    return ESP_OK;
}

static bool find_display(const esp_index *index, uint32_t label, esp_text *display) {
    uint32_t lo = 0;
    uint32_t hi = index->n_display;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (index->display_label[middle] < label)
            lo = middle + 1;
        else
            hi = middle;
    }
    if (lo == index->n_display || index->display_label[lo] != label)
        return false;
    const uint32_t begin = index->display_offset[lo];
    const uint32_t end = index->display_offset[lo + 1];
    if (begin > end || end > index->display_text.length)
        return false;
    *display = (esp_text){index->display_text.data + begin, end - begin};
    return true;
}

esp_status esp_label_text(
    const esp_index *index, uint32_t label, esp_text *text, esp_text *display, esp_error *err) {
    if (index->label_offset == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "labels", 0, "the index has no label texts");
    if (label >= index->params->n_labels)
        ESP_FAIL(
            err, ESP_E_ARGUMENT, "label", label, "label %u of %u", label, index->params->n_labels);
    const uint8_t *data = NULL;
    uint32_t length = 0;
    if (!esp_index_label(index, label, &data, &length))
        return esp_index_damaged(ESP_SEC_LOFF, "L2", label, err);
    /* Callers decode what they get; a damaged file must not surprise them there. */
    if (esp_utf8_check(data, length) != length)
        return esp_index_damaged(ESP_SEC_LTXT, "L3", label, err);
    esp_text shown = {data, length};
    if (find_display(index, label, &shown) &&
        esp_utf8_check(shown.data, (size_t)shown.length) != shown.length)
        return esp_index_damaged(ESP_SEC_DTXT, "D3", label, err);
    *text = (esp_text){data, length};
    *display = shown;
    return ESP_OK;
}

uint32_t esp_label_users(const esp_index *index, uint32_t label) {
    return index->users != NULL && label < index->params->n_labels ? index->users[label] : 0;
}
