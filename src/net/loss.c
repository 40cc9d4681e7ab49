// Loss and gradient of the likelihoods on a batch of logits.
#include <string.h>

#include "internal.h"

const REAL_MATRIX *REAL(targets)(const REAL(fim_data) * data) {
    return data->y != NULL ? data->y : data->x;
}

// max z, which is taken out of every exponential so that none overflows.
static real largest(const real *z, size_t n) {
    real top = z[0];
    for (size_t j = 1; j < n; j++)
        top = z[j] > top ? z[j] : top;
    return top;
}

static real log_sum_exp(const real *z, size_t n) {
    real top = largest(z, n), sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += exp(z[j] - top);
    return top + log(sum);
}

static void softmax(const real *z, size_t n, real *p) {
    real top = largest(z, n), sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += (p[j] = exp(z[j] - top));
    for (size_t j = 0; j < n; j++)
        p[j] /= sum;
}

void REAL(output_mean)(fim_likelihood likelihood, const real *z, size_t n, real *mean) {
    switch (likelihood) {
    case FIM_CATEGORICAL:
        softmax(z, n, mean);
        break;
    case FIM_BERNOULLI:
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            mean[j] = logistic(z[j]);
        break;
    default:
        memcpy(mean, z, n * sizeof *mean);
    }
}

void REAL(fim_likelihood_loss)(fim_likelihood likelihood, const REAL_MATRIX *z, const REAL(fim_data) * data,
                               size_t first, double *loss) {
    size_t n = z->size2;
#pragma omp parallel for if (z->size1 * n >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < z->size1; r++) {
        const real *row = z->data + r * z->tda;
        double sum = 0;
        if (likelihood == FIM_CATEGORICAL) {
            sum = (double)(log_sum_exp(row, n) - row[data->labels[first + r]]);
        } else {
            const REAL_MATRIX *all = REAL(targets)(data);
            const real *y = all->data + (first + r) * all->tda;
            if (likelihood == FIM_BERNOULLI)
#pragma omp simd reduction(+ : sum)
                for (size_t j = 0; j < n; j++)
                    sum += (double)(softplus(row[j]) - y[j] * row[j]);
            else
#pragma omp simd reduction(+ : sum)
                for (size_t j = 0; j < n; j++)
                    sum += (double)((y[j] - row[j]) * (y[j] - row[j]) / 2);
        }
        loss[r] = sum;
    }
}

void REAL(fim_likelihood_gradient)(fim_likelihood likelihood, const REAL_MATRIX *z,
                                   const REAL(fim_data) * data, size_t first, REAL_MATRIX *dz) {
    size_t n = z->size2;
#pragma omp parallel for if (z->size1 * n >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < z->size1; r++) {
        real *g = dz->data + r * dz->tda;
        REAL(output_mean)(likelihood, z->data + r * z->tda, n, g);
        if (likelihood == FIM_CATEGORICAL) {
            g[data->labels[first + r]] -= 1;
        } else {
            const REAL_MATRIX *all = REAL(targets)(data);
            const real *y = all->data + (first + r) * all->tda;
            for (size_t j = 0; j < n; j++)
                g[j] -= y[j];
        }
    }
}
