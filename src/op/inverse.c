// The damped inverse: names of its options and what the representations share.
#include <math.h>

#include "op.h"

static const char *const forms[] = {"factor", "factor-pi", "each", "paper", "exact"};
static const char *const rules[] = {"absolute", "clamp", "fallback"};

fim_status fim_damping_form_parse(const char *text, fim_damping_form *out) {
    size_t index;
    fim_status status = fim_name_find("damping form", forms, sizeof forms / sizeof *forms, text, &index);
    if (status == FIM_OK)
        *out = (fim_damping_form)index;
    return status;
}

const char *fim_damping_form_name(fim_damping_form form) {
    return forms[form];
}

fim_status fim_indefinite_parse(const char *text, fim_indefinite *out) {
    size_t index;
    fim_status status =
        fim_name_find("rule for indefinite sums", rules, sizeof rules / sizeof *rules, text, &index);
    if (status == FIM_OK)
        *out = (fim_indefinite)index;
    return status;
}

const char *fim_indefinite_name(fim_indefinite rule) {
    return rules[rule];
}

fim_status inverse_diagonal(double damping, const gsl_matrix *lambda, gsl_matrix *w, double *log_det) {
    const double rounding = INVERSE_ROUNDING * fmax(gsl_matrix_max(lambda), 0);
    double sum = 0;
    for (size_t i = 0; i < lambda->size1; i++)
        for (size_t j = 0; j < lambda->size2; j++) {
            const double eigenvalue = gsl_matrix_get(lambda, i, j);
            const double damped = (eigenvalue < 0 && eigenvalue >= -rounding ? 0 : eigenvalue) + damping;
            if (!(damped > 0))
                return FIM_FAIL(
                    FIM_NOT_POSITIVE,
                    "with damping %g the operator is not positive definite: it has the eigenvalue "
                    "%g; a larger damping is needed",
                    damping, eigenvalue);
            gsl_matrix_set(w, i, j, 1 / damped);
            sum += log(damped);
        }
    *log_det += sum;
    return FIM_OK;
}

fim_status fim_inverse_init(const fim_op *op, const fim_inverse_options *options, fim_inverse *out) {
    if (!(options->damping >= 0 && isfinite(options->damping)))
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a damping is a finite number from 0 on, not %g", options->damping);
    fim_inverse inverse = {.d_a = op->d_a, .d_g = op->d_g};
    fim_status status = op->class->inverse(op, options, &inverse);
    if (status == FIM_OK)
        *out = inverse;
    else
        fim_inverse_clear(&inverse);
    return status;
}

fim_status fim_inverse_apply(const fim_inverse *inverse, const gsl_matrix *x, gsl_matrix *y) {
    const size_t d_a = inverse->d_a, d_g = inverse->d_g;
    gsl_matrix *scratch = NULL;
    if (x->size1 != d_a || x->size2 != d_g || y->size1 != d_a || y->size2 != d_g)
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "parameter matrices of (%zu, %zu) and (%zu, %zu) for an inverse on (%zu, %zu)",
                        x->size1, x->size2, y->size1, y->size2, d_a, d_g);
    fim_status status = fim_matrix_new(2, d_a * d_g, "a preconditioned step", &scratch);
    if (status == FIM_OK)
        fim_inverse_multiply(inverse, x, scratch, y);
    gsl_matrix_free(scratch);
    return status;
}
