/* solver.c: trains the children of one node, the ranker's kernel.
 *
 *      rows of the node --gather--> local matrix          once
 *      "no child at all" --------> starting point         once
 *      per child:   signs, descend (dual.c) --> w
 *                   drop small weights and those too few users stand behind
 *      all columns --------------> esp_chunk_encode()
 *
 * A child of a node with many children is positive on few rows, so its problem
 * differs little from that of a child without any positive row.  That one is
 * solved once, and every such child starts from there.  The dual problem has
 * one solution, so the start changes the time and not the result.
 *
 * Where a node has two children and every row is positive for exactly one, at
 * equal costs, the second problem is the first with its signs turned, and so is
 * its solution.
 *
 * A column depends on the node's rows, the options and its own number: no sum
 * crosses columns, and the random numbers come from (seed, column).
 */
#include "dual.h"
#include "support.h"

#include <math.h>

/* A node being trained. */
typedef struct esp_node {
    esp_trainer *trainer;
    const esp_rank_task *task;
    const esp_rank_options *options;
    esp_dual dual;
    const esp_dual_row *base; /* rows as all negatives, solved if has_start */
    const float *base_w;      /* one of the two, as node->dual.gram is */
    const float *base_margin;
    double base_constant;
    bool has_start;
    uint8_t *positive;         /* per row, of the current column */
    const uint32_t *ascending; /* local features by their number in x */
    esp_support support;
    uint64_t *kept;       /* weights of a column that stay */
    uint64_t *column_ptr; /* result */
    float *column_bias;
} esp_node;

static uint32_t n_positive(const esp_rank_task *task, uint32_t child) {
    return task->positive_ptr[child + 1] - task->positive_ptr[child];
}

/* Is the Gram matrix worth its making?  Up to MOST rows it fits the second
 * cache; making it costs a look at all rows per two of them, and a child would
 * look at all rows some twenty times. */
static bool wants_gram(const esp_rank_task *task) {
    enum { MOST = 512, LOOKS = 32 };
    return task->n_rows <= MOST && (uint64_t)task->n_children * LOOKS >= task->n_rows;
}

/* A child starts from the solution without positives if few rows differ. */
static bool starts_from_base(const esp_node *node, uint32_t child) {
    return n_positive(node->task, child) <= node->task->n_rows / 4;
}

static esp_status check_options(const esp_rank_options *options, esp_error *err) {
    const struct {
        const char *name;
        float value;
    } number[] = {
        {"cp", options->cp},
        {"cn", options->cn},
        {"epsilon", options->epsilon},
        {"bias", options->bias},
        {"threshold", options->threshold},
    };
    if (options->struct_size < sizeof *options)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", options->struct_size,
            "options of %u bytes, this library needs %zu", options->struct_size, sizeof *options);
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        if (!isfinite(number[i].value) || number[i].value < 0)
            ESP_FAIL(err, ESP_E_ARGUMENT, number[i].name, i, "%s is %g, not a finite number from 0",
                number[i].name, (double)number[i].value);
    if (options->max_iterations == 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "max_iterations", 0, "no iterations: nothing to learn");
    return ESP_OK;
}

static esp_status check_task(const esp_rank_task *task, const esp_csr *x, esp_error *err) {
    if (task->positive_ptr == NULL || (task->rows == NULL && task->n_rows != 0))
        ESP_FAIL(err, ESP_E_ARGUMENT, "null", 0, "a required array is NULL");
    if (task->n_children == 0 || task->positive_ptr[0] != 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "n_children", task->n_children,
            "a node needs children and positives that start at 0");
    for (uint32_t i = 0; i < task->n_rows; i++) {
        if (task->rows[i] >= x->n_rows || (i > 0 && task->rows[i] <= task->rows[i - 1]))
            ESP_FAIL(err, ESP_E_ARGUMENT, "rows", i, "row numbers must ascend and be below %u",
                x->n_rows);
        if (task->cost != NULL && !(task->cost[i] >= 0 && isfinite(task->cost[i])))
            ESP_FAIL(err, ESP_E_ARGUMENT, "cost", i, "a cost is not a finite number from 0");
    }
    for (uint32_t c = 0; c < task->n_children; c++) {
        if (task->positive_ptr[c] > task->positive_ptr[c + 1])
            ESP_FAIL(err, ESP_E_ARGUMENT, "positive_ptr", c, "child %u has bad bounds", c);
        for (uint32_t j = task->positive_ptr[c]; j < task->positive_ptr[c + 1]; j++)
            if (task->positive == NULL || task->positive[j] >= task->n_rows ||
                (j > task->positive_ptr[c] && task->positive[j] <= task->positive[j - 1]))
                ESP_FAIL(err, ESP_E_ARGUMENT, "positive", j,
                    "places of child %u must ascend and be below %u", c, task->n_rows);
    }
    return ESP_OK;
}

