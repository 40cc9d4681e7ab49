// The damped inverse of one or two Kronecker terms.
//
// One term, damped by factor: (A + αI)⁻¹ ⊗ (G + γI)⁻¹. Damped exactly: U_a ⊗ U_g, the eigenbases of A and G,
// and 1/(a_i g_j + λ). Two terms A ⊗ B + C ⊗ D with A and B damped: K_a with K_aᵀ A K_a = I and K_aᵀ C K_a =
// diag(s), K_g likewise with diag(t) for B and D; then
//   (A ⊗ B + C ⊗ D)⁻¹ = (K_a ⊗ K_g) diag(1/(1 + s_i t_j)) (K_a ⊗ K_g)ᵀ,
// the formula of Koroko et al. (2201.10285) with Cholesky factors instead of square roots: the same matrix
// for one eigendecomposition per factor instead of two.
//
// With a tolerance, both are taken apart where that is cheaper (fim/op.h): a factor far below its damping is
// a number and few directions, and the sum is the first term's inverse and few directions.
#include <gsl/gsl_blas.h>
#include <math.h>

#include "op.h"

enum { A, G, SIDES };
// Up to 1/8 of a factor's directions are found without the others.
enum { LOW_RANK_SHARE = 8 };

static const double singular = 1e-12; // relative to the damped first term
static const double clamp_floor = 0.1;

static double mean_eigenvalue(const gsl_matrix *m) {
    gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(m);
    return gsl_vector_sum(&diagonal.vector) / (double)m->size1;
}

// What is added to the diagonals of the first term's factors.
static void factor_damping(const kronecker *self, const fim_inverse_options *options, double add[SIDES]) {
    const double lambda = options->damping;
    const bool each =
        options->form == FIM_DAMPING_EACH || (options->form == FIM_DAMPING_PAPER && self->terms > 1);
    add[A] = add[G] = each ? lambda : sqrt(lambda);
    if (options->form == FIM_DAMPING_FACTOR_PI) {
        const double a = mean_eigenvalue(self->a[0]), g = mean_eigenvalue(self->g[0]);
        const double pi = a > 0 && g > 0 ? sqrt(a / g) : 1;
        add[A] *= pi;
        add[G] /= pi;
    }
}

static fim_status damped_copy(const gsl_matrix *m, double add, gsl_matrix **out) {
    fim_status status = fim_matrix_copy(m, "a damped factor", out);
    if (status != FIM_OK)
        return status;
    gsl_vector_view diagonal = gsl_matrix_diagonal(*out);
    gsl_vector_add_constant(&diagonal.vector, add);
    return FIM_OK;
}

// Says of which factor a Cholesky factorization failed.
static fim_status name_factor(fim_status status, size_t side, double add) {
    if (status != FIM_NOT_POSITIVE)
        return status;
    return FIM_FAIL(FIM_NOT_POSITIVE,
                    "the factor %s of the first Kronecker term with %g on its diagonal is not positive "
                    "definite; a larger damping is needed",
                    side == A ? "A" : "G", add);
}

