// The damped inverse of one or two Kronecker terms.
//
// One term, damped by factor: (A + αI)⁻¹ ⊗ (G + γI)⁻¹. Damped exactly: U_a ⊗ U_g, the eigenbases of A and G,
// and 1/(a_i g_j + λ). Two terms A ⊗ B + C ⊗ D with A and B damped: K_a with K_aᵀ A K_a = I and K_aᵀ C K_a =
// diag(s), K_g likewise with diag(t) for B and D; then
//   (A ⊗ B + C ⊗ D)⁻¹ = (K_a ⊗ K_g) diag(1/(1 + s_i t_j)) (K_a ⊗ K_g)ᵀ,
// the formula of Koroko et al. (2201.10285) with Cholesky factors instead of square roots: the same matrix
// for one eigendecomposition per factor instead of two.
#include <math.h>

#include "op.h"

enum { A, G, SIDES };

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

// (A + αI)⁻¹ and (G + γI)⁻¹ of the first term, in k_a and k_g.
static fim_status invert_factors(const kronecker *self, const double add[SIDES], fim_inverse *out) {
    const gsl_matrix *const factor[SIDES] = {self->a[0], self->g[0]};
    gsl_matrix **const k[SIDES] = {&out->k_a, &out->k_g};
    const double copies[SIDES] = {(double)self->head.d_g, (double)self->head.d_a};
    fim_status status = FIM_OK;
    for (size_t s = 0; s < SIDES; s++) {
        FIM_TRY(damped_copy(factor[s], add[s], k[s]));
        FIM_TRY(name_factor(fim_cholesky(*k[s]), s, add[s]));
        out->log_det += copies[s] * fim_cholesky_log_det(*k[s]);
        FIM_TRY(fim_cholesky_inverse(*k[s]));
    }
out:
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

// w = 1/v, v = 1 + s t, by the rule for what is below its bound.
static void invert_sum(const gsl_vector *s, const gsl_vector *t, fim_indefinite rule, fim_inverse *out) {
    const double bound = rule == FIM_INDEFINITE_CLAMP ? clamp_floor : singular;
    for (size_t i = 0; i < s->size; i++)
        for (size_t j = 0; j < t->size; j++) {
            double v = 1 + gsl_vector_get(s, i) * gsl_vector_get(t, j);
            if (v < bound) {
                v = rule == FIM_INDEFINITE_ABSOLUTE ? fmax(fabs(v), bound) : bound;
                out->changed++;
            }
            gsl_matrix_set(out->w, i, j, 1 / v);
            out->log_det += log(v);
        }
}

static fim_status invert_two(const kronecker *self, const double add[SIDES], fim_indefinite rule,
                             fim_inverse *out) {
    gsl_matrix *const *const factor[SIDES] = {self->a, self->g};
    gsl_matrix **const k[SIDES] = {&out->k_a, &out->k_g}, *first[SIDES] = {NULL, NULL};
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
    invert_sum(values[A], values[G], rule, out);
    if (rule == FIM_INDEFINITE_FALLBACK && out->changed > 0) {
        const size_t changed = out->changed;
        fim_inverse_clear(out);
        *out = (fim_inverse){
            .d_a = self->head.d_a, .d_g = self->head.d_g, .changed = changed, .fell_back = true};
        FIM_TRY(invert_factors(self, add, out));
    }
out:
    for (size_t s = 0; s < SIDES; s++) {
        gsl_matrix_free(first[s]);
        gsl_vector_free(values[s]);
    }
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
    return self->terms == 1 ? invert_factors(self, add, out)
                            : invert_two(self, add, options->indefinite, out);
}
