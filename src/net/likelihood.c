// Likelihoods: −log p(y | z) of one sample, summed over outputs, its gradient in the logits z, draws from the
// model, and the factor of the exact output covariance.
//
// For all three the gradient is mean(z) − y, with mean(z) = softmax(z), sigmoid(z), z. What a draw needs is
// therefore a random y, and B_n B_nᵀ is the covariance of y.
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const names[] = {"categorical", "bernoulli", "gaussian"};
_Static_assert(sizeof names / sizeof *names == FIM_LIKELIHOOD_COUNT, "a name for every likelihood");

const char *fim_likelihood_name(fim_likelihood likelihood) {
    return (unsigned)likelihood < FIM_LIKELIHOOD_COUNT ? names[likelihood] : "unknown";
}

fim_status fim_likelihood_parse(const char *name, fim_likelihood *out) {
    size_t index;
    fim_status status = fim_name_find("likelihood", names, FIM_LIKELIHOOD_COUNT, name, &index);
    if (status == FIM_OK)
        *out = (fim_likelihood)index;
    return status;
}

static fim_status check_labels(const fim_data *data, size_t outputs) {
    if (data->labels == NULL)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "a categorical likelihood needs class labels, the data has none");
    for (size_t r = 0; r < data->x->size1; r++)
        if (data->labels[r] >= outputs)
            return FIM_FAIL(FIM_ERR_VALUE, "label %u of row %zu is not below the network's %zu outputs",
                            (unsigned)data->labels[r], r, outputs);
    return FIM_OK;
}

bool fim_likelihood_independent(fim_likelihood likelihood) {
    return likelihood != FIM_CATEGORICAL;
}

fim_status fim_likelihood_check(fim_likelihood likelihood, const fim_data *data, size_t outputs) {
    if (likelihood == FIM_CATEGORICAL)
        return check_labels(data, outputs);
    const gsl_matrix *y = targets(data);
    if (y->size1 != data->x->size1 || y->size2 != outputs)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s are (%zu, %zu), the network's outputs are (%zu, %zu)",
                        data->y != NULL ? "targets y"
                                        : "the data has no targets y, and the inputs in their place",
                        y->size1, y->size2, data->x->size1, outputs);
    for (size_t r = 0; r < y->size1; r++)
        for (size_t j = 0; j < outputs; j++) {
            double value = gsl_matrix_get(y, r, j);
            if (!isfinite(value) || (likelihood == FIM_BERNOULLI && (value < 0 || value > 1)))
                return FIM_FAIL(FIM_ERR_VALUE, "target (%zu, %zu) is %g, a %s likelihood wants %s", r, j,
                                value, names[likelihood],
                                likelihood == FIM_BERNOULLI ? "values in [0, 1]" : "finite values");
        }
    return FIM_OK;
}

double fim_likelihood_floor(fim_likelihood likelihood, const fim_data *data) {
    if (likelihood != FIM_BERNOULLI || data->x->size1 == 0)
        return 0;
    const gsl_matrix *y = targets(data);
    double sum = 0;
    for (size_t r = 0; r < y->size1; r++)
        for (size_t j = 0; j < y->size2; j++) {
            const double p = gsl_matrix_get(y, r, j);
            sum -= (p > 0 ? p * log(p) : 0) + (p < 1 ? (1 - p) * log1p(-p) : 0);
        }
    return sum / (double)y->size1;
}

// g = (mean − y) · scale with y drawn from the model whose mean is `mean`.
static void draw(fim_likelihood likelihood, const double *mean, size_t n, gsl_rng *rng, double scale,
                 double *g) {
    switch (likelihood) {
    case FIM_CATEGORICAL: {
        double u = gsl_rng_uniform(rng), cumulative = 0;
        size_t chosen = 0;
        for (size_t j = 0; j < n; j++) {
            // Rounding may leave Σp below u: then the last class that can occur.
            if (cumulative <= u && mean[j] > 0)
                chosen = j;
            cumulative += mean[j];
            g[j] = mean[j] * scale;
        }
        g[chosen] -= scale;
        break;
    }
    case FIM_BERNOULLI:
        for (size_t j = 0; j < n; j++)
            g[j] = (mean[j] - (gsl_rng_uniform(rng) < mean[j] ? 1 : 0)) * scale;
        break;
    default:
        for (size_t j = 0; j < n; j++)
            g[j] = -gsl_ran_gaussian_ziggurat(rng, 1) * scale;
    }
}

