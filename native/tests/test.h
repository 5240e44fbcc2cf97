/* test.h: the whole test harness.
 *
 *      static void something_is_so(void) { CHECK(1 + 1 == 2); }
 *      int main(int argc, char **argv) {
 *          TEST_BEGIN(argc, argv);
 *          TEST(something_is_so);
 *          return TEST_END();
 *      }
 *
 * A failed CHECK prints where and what and the test goes on; the program's
 * status says whether any failed.  An argument runs only tests with it in their
 * name.  Tests are linked with -Wl,--wrap=malloc (calloc, realloc), so that
 * test_allocations_left = n makes the n-th allocation from here the first to
 * fail; below 0 none fails. */
#ifndef ESP_TEST_H
#define ESP_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *test_name = "", *test_filter = "";
static unsigned test_failures, test_count;
static _Thread_local long test_allocations_left = -1;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static int test_refuses(void) {
    return test_allocations_left >= 0 && test_allocations_left-- == 0 &&
           (test_allocations_left = 0, 1);
}
void *__wrap_malloc(size_t bytes) {
    return test_refuses() ? NULL : __real_malloc(bytes);
}
void *__wrap_calloc(size_t count, size_t bytes) {
    return test_refuses() ? NULL : __real_calloc(count, bytes);
}
void *__wrap_realloc(void *old, size_t bytes) {
    return test_refuses() ? NULL : __real_realloc(old, bytes);
}

/* A failure may be found on any thread; the count is only read at the end. */
static void test_fail(const char *file, int line, const char *what) {
    __atomic_add_fetch(&test_failures, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, test_name, what);
}

#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition))
#define TEST_BEGIN(argc, argv) (test_filter = (argc) > 1 ? (argv)[1] : "")
#define TEST(function)                              \
    do {                                            \
        if (strstr(#function, test_filter) == NULL) \
            break;                                  \
        test_name = #function;                      \
        test_count++;                               \
        test_allocations_left = -1;                 \
        (function)();                               \
    } while (0)
#define TEST_END() \
    (printf("%s: %u tests, %u failures\n", __FILE__, test_count, test_failures), test_failures != 0)

#endif
