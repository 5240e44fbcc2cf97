/* bench_train.c: seconds the training kernels take on a made-up query log.
 *
 *      bench_train [rows [labels [leaf [seed]]]]     default 46000 30000 100 1
 *
 * Labels are two to six words of a Zipf vocabulary of made-up words.  A row is
 * a label, cut to a random prefix, whose character 1- to 3-grams weigh 1/(i+1),
 * and the words of a previous query, which shares words with it now and then.
 * The tree is what the trainer builds: 2-means over label vectors down to
 * `leaf` labels, a two-way node per inner node, one node per leaf.  One thread.
 *
 * Times are processor seconds.  The calibration line (a fixed arithmetic loop)
 * is for comparing runs: a shared machine's seconds alone prove nothing.
 */
#include "../include/espalier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    VOCABULARY = 20000,
    WORD_CHARS = 12,
    GRAM_FEATURES = 60000,
    FEATURES = GRAM_FEATURES + VOCABULARY,
    LABEL_WORDS = 6,
    LABEL_CHARS = LABEL_WORDS * (WORD_CHARS + 1),
    ROW_FEATURES = 3 * LABEL_CHARS + LABEL_WORDS,
};

typedef struct label {
    uint32_t word[LABEL_WORDS];
    uint32_t n_words;
    uint32_t length;
    char text[LABEL_CHARS];
} label;

typedef struct matrix {
    uint64_t *ptr;
    uint32_t *col;
    float *val;
    uint32_t rows;
} matrix;

typedef struct totals {
    double seconds;
    uint64_t nodes, entries, columns, bytes;
} totals;

static uint64_t state = 1;

static uint32_t draw(uint32_t n) {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)(((z >> 33) * n) >> 31);
}

/* Zipf-like: the logarithm of the rank is uniform. */
static uint32_t draw_zipf(uint32_t n) {
    const double u = draw(1u << 30) / (double)(1u << 30);
    const uint32_t rank = (uint32_t)exp(u * log(n));
    return rank < n ? rank : n - 1;
}