// M = γI + U diag(m) Uᵀ, where the eigenvalues of a factor up to δγ count as zero, when few are left.
// Otherwise *out stays empty.
static fim_status invert_low_rank(const gsl_matrix *m, double gamma, double delta, fim_inverse_side *out,
                                  double *log_det, gsl_matrix **inverted) {
    const size_t n = m->size1;
    fim_inverse_side made = {.scale = 1 / gamma};
    gsl_vector *values = NULL;
    gsl_matrix *rows = NULL, *scaled = NULL;
    size_t count;
    double sum = 0;
    fim_status status = FIM_OK;
    if (!(gamma > 0) || mean_eigenvalue(m) > gamma) // hardly low: not worth the counting
        return FIM_OK;
    FIM_TRY(fim_eigen_above(m, delta * gamma, n / LOW_RANK_SHARE, &count, &values, &rows));
    if (count > n / LOW_RANK_SHARE)
        goto out;
    FIM_TRY(fim_matrix_new(n, n, "a damped factor", inverted));
    gsl_matrix_set_identity(*inverted);
    gsl_matrix_scale(*inverted, gamma);
    if (count > 0) {
        FIM_TRY(fim_matrix_new(n, count, "directions of a factor", &made.u));
        FIM_TRY(fim_matrix_new(n, count, "directions of a factor", &made.v));
        FIM_TRY(fim_matrix_copy(rows, "directions of a factor", &scaled));
    }
    for (size_t k = 0; k < count; k++) {
        const double value = gsl_vector_get(values, k);
        gsl_vector_view row = gsl_matrix_row(rows, k);
        if (!(value + gamma > 0)) { // no inverse: the Cholesky factorization says so
            gsl_matrix_free(*inverted);
            *inverted = NULL;
            goto out;
        }
        sum += log(value + gamma);
        gsl_matrix_set_col(made.u, k, &row.vector);
        gsl_matrix_set_col(made.v, k, &row.vector);
        gsl_vector_view column = gsl_matrix_column(made.v, k), times = gsl_matrix_row(scaled, k);
        gsl_vector_scale(&column.vector, 1 / (value + gamma) - 1 / gamma);
        gsl_vector_scale(&times.vector, value);
    }
    if (count > 0)
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, rows, scaled, 1, *inverted);
    *log_det = sum + (double)(n - count) * log(gamma);
    *out = made;
    made = (fim_inverse_side){0};
out:
    gsl_matrix_free(made.u);
    gsl_matrix_free(made.v);
    gsl_matrix_free(rows);
    gsl_matrix_free(scaled);
    gsl_vector_free(values);
    return status;
}

// (A + αI)⁻¹ and (G + γI)⁻¹ of the first term, in m_a and m_g, and what they are the inverses of, to be freed
// by the caller also on failure.
static fim_status invert_factors(const kronecker *self, const double add[SIDES], double delta,
                                 fim_inverse *out, gsl_matrix *inverted[SIDES]) {
    const gsl_matrix *const factor[SIDES] = {self->a[0], self->g[0]};
    fim_inverse_side *const side[SIDES] = {&out->m_a, &out->m_g};
    const double copies[SIDES] = {(double)self->head.d_g, (double)self->head.d_a};
    fim_status status = FIM_OK;
    for (size_t s = 0; s < SIDES; s++) {
        double log_det = 0;
        if (delta > 0)
            FIM_TRY(invert_low_rank(factor[s], add[s], delta, side[s], &log_det, &inverted[s]));
        if (inverted[s] == NULL) {
            FIM_TRY(damped_copy(factor[s], add[s], &inverted[s]));
            FIM_TRY(fim_matrix_copy(inverted[s], "the inverse of a factor", &side[s]->dense));
            FIM_TRY(name_factor(fim_cholesky(side[s]->dense), s, add[s]));
            log_det = fim_cholesky_log_det(side[s]->dense);
            FIM_TRY(fim_cholesky_inverse(side[s]->dense));
        }
        out->log_det += copies[s] * log_det;
    }
out:
    return status;
}

static fim_status invert_one(const kronecker *self, const double add[SIDES], double delta, fim_inverse *out) {
    gsl_matrix *inverted[SIDES] = {NULL, NULL};
    fim_status status = invert_factors(self, add, delta, out, inverted);
    gsl_matrix_free(inverted[A]);
    gsl_matrix_free(inverted[G]);
    return status;
}

static fim_status invert_exactly(const kronecker *self, double damping, fim_inverse *out) {
    const gsl_matrix *const factor[SIDES] = {self->a[0], self->g[0]};
    gsl_matrix **const k[SIDES] = {&out->k_a, &out->k_g};
    gsl_vector *values[SIDES] = {NULL, NULL};
    fim_status status = FIM_OK;
    for (size_t s = 0; s < SIDES; s++) {
        FIM_TRY(fim_matrix_copy(factor[s], "the eigenbasis of a factor", k[s]));
        FIM_TRY(fim_vector_new(factor[s]->size1, "eigenvalues of a factor", &values[s]));
        FIM_TRY(fim_eigen(*k[s], values[s]));
        const double rounding = INVERSE_ROUNDING * fmax(gsl_vector_get(values[s], 0), 0);
        for (size_t i = 0; i < values[s]->size; i++)
            if (gsl_vector_get(values[s], i) < 0 && gsl_vector_get(values[s], i) >= -rounding)
                gsl_vector_set(values[s], i, 0);
    }
    FIM_TRY(fim_matrix_new(out->d_a, out->d_g, "the inverse eigenvalues", &out->w));
    for (size_t i = 0; i < out->d_a; i++)
        for (size_t j = 0; j < out->d_g; j++)
            gsl_matrix_set(out->w, i, j, gsl_vector_get(values[A], i) * gsl_vector_get(values[G], j));
    FIM_TRY(inverse_diagonal(damping, out->w, out->w, &out->log_det));
out:
    gsl_vector_free(values[A]);
    gsl_vector_free(values[G]);
    return status;
}

