// The block as its users see it: shape checks, and what follows from the classes' few products.
#include <math.h>
#include <string.h>

#include "block.h"
#include "fim/linalg.h"

void fim_fisher_free(fim_fisher *f) {
    if (f != NULL)
        f->class->free(f);
}

const fim_samples *block_no_samples(const fim_fisher *f) {
    (void)f;
    return NULL;
}

struct core *block_no_core(const fim_fisher *f) {
    (void)f;
    return NULL;
}

size_t fim_fisher_d_a(const fim_fisher *f) {
    return f->d_a;
}

size_t fim_fisher_d_g(const fim_fisher *f) {
    return f->d_g;
}

size_t fim_fisher_samples(const fim_fisher *f) {
    return f->n;
}

static fim_status check(const gsl_matrix *m, const char *name, size_t rows, size_t columns) {
    if (m == NULL || (m->size1 == rows && m->size2 == columns))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_SHAPE, "%s is (%zu, %zu), the Fisher block expects (%zu, %zu)", name, m->size1,
                    m->size2, rows, columns);
}

fim_status fim_fisher_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    fim_status status = check(v, "V", f->d_g, f->d_g);
    if (status == FIM_OK)
        status = check(u, "U", f->d_a, f->d_a);
    return status == FIM_OK ? f->class->rearranged(f, v, u) : status;
}

fim_status fim_fisher_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v) {
    fim_status status = check(v, "V", f->d_g, f->d_g);
    if (status == FIM_OK)
        status = check(u, "U", f->d_a, f->d_a);
    return status == FIM_OK ? f->class->rearranged_transposed(f, u, v) : status;
}

fim_status fim_fisher_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g) {
    fim_status status = check(a, "A", f->d_a, f->d_a);
    if (status == FIM_OK)
        status = check(g, "G", f->d_g, f->d_g);
    return status == FIM_OK ? f->class->moments(f, a, g) : status;
}

fim_status fim_fisher_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                               gsl_matrix *lambda) {
    fim_status status = check(u_a, "the basis U_a", f->d_a, f->d_a);
    if (status == FIM_OK)
        status = check(u_g, "the basis U_g", f->d_g, f->d_g);
    if (status == FIM_OK)
        status = check(lambda, "the diagonal", f->d_a, f->d_g);
    return status == FIM_OK ? f->class->diagonal(f, u_a, u_g, lambda) : status;
}

fim_status fim_fisher_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    fim_status status = check(x, "x", f->d_a, f->d_g);
    if (status == FIM_OK)
        status = check(y, "y", f->d_a, f->d_g);
    return status == FIM_OK ? f->class->apply(f, x, y) : status;
}

fim_status fim_fisher_norm2(const fim_fisher *f, double *out) {
    return f->class->norm2(f, out);
}

fim_status fim_fisher_trace(const fim_fisher *f, double *out) {
    gsl_matrix *diagonal = NULL;
    fim_status status = fim_matrix_new(f->d_a, f->d_g, "the diagonal of a Fisher block", &diagonal);
    if (status == FIM_OK)
        status = f->class->diagonal(f, NULL, NULL, diagonal);
    if (status == FIM_OK) {
        gsl_vector_const_view flat = gsl_vector_const_view_array(diagonal->data, f->d_a * f->d_g);
        *out = gsl_vector_sum(&flat.vector);
    }
    gsl_matrix_free(diagonal);
    return status;
}

// ⟨F, A ⊗ G⟩ = ⟨R(F) vec(G), A⟩.
static fim_status inner_kronecker(const void *context, const gsl_matrix *a, const gsl_matrix *g,
                                  double *out) {
    const fim_fisher *f = context;
    gsl_matrix *u = NULL;
    fim_status status = fim_matrix_new(f->d_a, f->d_a, "an inner product", &u);
    if (status == FIM_OK)
        status = fim_fisher_rearranged(f, g, u);
    if (status == FIM_OK)
        *out = fim_matrix_inner(u, a);
    gsl_matrix_free(u);
    return status;
}

static fim_status form_diagonal(const void *context, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                gsl_matrix *lambda) {
    return fim_fisher_diagonal(context, u_a, u_g, lambda);
}

fim_form fim_fisher_form(const fim_fisher *f) {
    return (fim_form){.context = f, .inner_kronecker = inner_kronecker, .diagonal = form_diagonal};
}

fim_status fim_fisher_packed(const fim_fisher *f, gsl_matrix *rs) {
    fim_status status = check(rs, "Rs", fim_svec_size(f->d_a), fim_svec_size(f->d_g));
    return status == FIM_OK ? f->class->packed(f, 0, rs) : status;
}

// Row (i, i2) of Rs is the packed block of F at inputs i and i2, once more times √2 off the diagonal. Each
// block is unpacked where it stays in the cache, for columns of F lie pages apart, and then written row by
// row, with its twin at (i2, i).
static fim_status unpack_blocks(const gsl_matrix *rs, size_t d_a, size_t d_g, gsl_matrix *dense) {
    bool lost = false;
#pragma omp parallel for schedule(dynamic) reduction(|| : lost)
    for (size_t i = 0; i < d_a; i++) {
        gsl_matrix *block = gsl_matrix_alloc(d_g, d_g);
        for (size_t i2 = i; block != NULL && i2 < d_a; i2++) {
            fim_svec_unpack(rs->data + (i * d_a - i * (i + 1) / 2 + i2) * rs->tda, block);
            if (i2 > i)
                gsl_matrix_scale(block, M_SQRT1_2);
            for (size_t j = 0; j < d_g; j++) {
                const double *row = block->data + j * block->tda;
                memcpy(dense->data + (i * d_g + j) * dense->tda + i2 * d_g, row, d_g * sizeof *row);
                memcpy(dense->data + (i2 * d_g + j) * dense->tda + i * d_g, row, d_g * sizeof *row);
            }
        }
        lost = lost || block == NULL;
        gsl_matrix_free(block);
    }
    // The message belongs to the calling thread.
    return lost ? FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a %zu x %zu block between inputs", d_g, d_g)
                : FIM_OK;
}

fim_status fim_fisher_dense(const fim_fisher *f, gsl_matrix *dense) {
    const size_t d = f->d_a * f->d_g;
    gsl_matrix *rs = NULL;
    fim_status status = check(dense, "the dense block", d, d);
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_matrix_new(fim_svec_size(f->d_a), fim_svec_size(f->d_g), "the rearranged block", &rs));
    FIM_TRY(f->class->packed(f, 0, rs));
    FIM_TRY(unpack_blocks(rs, f->d_a, f->d_g, dense));
out:
    gsl_matrix_free(rs);
    return status;
}
