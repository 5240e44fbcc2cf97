/* driver.c: times a ranking library from C, one row a call, so that no
 * interpreter stands between two calls.
 *
 * Both libraries are reached through function pointers and with arguments made
 * before the clock starts; answers go to memory that is there already.  What is
 * measured is the library's own work and one indirect call. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- libpecos ----------------------------------------------------------- */

typedef struct pecos_csr {
    uint32_t rows;
    uint32_t cols;
    const uint64_t *row_ptr;
    const uint32_t *col;
    const float *val;
} pecos_csr;

typedef void pecos_allocate(bool by_column, uint64_t rows, uint64_t cols, uint64_t nnz,
    uint64_t *indices, uint64_t *indptr, uint64_t *data);
typedef void pecos_predict(void *model, const pecos_csr *x, uint32_t beam, const char *post,
    uint32_t k, int threads, pecos_allocate *allocate);

enum { ROOM = 1 << 16 };
static uint32_t answer_label[ROOM];
static float answer_score[ROOM];
static uint64_t answer_ptr[2];

/* libpecos asks for memory by writing addresses through these pointers. */
static void allocate(bool by_column, uint64_t rows, uint64_t cols, uint64_t nnz, uint64_t *indices,
    uint64_t *indptr, uint64_t *data) {
    (void)by_column, (void)rows, (void)cols, (void)nnz; /* one row of at most k <= ROOM */
    *indices = (uint64_t)(uintptr_t)answer_label;
    *indptr = (uint64_t)(uintptr_t)answer_ptr;
    *data = (uint64_t)(uintptr_t)answer_score;
}

/* nanoseconds[i]: the call for rows[i], a matrix of one row. */
void time_pecos(pecos_predict *predict, void *model, const pecos_csr *rows, uint32_t n,
    uint32_t beam, uint32_t k, double *nanoseconds) {
    double before = now();
    for (uint32_t i = 0; i < n; i++) {
        predict(model, &rows[i], beam, NULL, k, 1, allocate);
        const double after = now();
        nanoseconds[i] = after - before;
        before = after;
    }
}

/* ---- Espalier ----------------------------------------------------------- */

typedef int espalier_predict(const void *index, void *scratch, const void *x, uint32_t row,
    uint32_t beam, uint32_t k, uint32_t *labels, float *scores, size_t *count, void *err);

/* The same for rows 0 to n - 1 of x; the status of the first call that failed,
 * or 0. */
int time_espalier(espalier_predict *predict, const void *index, void *scratch, const void *x,
    uint32_t n, uint32_t beam, uint32_t k, double *nanoseconds) {
    size_t count = 0;
    double before = now();
    for (uint32_t i = 0; i < n; i++) {
        const int status = predict(
            index, scratch, x, i, beam, k, answer_label, answer_score, &count, NULL);
        if (status != 0)
            return status;
        const double after = now();
        nanoseconds[i] = after - before;
        before = after;
    }
    return 0;
}
