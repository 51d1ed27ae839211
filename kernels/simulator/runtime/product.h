// The product that every matrix instruction computes, on row-major matrices of doubles.
#ifndef SIM_PRODUCT_H
#define SIM_PRODUCT_H

// d[m][n] += a[m][k] b[k][n], m a multiple of 4: for each element of d in ascending order of k, each step rounded to
// double, so the result does not depend on the processor.
void sim_add_product(double* d, const double* a, const double* b, int m, int n, int k);

#endif