fim_status fim_likelihood_draw(fim_likelihood likelihood, const gsl_matrix *z, size_t draws, uint64_t seed,
                               size_t first, gsl_matrix *dz) {
    fim_status status = FIM_OK;
    double *mean = NULL;
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (rng == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
    FIM_TRY(fim_alloc(z->size2, sizeof *mean, "output means", &mean));
    for (size_t r = 0; r < z->size1; r++) {
        gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, first + r));
        output_mean(likelihood, z->data + r * z->tda, z->size2, mean);
        for (size_t k = 0; k < draws; k++)
            draw(likelihood, mean, z->size2, rng, 1 / sqrt((double)draws),
                 dz->data + (r * draws + k) * dz->tda);
    }
out:
    free(mean);
    gsl_rng_free(rng);
    return status;
}

fim_status fim_likelihood_factor(fim_likelihood likelihood, const double *z, gsl_matrix *j) {
    if (likelihood == FIM_GAUSSIAN)
        return FIM_OK;
    fim_status status = FIM_OK;
    double *mean = NULL, *carried = NULL;
    size_t n = j->size1, m = j->size2;
    FIM_TRY(fim_alloc(n, sizeof *mean, "output means", &mean));
    FIM_TRY(fim_alloc(m, sizeof *carried, "output factor", &carried));
    output_mean(likelihood, z, n, mean);
    // Categorical: B = diag(√p) − p √pᵀ, so that Bᵀ J = diag(√p) (J − 1 (pᵀ J)); the subtraction loses no
    // digits that B Bᵀ = diag(p) − p pᵀ has. Plain loops: the caller may be inside a parallel region.
    if (likelihood == FIM_CATEGORICAL)
        for (size_t c = 0; c < n; c++)
            for (size_t k = 0; k < m; k++)
                carried[k] += mean[c] * j->data[c * j->tda + k];
    for (size_t c = 0; c < n; c++) {
        // p(1 − p) of a sigmoid without cancellation: 1 − sigmoid(z) = sigmoid(−z).
        double scale = sqrt(likelihood == FIM_CATEGORICAL ? mean[c] : mean[c] * logistic(-z[c]));
        double *row = j->data + c * j->tda;
        for (size_t k = 0; k < m; k++)
            row[k] = scale * (row[k] - carried[k]);
    }
out:
    free(mean);
    free(carried);
    return status;
}

// Row by row, Bᵀ t = √p ∘ (t − pᵀ t), or √(p(1 − p)) ∘ t.
fim_status fim_likelihood_factor_rows(fim_likelihood likelihood, const double *z, gsl_matrix *t) {
    if (likelihood == FIM_GAUSSIAN)
        return FIM_OK;
    const size_t n = t->size2;
    double *mean = NULL, *scale = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(n, sizeof *mean, "output means", &mean));
    FIM_TRY(fim_alloc(n, sizeof *scale, "output factor", &scale));
    output_mean(likelihood, z, n, mean);
    for (size_t c = 0; c < n; c++)
        scale[c] = sqrt(likelihood == FIM_CATEGORICAL ? mean[c] : mean[c] * logistic(-z[c]));
    for (size_t k = 0; k < t->size1; k++) {
        double *row = t->data + k * t->tda, along = 0;
        for (size_t c = 0; likelihood == FIM_CATEGORICAL && c < n; c++)
            along += mean[c] * row[c];
        for (size_t c = 0; c < n; c++)
            row[c] = scale[c] * (row[c] - along);
    }
out:
    free(mean);
    free(scale);
    return status;
}

void fim_likelihood_weights(fim_likelihood likelihood, const double *z, size_t n, double *w) {
    output_mean(likelihood, z, n, w);
    for (size_t c = 0; likelihood != FIM_CATEGORICAL && c < n; c++)
        w[c] = likelihood == FIM_BERNOULLI ? w[c] * logistic(-z[c]) : 1;
}