static void *need(size_t bytes) {
    void *p = malloc(bytes == 0 ? 1 : bytes);
    if (p == NULL) {
        fprintf(stderr, "bench_train: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

static void must(esp_status status, const esp_error *err) {
    if (status != ESP_OK) {
        fprintf(stderr, "bench_train: %s: %s\n", esp_status_name((int32_t)status), err->message);
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void make_words(char words[VOCABULARY][WORD_CHARS]) {
    static const char letters[] = "eeeeetttaaaooiinnssrrhhldcumfpgwybvk";
    for (uint32_t w = 0; w < VOCABULARY; w++) {
        const uint32_t length = 2 + draw(WORD_CHARS - 3);
        memset(words[w], 0, WORD_CHARS);
        for (uint32_t i = 0; i < length; i++)
            words[w][i] = letters[draw((uint32_t)sizeof letters - 1)];
    }
}

static void make_label(label *l, char words[VOCABULARY][WORD_CHARS]) {
    *l = (label){.n_words = 2 + draw(LABEL_WORDS - 1)};
    for (uint32_t k = 0; k < l->n_words; k++) {
        l->word[k] = draw_zipf(VOCABULARY);
        if (k > 0)
            l->text[l->length++] = ' ';
        const size_t n = strlen(words[l->word[k]]);
        memcpy(l->text + l->length, words[l->word[k]], n);
        l->length += (uint32_t)n;
    }
}

typedef struct pair {
    uint32_t col;
    float val;
} pair;

static int by_column(const void *a, const void *b) {
    const uint32_t x = ((const pair *)a)->col, y = ((const pair *)b)->col;
    return (x > y) - (x < y);
}

/* Appends one row: n-grams of the first `length` characters, context words. */
static void add_row(matrix *m, const label *l, uint32_t length, const label *previous) {
    pair row[ROW_FEATURES];
    size_t n = 0;
    for (uint32_t size = 1; size <= 3; size++)
        for (uint32_t i = 0; i + size <= length; i++) {
            uint32_t hash = size;
            for (uint32_t k = 0; k < size; k++)
                hash = (hash ^ (unsigned char)l->text[i + k]) * 16777619u;
            row[n++] = (pair){(hash ^ hash >> 15) % GRAM_FEATURES, 1 / (float)(i + 1)};
        }
    const size_t grams = n;
    for (uint32_t k = 0; previous != NULL && k < previous->n_words; k++)
        row[n++] = (pair){GRAM_FEATURES + previous->word[k], 1};
    double squares[2] = {0, 0};
    for (size_t i = 0; i < n; i++)
        squares[i >= grams] += (double)row[i].val * (double)row[i].val;
    for (size_t i = 0; i < n; i++)
        row[i].val *= (float)(sqrt(0.5) / sqrt(squares[i >= grams]));
    qsort(row, n, sizeof *row, by_column);
    uint64_t at = m->ptr[m->rows];
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && row[i].col == row[i - 1].col) {
            m->val[at - 1] += row[i].val;
            continue;
        }
        m->col[at] = row[i].col;
        m->val[at++] = row[i].val;
    }
    m->ptr[++m->rows] = at;
}

static matrix new_matrix(uint32_t rows) {
    matrix m = {.ptr = need((rows + 1ul) * sizeof(uint64_t))};
    m.col = need((size_t)rows * ROW_FEATURES * sizeof *m.col);
    m.val = need((size_t)rows * ROW_FEATURES * sizeof *m.val);
    m.ptr[0] = 0;
    return m;
}

static esp_csr view(const matrix *m) {
    return (esp_csr){m->ptr, m->col, m->val, m->rows, FEATURES};
}

static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Trains one node whose child c holds the labels bounds[c] .. bounds[c + 1] of
 * `order`; rows_of lists the rows of every label. */
static void train_node(esp_trainer *trainer, const esp_csr *x, const uint32_t *order,
    const uint32_t *bounds, uint32_t children, const uint32_t *rows_ptr, const uint32_t *rows_of,
    totals *sum) {
    uint32_t n = 0;
    for (uint32_t l = bounds[0]; l < bounds[children]; l++)
        n += rows_ptr[order[l] + 1] - rows_ptr[order[l]];
    uint32_t *rows = need(n * sizeof *rows);
    uint32_t *positive = need(n * sizeof *positive);
    uint32_t *positive_ptr = need((children + 1ul) * sizeof *positive_ptr);
    n = 0;
    for (uint32_t l = bounds[0]; l < bounds[children]; l++)
        for (uint32_t j = rows_ptr[order[l]]; j < rows_ptr[order[l] + 1]; j++)
            rows[n++] = rows_of[j];
    qsort(rows, n, sizeof *rows, by_number);
    uint32_t used = 0;
    positive_ptr[0] = 0;
    for (uint32_t c = 0; c < children; c++) {
        for (uint32_t l = bounds[c]; l < bounds[c + 1]; l++)
            for (uint32_t j = rows_ptr[order[l]]; j < rows_ptr[order[l] + 1]; j++) {
                const uint32_t *at = bsearch(&rows_of[j], rows, n, sizeof *rows, by_number);
                positive[used++] = (uint32_t)(at - rows);
            }
        qsort(positive + positive_ptr[c], used - positive_ptr[c], sizeof *positive, by_number);
        positive_ptr[c + 1] = used;
    }
    for (uint32_t i = 0; i < n; i++)
        sum->entries += (x->row_ptr[rows[i] + 1] - x->row_ptr[rows[i]]) * children;
    const esp_rank_task task = {rows, n, children, positive_ptr, positive, NULL, NULL, NULL};
    const esp_rank_options options = {
        .struct_size = sizeof options,
        .max_iterations = 100,
        .cp = 1,
        .cn = 1,
        .epsilon = 0.1f,
        .bias = 1,
        .threshold = 0.1f,
        .weight_bits = 16,
        .seed = 1,
    };
    uint8_t *chunk = NULL;
    size_t bytes = 0;
    esp_error err;
    const double start = now();
    must(esp_rank_node(trainer, x, &task, &options, &chunk, &bytes, &err), &err);
    sum->seconds += now() - start;
    sum->nodes++;
    sum->columns += children;
    sum->bytes += bytes;
    esp_buffer_free(chunk);
    free(rows);
    free(positive);
    free(positive_ptr);
}

static void print(const char *name, const totals *t) {
    printf("%-12s %8.2f s  %7llu nodes  %8llu columns  %6.3f ns per entry and column  "
           "%7.1f MB\n",
        name, t->seconds, (unsigned long long)t->nodes, (unsigned long long)t->columns,
        1e9 * t->seconds / (double)t->entries, (double)t->bytes / 1e6);
}

static double calibrate(void) {
    const double start = now();
    volatile double sink = 0;
    double x = 0;
    for (uint32_t i = 0; i < 100000000; i++)
        x = x * 0.5 + i;
    sink = x;
    (void)sink;
    return now() - start;
}

static uint32_t number(int argc, char **argv, int i, uint32_t otherwise) {
    return i < argc ? (uint32_t)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    const uint32_t n_rows = number(argc, argv, 1, 46000);
    const uint32_t n_labels = number(argc, argv, 2, 30000);
    const uint32_t leaf = number(argc, argv, 3, 100);
    state = number(argc, argv, 4, 1);
    if (n_labels < 2 || n_rows < n_labels || leaf < 2) {
        fprintf(stderr, "usage: bench_train [rows [labels [leaf [seed]]]]\n");
        return 2;
    }
    static char words[VOCABULARY][WORD_CHARS];
    make_words(words);
    label *labels = need(n_labels * sizeof *labels);
    for (uint32_t l = 0; l < n_labels; l++)
        make_label(&labels[l], words);

    /* Every label once, the other rows by popularity. */
    matrix points = new_matrix(n_labels), pairs = new_matrix(n_rows);
    pair *row_label = need(n_rows * sizeof *row_label);
    for (uint32_t l = 0; l < n_labels; l++)
        add_row(&points, &labels[l], labels[l].length, NULL);
    for (uint32_t i = 0; i < n_rows; i++) {
        const uint32_t l = i < n_labels ? i : draw_zipf(n_labels);
        label previous;
        make_label(&previous, words);
        for (uint32_t k = 0; k < previous.n_words; k++)
            if (draw(3) == 0)
                previous.word[k] = labels[l].word[draw(labels[l].n_words)];
        add_row(&pairs, &labels[l], 1 + draw(labels[l].length), &previous);
        row_label[i] = (pair){l, 0};
    }
    uint32_t *rows_ptr = need((n_labels + 1ul) * sizeof *rows_ptr);
    uint32_t *rows_of = need(n_rows * sizeof *rows_of);
    memset(rows_ptr, 0, (n_labels + 1ul) * sizeof *rows_ptr);
    for (uint32_t i = 0; i < n_rows; i++)
        rows_ptr[row_label[i].col + 1]++;
    for (uint32_t l = 0; l < n_labels; l++)
        rows_ptr[l + 1] += rows_ptr[l];
    uint32_t *cursor = need(n_labels * sizeof *cursor);
    memcpy(cursor, rows_ptr, n_labels * sizeof *cursor);
    for (uint32_t i = 0; i < n_rows; i++)
        rows_of[cursor[row_label[i].col]++] = i;
    const esp_csr label_view = view(&points), x = view(&pairs);
    printf("%u rows of %.1f entries, %u labels of %.1f entries, %d features, leaf %u\n", n_rows,
        (double)x.row_ptr[n_rows] / n_rows, n_labels,
        (double)label_view.row_ptr[n_labels] / n_labels, FEATURES, leaf);
    printf("%-12s %8.2f s\n", "calibration", calibrate());

    uint32_t depth = 0;
    while (((uint64_t)leaf << depth) < n_labels)
        depth++;
    esp_trainer *trainer = NULL;
    esp_error err;
    must(esp_trainer_new(FEATURES, &trainer, &err), &err);
    uint32_t *order = need(n_labels * sizeof *order);
    for (uint32_t l = 0; l < n_labels; l++)
        order[l] = l;
    uint32_t *bounds = need(((size_t)1 << depth) * sizeof *bounds + sizeof *bounds);
    bounds[0] = 0;
    bounds[1] = n_labels;
    double clustering = 0;
    totals inner = {0}, leaves = {0}, busy = {0};
    for (uint32_t level = 0; level < depth; level++) {
        const uint32_t nodes = 1u << level;
        for (uint32_t k = nodes; k > 0; k--)
            bounds[2 * k] = bounds[k];
        const double start = now();
        for (uint32_t k = 0; k < nodes; k++) {
            const uint32_t begin = bounds[2 * k], end = bounds[2 * k + 2];
            const esp_split_options options = {sizeof options, 2, 20, 0, nodes + k};
            uint32_t parts[3];
            must(esp_cluster_split(
                     trainer, &label_view, order + begin, NULL, end - begin, &options, parts, &err),
                &err);
            bounds[2 * k + 1] = begin + parts[1];
        }
        clustering += now() - start;
        for (uint32_t k = 0; k < nodes; k++)
            train_node(trainer, &x, order, bounds + 2 * k, 2, rows_ptr, rows_of, &inner);
    }
    uint32_t *each = need((n_labels + 1ul) * sizeof *each);
    for (uint32_t l = 0; l <= n_labels; l++)
        each[l] = l;
    for (uint32_t k = 0; k < 1u << depth; k++)
        if (bounds[k] < bounds[k + 1]) {
            uint32_t n = 0;
            for (uint32_t l = bounds[k]; l < bounds[k + 1]; l++)
                n += rows_ptr[order[l] + 1] - rows_ptr[order[l]];
            train_node(trainer, &x, order, each + bounds[k], bounds[k + 1] - bounds[k], rows_ptr,
                rows_of, n <= 512 ? &leaves : &busy);
        }
    printf("%-12s %8.2f s  %u levels\n", "clustering", clustering, depth);
    print("inner nodes", &inner);
    print("leaf nodes", &leaves);
    print("busy leaves", &busy); /* more than 512 rows */

    /* A trie's root: many children, all rows. */
    totals wide = {0};
    uint32_t letter[28];
    for (uint32_t l = 0; l < n_labels; l++)
        row_label[l] = (pair){((uint32_t)(unsigned char)labels[l].text[0] << 24) | l, 0};
    qsort(row_label, n_labels, sizeof *row_label, by_column);
    uint32_t children = 0;
    for (uint32_t l = 0; l < n_labels; l++) {
        order[l] = row_label[l].col & 0xFFFFFF;
        if (l == 0 || row_label[l].col >> 24 != row_label[l - 1].col >> 24)
            letter[children++] = l;
    }
    letter[children] = n_labels;
    train_node(trainer, &x, order, letter, children, rows_ptr, rows_of, &wide);
    print("trie root", &wide);
    esp_trainer_free(trainer);
    free(labels);
    free(points.ptr), free(points.col), free(points.val);
    free(pairs.ptr), free(pairs.col), free(pairs.val);
    free(row_label), free(rows_ptr), free(rows_of), free(cursor);
    free(order), free(bounds), free(each);
    return 0;
}