// w = 1/v − base, v = 1 + s t, by the rule for what is below its bound.
static void invert_sum(const gsl_vector *s, const gsl_vector *t, fim_indefinite rule, double base,
                       fim_inverse *out) {
    const double bound = rule == FIM_INDEFINITE_CLAMP ? clamp_floor : singular;
    for (size_t i = 0; i < s->size; i++)
        for (size_t j = 0; j < t->size; j++) {
            double v = 1 + gsl_vector_get(s, i) * gsl_vector_get(t, j);
            if (v < bound) {
                v = rule == FIM_INDEFINITE_ABSOLUTE ? fmax(fabs(v), bound) : bound;
                out->changed++;
            }
            gsl_matrix_set(out->w, i, j, 1 / v - base);
            out->log_det += log(v);
        }
}

// Two terms in full.
static fim_status invert_sum_fully(const kronecker *self, const double add[SIDES], fim_indefinite rule,
                                   fim_inverse *out) {
    gsl_matrix *const *const factor[SIDES] = {self->a, self->g};
    gsl_matrix **k[SIDES] = {&out->k_a, &out->k_g}, *first[SIDES] = {NULL, NULL};
    gsl_vector *values[SIDES] = {NULL, NULL};
    const double copies[SIDES] = {(double)self->head.d_g, (double)self->head.d_a};
    fim_status status = FIM_OK;
    for (size_t s = 0; s < SIDES; s++) {
        FIM_TRY(damped_copy(factor[s][0], add[s], &first[s]));
        FIM_TRY(fim_matrix_copy(factor[s][1], "a relative eigenbasis", k[s]));
        FIM_TRY(fim_vector_new(first[s]->size1, "relative eigenvalues", &values[s]));
        FIM_TRY(name_factor(fim_eigen_generalized(*k[s], first[s], values[s]), s, add[s]));
        out->log_det += copies[s] * fim_cholesky_log_det(first[s]);
    }
    FIM_TRY(fim_matrix_new(out->d_a, out->d_g, "the inverse of relative eigenvalues", &out->w));
    invert_sum(values[A], values[G], rule, 0, out);
out:
    for (size_t s = 0; s < SIDES; s++) {
        gsl_matrix_free(first[s]);
        gsl_vector_free(values[s]);
    }
    return status;
}

// Is the first term's inverse with a correction of (r_a, r_g) directions cheaper than the sum in full? In
// multiples of 2 d_a d_g flops.
static bool is_cheaper(const fim_inverse *k, const size_t count[SIDES]) {
    const double d_a = (double)k->d_a, d_g = (double)k->d_g, r_a = (double)count[A], r_g = (double)count[G];
    const double side_a = k->m_a.dense != NULL ? d_a : d_a / LOW_RANK_SHARE,
                 side_g = k->m_g.dense != NULL ? d_g : d_g / LOW_RANK_SHARE;
    const double correction = fmin(r_a * (1 + r_g / d_a), r_g * (1 + r_a / d_g));
    return side_a + side_g + 2 * correction < 2 * (d_a + d_g);
}