/* 1 / (2 C).  Costs beyond 1e-12 and 1e12 mean "does not count" and "must not
 * be violated", and inside those bounds single precision works. */
static float diagonal_of(const esp_rank_task *task, uint32_t row, float factor) {
    double cost = (double)factor * (task->cost == NULL ? 1.0 : (double)task->cost[row]);
    cost = cost < 1e-12 ? 1e-12 : cost > 1e12 ? 1e12 : cost;
    return (float)(0.5 / cost);
}

static float squares_of(const esp_node *node, uint32_t row) {
    const esp_local *local = node->dual.local;
    double sum = (double)node->options->bias * (double)node->options->bias;
    for (size_t j = local->ptr[row]; j < local->ptr[row + 1]; j++)
        sum += (double)local->entry[j].value * (double)local->entry[j].value;
    return (float)sum;
}

/* Everything the columns share. */
static esp_status prepare(esp_node *node, const esp_csr *x, esp_error *err) {
    const esp_rank_task *task = node->task;
    const esp_rank_options *options = node->options;
    esp_trainer *trainer = node->trainer;
    ESP_TRY(esp_gather(trainer, x, task->rows, task->n_rows, err));
    const esp_local *local = &trainer->local;
    const size_t n = task->n_rows, ids = local->n_ids, children = task->n_children;
    esp_dual_row *base = esp_trainer_room(trainer, ESP_ROOM_BASE, n, sizeof *base);
    float *base_w = esp_trainer_room(trainer, ESP_ROOM_BASE_W, ids, sizeof *base_w);
    uint32_t *by = esp_trainer_room(trainer, ESP_ROOM_ASCENDING, ids, sizeof *by);
    uint32_t *key = esp_trainer_room(trainer, ESP_ROOM_ASCENDING_KEY, ids, sizeof *key);
    node->positive = esp_trainer_room(trainer, ESP_ROOM_POSITIVE, n, 1);
    node->kept = esp_trainer_room(trainer, ESP_ROOM_KEPT, 2 * ids, sizeof *node->kept);
    node->column_ptr =
        esp_trainer_room(trainer, ESP_ROOM_COLUMN_PTR, children + 1, sizeof *node->column_ptr);
    node->column_bias =
        esp_trainer_room(trainer, ESP_ROOM_COLUMN_BIAS, children, sizeof *node->column_bias);
    node->dual = (esp_dual){
        .local = local,
        .row = esp_trainer_room(trainer, ESP_ROOM_ROW, n, sizeof *node->dual.row),
        .w = esp_trainer_room(trainer, ESP_ROOM_W, ids, sizeof *node->dual.w),
        .active = esp_trainer_room(trainer, ESP_ROOM_ACTIVE, 2 * n, sizeof *node->dual.active),
        .bias = options->bias,
        .epsilon = options->epsilon,
        .max_iterations = options->max_iterations,
    };
    if (base == NULL || base_w == NULL || by == NULL || key == NULL || node->positive == NULL ||
        node->kept == NULL || node->column_ptr == NULL || node->column_bias == NULL ||
        node->dual.row == NULL || node->dual.w == NULL || node->dual.active == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to train %zu rows", n);

    for (uint32_t f = 0; f < ids; f++) {
        by[f] = f;
        key[f] = local->feature[f];
    }
    ESP_TRY(esp_sort_pairs(trainer, key, by, ids, err));
    memset(node->positive, 0, n);
    for (uint32_t i = 0; i < n; i++) {
        const float diagonal = diagonal_of(task, i, options->cn);
        base[i] = (esp_dual_row){
            .diagonal = diagonal,
            .inverse = 1 / (squares_of(node, i) + diagonal),
            .sign = -1,
        };
    }
    node->base = base;
    node->base_w = base_w;
    node->ascending = by;
    ESP_TRY(esp_support_prepare(trainer, task, options->min_support, &node->support, err));

    memset(base_w, 0, ids * sizeof *base_w);
    float *base_margin = NULL;
    if (wants_gram(task)) {
        const size_t stride = esp_gram_stride(task->n_rows);
        float *gram = esp_trainer_room(trainer, ESP_ROOM_GRAM, n * stride, sizeof *gram);
        base_margin = esp_trainer_room(trainer, ESP_ROOM_MARGIN, 2 * stride, sizeof *base_margin);
        if (gram == NULL || base_margin == NULL)
            ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to train %zu rows", n);
        esp_dual_gram(local, options->bias, base_w, gram);
        memset(base_margin, 0, stride * sizeof *base_margin);
        node->dual.gram = gram;
        node->dual.margin = base_margin + stride;
        node->dual.stride = stride;
        node->base_margin = base_margin;
    }
    uint32_t starters = 0;
    for (uint32_t c = 0; c < children; c++)
        starters += starts_from_base(node, c);
    if (starters >= 4) {
        esp_dual start = node->dual;
        start.row = base;
        start.w = base_w;
        start.margin = base_margin;
        start.epsilon /= 4; /* many columns build on it */
        start.random = options->seed;
        if (start.gram != NULL)
            esp_dual_descend_gram(&start);
        else
            esp_dual_descend(&start);
        node->base_constant = start.constant;
        node->has_start = true;
    }
    return ESP_OK;
}

/* A start for a column: alpha and what belongs to it. */
static void start_column(esp_node *node, bool warm) {
    const esp_rank_task *task = node->task;
    esp_dual *dual = &node->dual;
    memcpy(dual->row, node->base, task->n_rows * sizeof *dual->row);
    dual->constant = warm ? node->base_constant : 0;
    for (uint32_t i = 0; !warm && i < task->n_rows; i++)
        dual->row[i].alpha = 0;
    float *to = dual->gram != NULL ? dual->margin : dual->w;
    const float *from = dual->gram != NULL ? node->base_margin : node->base_w;
    const size_t size = dual->gram != NULL ? dual->stride : dual->local->n_ids;
    if (warm)
        memcpy(to, from, size * sizeof *to);
    else
        memset(to, 0, size * sizeof *to);
}

/* Solves one column into node->dual. */
static void solve(esp_node *node, uint32_t child) {
    const esp_rank_task *task = node->task;
    const esp_local *local = node->dual.local;
    esp_dual *dual = &node->dual;
    const uint32_t first = task->positive_ptr[child], last = task->positive_ptr[child + 1];
    start_column(node, node->has_start && starts_from_base(node, child));
    for (uint32_t k = first; k < last; k++) {
        const uint32_t i = task->positive[k];
        esp_dual_row *row = &dual->row[i];
        if (row->alpha != 0) { /* a negative of the start leaves the sum */
            if (dual->gram != NULL)
                esp_gram_add(dual->gram + i * dual->stride, dual->stride, row->alpha, dual->margin);
            else
                esp_row_add(local->entry + local->ptr[i], local->entry + local->ptr[i + 1],
                    row->alpha, dual->w);
            dual->constant += (double)row->alpha * (double)dual->bias;
        }
        const float diagonal = diagonal_of(task, i, node->options->cp);
        *row = (esp_dual_row){
            .diagonal = diagonal,
            .inverse = 1 / (squares_of(node, i) + diagonal),
            .sign = 1,
        };
    }
    uint64_t seed = node->options->seed + child + 1;
    dual->random = esp_random_next(&seed);
    if (dual->gram == NULL) {
        esp_dual_descend(dual);
        return;
    }
    esp_dual_descend_gram(dual);
    esp_dual_primal(dual);
}

/* Appends what is worth keeping of the solved column to the result. */
static esp_status keep(esp_node *node, uint32_t child, esp_error *err) {
    const esp_rank_task *task = node->task;
    const esp_rank_options *options = node->options;
    const esp_local *local = node->dual.local;
    const float *w = node->dual.w;
    const uint32_t first = task->positive_ptr[child], last = task->positive_ptr[child + 1];
    /* Ascending by feature; the low half of a key is the place in `ascending`,
     * the high half orders larger weights first. */
    uint64_t *kept = node->kept;
    size_t count = 0;
    for (uint32_t k = first; k < last; k++)
        node->positive[task->positive[k]] = 1;
    for (uint32_t k = 0; k < local->n_ids; k++) {
        const uint32_t id = node->ascending[k];
        const float size = fabsf(w[id]);
        if (!(size >= options->threshold) || size == 0)
            continue;
        if (task->is_context != NULL && task->is_context[local->feature[id]] != 0 &&
            !esp_support_holds(&node->support, node->positive, id, w[id] > 0))
            continue;
        kept[count++] = (uint64_t)~esp_float_order(size) << 32 | k;
    }
    for (uint32_t k = first; k < last; k++)
        node->positive[task->positive[k]] = 0;
    uint64_t limit = UINT64_MAX;
    size_t left = count;
    if (options->max_nonzeros != 0 && count > options->max_nonzeros) {
        uint64_t before = 0;
        left = options->max_nonzeros;
        ESP_TRY(esp_select(
            node->trainer, kept, count, NULL, options->max_nonzeros, &limit, &before, err));
    }
    const size_t used = (size_t)node->column_ptr[child];
    uint32_t *feature =
        esp_trainer_extend(node->trainer, ESP_ROOM_OUT_FEATURE, used + left, sizeof *feature);
    float *weight =
        esp_trainer_extend(node->trainer, ESP_ROOM_OUT_WEIGHT, used + left, sizeof *weight);
    if (feature == NULL || weight == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", used, "no memory for %zu weights", used + left);
    size_t at = used;
    for (size_t k = 0; k < count; k++) {
        if (kept[k] >= limit)
            continue;
        const uint32_t id = node->ascending[(uint32_t)kept[k]];
        feature[at] = local->feature[id];
        weight[at++] = w[id];
    }
    node->column_ptr[child + 1] = at;
    node->column_bias[child] = (float)(node->dual.constant * (double)options->bias);
    return ESP_OK;
}

/* Is the second of two children positive exactly where the first is not? */
static bool is_complement(const esp_rank_task *task) {
    if (task->n_children != 2 || task->positive_ptr[2] != task->n_rows)
        return false;
    uint32_t first = 0, second = task->positive_ptr[1];
    for (uint32_t i = 0; i < task->n_rows; i++) {
        if (first < task->positive_ptr[1] && task->positive[first] == i)
            first++;
        else if (second < task->n_rows && task->positive[second] == i)
            second++;
        else
            return false;
    }
    return true;
}

/* The second column is the first with its signs turned. */
static esp_status mirror(esp_node *node, esp_error *err) {
    const size_t n = (size_t)node->column_ptr[1];
    uint32_t *feature =
        esp_trainer_extend(node->trainer, ESP_ROOM_OUT_FEATURE, 2 * n, sizeof *feature);
    float *weight = esp_trainer_extend(node->trainer, ESP_ROOM_OUT_WEIGHT, 2 * n, sizeof *weight);
    if (feature == NULL || weight == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory for %zu weights", 2 * n);
    for (size_t k = 0; k < n; k++) {
        feature[n + k] = feature[k];
        weight[n + k] = -weight[k];
    }
    node->column_ptr[2] = 2 * n;
    node->column_bias[1] = -node->column_bias[0];
    return ESP_OK;
}

esp_status esp_rank_node(esp_trainer *trainer, const esp_csr *x, const esp_rank_task *task,
    const esp_rank_options *options, uint8_t **chunk, size_t *chunk_bytes, esp_error *err) {
    if (trainer == NULL || x == NULL || task == NULL || options == NULL || chunk == NULL ||
        chunk_bytes == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, "null", 0, "a required argument is NULL");
    ESP_TRY(check_options(options, err));
    ESP_TRY(check_task(task, x, err));
    esp_node node = {.trainer = trainer, .task = task, .options = options};
    ESP_TRY(prepare(&node, x, err));
    node.column_ptr[0] = 0;
    const bool mirrored = options->cp == options->cn && is_complement(task);
    for (uint32_t c = 0; c < (mirrored ? 1 : task->n_children); c++) {
        solve(&node, c);
        ESP_TRY(keep(&node, c, err));
    }
    if (mirrored)
        ESP_TRY(mirror(&node, err));
    return esp_chunk_encode(task->n_children, x->n_cols, node.column_ptr,
        trainer->block[ESP_ROOM_OUT_FEATURE].data, trainer->block[ESP_ROOM_OUT_WEIGHT].data,
        node.column_bias, options->weight_bits, chunk, chunk_bytes, err);
}
