// The inner loops of the matrix instructions: most of the time of a kernel that multiplies matrices goes here.
#include "product.h"

#include <string.h>

enum { ROWS = 4, COLUMNS = 8 };
typedef double Columns __attribute__((vector_size(COLUMNS * 8)));

// The same code for several instruction sets; which one runs is decided when the library is loaded.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

// Four rows at a time hide the latency of the additions.
FOR_EVERY_PROCESSOR
static void add_columns(double* d, const double* a, const double* b, int m, int n, int k) {
  for (int i = 0; i < m; i += ROWS) {
    Columns sum[ROWS], row;
    for (int r = 0; r < ROWS; r++) memcpy(&sum[r], d + (i + r) * n, sizeof row);
    for (int l = 0; l < k; l++) {
      memcpy(&row, b + l * n, sizeof row);
      for (int r = 0; r < ROWS; r++) sum[r] += a[(i + r) * k + l] * row;
    }
    for (int r = 0; r < ROWS; r++) memcpy(d + (i + r) * n, &sum[r], sizeof row);
  }
}

static void add_column(double* d, const double* a, const double* b, int m, int n, int k) {
  for (int i = 0; i < m; i++)
    for (int l = 0; l < k; l++) d[i * n] += a[i * k + l] * b[l * n];
}

void sim_add_product(double* d, const double* a, const double* b, int m, int n, int k) {
  int j = 0;
  for (; j + COLUMNS <= n; j += COLUMNS) add_columns(d + j, a, b + j, m, n, k);
  for (; j < n; j++) add_column(d + j, a, b + j, m, n, k);
}