// The first term's inverse, and a correction in the directions with |s t| > δ. *done stays false when those
// are too many to be cheaper than the sum in full.
static fim_status invert_sum_in_part(const kronecker *self, const double add[SIDES],
                                     const fim_inverse_options *options, fim_inverse *out, bool *done) {
    const gsl_matrix *const second[SIDES] = {self->a[1], self->g[1]};
    gsl_matrix **const k[SIDES] = {&out->k_a, &out->k_g}, *factor[SIDES] = {NULL, NULL},
                       *relative[SIDES] = {NULL, NULL}, *rows[SIDES] = {NULL, NULL};
    gsl_vector *values[SIDES] = {NULL, NULL};
    double norm[SIDES];
    size_t count[SIDES];
    fim_status status = FIM_OK;
    FIM_TRY(invert_factors(self, add, options->tolerance, out, factor));
    for (size_t s = 0; s < SIDES; s++) {
        FIM_TRY(name_factor(fim_cholesky(factor[s]), s, add[s]));
        FIM_TRY(fim_matrix_copy(second[s], "a relative factor", &relative[s]));
        FIM_TRY(fim_cholesky_congruence(factor[s], relative[s]));
        FIM_TRY(fim_symmetric_norm(relative[s], &norm[s]));
    }
    *done = true;
    if (norm[A] * norm[G] <= options->tolerance)
        goto out; // nothing to correct
    for (size_t s = 0; s < SIDES; s++)
        FIM_TRY(fim_eigen_above(relative[s], options->tolerance / norm[1 - s],
                                relative[s]->size1 / LOW_RANK_SHARE, &count[s], &values[s], &rows[s]));
    *done = is_cheaper(out, count);
    if (!*done || count[A] == 0 || count[G] == 0)
        goto out;
    for (size_t s = 0; s < SIDES; s++)
        if (rows[s] == NULL) // many, but worth it
            FIM_TRY(fim_eigen_above(relative[s], options->tolerance / norm[1 - s], relative[s]->size1,
                                    &count[s], &values[s], &rows[s]));
    for (size_t s = 0; s < SIDES; s++) { // K = L⁻ᵀ Y
        FIM_TRY(fim_matrix_new(rows[s]->size2, count[s], "a relative eigenbasis", k[s]));
        gsl_matrix_transpose_memcpy(*k[s], rows[s]);
        gsl_blas_dtrsm(CblasLeft, CblasLower, CblasTrans, CblasNonUnit, 1, factor[s], *k[s]);
    }
    FIM_TRY(fim_matrix_new(count[A], count[G], "the inverse of relative eigenvalues", &out->w));
    invert_sum(values[A], values[G], options->indefinite, 1, out);
out:
    for (size_t s = 0; s < SIDES; s++) {
        gsl_matrix_free(factor[s]);
        gsl_matrix_free(relative[s]);
        gsl_matrix_free(rows[s]);
        gsl_vector_free(values[s]);
    }
    return status;
}

// Empty again, but for what is known of the sum.
static void start_over(const kronecker *self, fim_inverse *out, size_t changed) {
    fim_inverse_clear(out);
    *out = (fim_inverse){
        .d_a = self->head.d_a, .d_g = self->head.d_g, .changed = changed, .fell_back = changed > 0};
}

static fim_status invert_two(const kronecker *self, const double add[SIDES],
                             const fim_inverse_options *options, fim_inverse *out) {
    bool done = false;
    fim_status status = FIM_OK;
    if (options->tolerance > 0) {
        FIM_TRY(invert_sum_in_part(self, add, options, out, &done));
        if (!done)
            start_over(self, out, 0);
    }
    if (!done)
        FIM_TRY(invert_sum_fully(self, add, options->indefinite, out));
    if (options->indefinite == FIM_INDEFINITE_FALLBACK && out->changed > 0) {
        start_over(self, out, out->changed);
        FIM_TRY(invert_one(self, add, options->tolerance, out));
    }
out:
    return status;
}

fim_status kronecker_inverse(const fim_op *op, const fim_inverse_options *options, fim_inverse *out) {
    const kronecker *self = (const kronecker *)op;
    double add[SIDES];
    if (self->terms > 2)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "a sum of %zu Kronecker terms has no closed inverse: at most two terms have one",
                        self->terms);
    if (options->form == FIM_DAMPING_EXACT && self->terms == 2)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "a sum of two Kronecker terms cannot be damped exactly in closed form: take the "
                        "damping form factor, factor-pi, each or paper");
    if (options->form == FIM_DAMPING_EXACT)
        return invert_exactly(self, options->damping, out);
    factor_damping(self, options, add);
    return self->terms == 1 ? invert_one(self, add, options->tolerance, out)
                            : invert_two(self, add, options, out);
}
