// The output side of the samples, G_n, in the form it is kept in: rows g_nc, packed, or a diagonal. What is
// asked of it, and at what price per sample (r columns, d outputs, p = d(d+1)/2):
//
//                    rows        packed            diagonal
//   ⟨G_n, V⟩         r d²        2 p (memory)      2 d
//   Σ w_n G_n        r d²        2 p (memory)      2 d
//   diag(UᵀG_nU)     2 r d²      2 l² d            2 d²       l live outputs of d
//   G_n t            4 r d       2 p (memory)      d
#include <gsl/gsl_blas.h>
#include <gsl/gsl_math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "chain.h"
#include "fim/linalg.h"

fim_status outputs_inner(const fim_samples *s, const gsl_matrix *v, double *q) {
    if (s->g != NULL)
        return rows_quadratic(s->g, s->columns, v, q);
    gsl_vector_view inner = gsl_vector_view_array(q, s->n);
    if (s->diagonal != NULL) {
        gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(v);
        gsl_blas_dgemv(CblasNoTrans, 1, s->diagonal, &diagonal.vector, 0, &inner.vector);
        return FIM_OK;
    }
    if (is_identity(v)) {
        for (size_t n = 0; n < s->n; n++) {
            q[n] = 0;
            for (size_t j = 0, at = 0; j < s->d_g; at += s->d_g - j, j++)
                q[n] += gsl_matrix_get(s->packed, n, at);
        }
        return FIM_OK;
    }
    gsl_vector *packed = NULL;
    fim_status status = fim_vector_new(s->packed->size2, "a packed covariance", &packed);
    if (status != FIM_OK)
        return status;
    fim_svec_pack(v, packed->data);
    gsl_blas_dgemv(CblasNoTrans, 1, s->packed, packed, 0, &inner.vector);
    gsl_vector_free(packed);
    return FIM_OK;
}

fim_status outputs_sum(const fim_samples *s, const double *w, gsl_matrix *v) {
    if (s->g != NULL)
        return rows_sum(s->g, s->columns, w, v);
    gsl_vector_const_view weights = gsl_vector_const_view_array(w, s->n);
    if (s->diagonal != NULL) {
        gsl_vector_view diagonal = gsl_matrix_diagonal(v);
        gsl_matrix_set_zero(v);
        gsl_blas_dgemv(CblasTrans, 1, s->diagonal, &weights.vector, 0, &diagonal.vector);
        return FIM_OK;
    }
    gsl_vector *sum = NULL;
    fim_status status = fim_vector_new(s->packed->size2, "a packed covariance", &sum);
    if (status != FIM_OK)
        return status;
    gsl_blas_dgemv(CblasTrans, 1, s->packed, &weights.vector, 0, sum);
    fim_svec_unpack(sum->data, v);
    gsl_vector_free(sum);
    return FIM_OK;
}

// ---- diag(Uᵀ G_n U) ----

// The live part of a packed semidefinite G: the outputs with a diagonal entry other than 0, their entries of
// G as a square matrix in g, and their rows of u in part. A relu's dead units are often
// half, and would cost the cube.
static size_t live_part(const double *packed, size_t d, const gsl_matrix *u, size_t *index, gsl_matrix *g,
                        gsl_matrix *part) {
    size_t live = 0;
    for (size_t i = 0, at = 0; i < d; at += d - i, i++)
        if (packed[at] != 0)
            index[live++] = i;
    for (size_t i = 0; i < live; i++) {
        const double *row = packed + index[i] * d - index[i] * (index[i] + 1) / 2;
        g->data[i * g->tda + i] = row[index[i]];
        for (size_t j = i + 1; j < live; j++)
            g->data[i * g->tda + j] = g->data[j * g->tda + i] = M_SQRT1_2 * row[index[j]];
        memcpy(part->data + i * part->tda, u->data + index[i] * u->tda, u->size2 * sizeof(double));
    }
    return live;
}

// The columns of u that meet an output which some G_n moves: others have squares of 0.
static size_t met_columns(const gsl_matrix *packed, const gsl_matrix *u, size_t *index) {
    const size_t d = u->size1;
    size_t count = 0;
    for (size_t j = 0; j < d; j++)
        index[j] = false;
    for (size_t i = 0, at = 0; i < d; at += d - i, i++) {
        bool moves = false;
        for (size_t n = 0; n < packed->size1 && !moves; n++)
            moves = packed->data[n * packed->tda + at] != 0;
        for (size_t j = 0; moves && j < d; j++)
            index[j] |= u->data[i * u->tda + j] != 0;
    }
    for (size_t j = 0; j < d; j++)
        if (index[j])
            index[count++] = j;
    return count;
}

// The column sums of U ∘ (G U) over the live outputs.
static fim_status packed_squares(const gsl_matrix *packed, const gsl_matrix *u, gsl_matrix *squares) {
    const size_t d = squares->size2;
    gsl_matrix *g = NULL, *met = NULL, *part = NULL, *product = NULL;
    size_t *index = NULL, *columns = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(d, sizeof *index, "live outputs", &index));
    FIM_TRY(fim_alloc(d, sizeof *columns, "columns of a basis", &columns));
    const size_t count = met_columns(packed, u, columns);
    FIM_TRY(fim_matrix_new(d, d, "an output covariance", &g));
    FIM_TRY(fim_matrix_new(d, count, "a part of a basis", &met));
    FIM_TRY(fim_matrix_new(d, count, "a part of a basis", &part));
    FIM_TRY(fim_matrix_new(d, count, "a rotated covariance", &product));
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < count; j++)
            met->data[i * count + j] = u->data[i * u->tda + columns[j]];
    gsl_matrix_set_zero(squares);
    for (size_t n = 0; n < packed->size1 && count > 0; n++) {
        const size_t live = live_part(packed->data + n * packed->tda, d, met, index, g, part);
        double *out = squares->data + n * squares->tda;
        if (live > 0)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)live, (int)count, (int)live, 1,
                        g->data, (int)g->tda, part->data, (int)part->tda, 0, product->data,
                        (int)product->tda);
        for (size_t i = 1; i < live; i++) // summed into the first row, one after the other in memory
            for (size_t j = 0; j < count; j++)
                product->data[j] = (i > 1 ? product->data[j] : product->data[j] * part->data[j]) +
                                   product->data[i * count + j] * part->data[i * count + j];
        for (size_t j = 0; live > 0 && j < count; j++)
            out[columns[j]] = live > 1 ? product->data[j] : product->data[j] * part->data[j];
    }
out:
    gsl_matrix_free(g);
    gsl_matrix_free(met);
    gsl_matrix_free(part);
    gsl_matrix_free(product);
    free(index);
    free(columns);
    return status;
}

fim_status outputs_squares(const fim_samples *s, const gsl_matrix *u, gsl_matrix *squares) {
    const size_t d = s->d_g;
    if (s->g != NULL)
        return rows_squares(s->g, s->columns, u, squares);
    if (s->packed != NULL && u != NULL)
        return packed_squares(s->packed, u, squares);
    if (s->packed != NULL) {
        for (size_t n = 0; n < s->n; n++)
            for (size_t j = 0, at = 0; j < d; at += d - j, j++)
                gsl_matrix_set(squares, n, j, gsl_matrix_get(s->packed, n, at));
        return FIM_OK;
    }
    if (u == NULL) {
        gsl_matrix_memcpy(squares, s->diagonal);
        return FIM_OK;
    }
    gsl_matrix *u2 = NULL; // Σ_k u_kj² G_n,kk
    fim_status status = fim_matrix_copy(u, "a squared basis", &u2);
    if (status != FIM_OK)
        return status;
    gsl_matrix_mul_elements(u2, u);
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, s->diagonal, u2, 0, squares);
    gsl_matrix_free(u2);
    return FIM_OK;
}

// ---- G_n t_n ----

// z = G t for the packed G; the packing's √2 is taken off where it stands.
static void packed_times(const double *packed, size_t d, const double *t, double *z) {
    for (size_t i = 0; i < d; i++) {
        double sum = M_SQRT2 * packed[0] * t[i];
        packed++;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < d - i - 1; j++) {
            sum += packed[j] * t[i + 1 + j];
            z[i + 1 + j] += packed[j] * t[i];
        }
        z[i] += sum;
        packed += d - i - 1;
    }
    for (size_t i = 0; i < d; i++)
        z[i] *= M_SQRT1_2;
}

// z += Σ g_c (g_c · t), four rows at a time while they stay in the cache.
static void rows_times(const gsl_matrix *g, size_t first, size_t columns, const double *t, double *z) {
    const size_t d = g->size2;
    size_t c = 0;
    for (; c + 4 <= columns; c += 4) {
        const double *r0 = g->data + (first + c) * g->tda, *r1 = r0 + g->tda, *r2 = r1 + g->tda,
                     *r3 = r2 + g->tda;
        double w0 = 0, w1 = 0, w2 = 0, w3 = 0;
#pragma omp simd reduction(+ : w0, w1, w2, w3)
        for (size_t j = 0; j < d; j++) {
            w0 += r0[j] * t[j];
            w1 += r1[j] * t[j];
            w2 += r2[j] * t[j];
            w3 += r3[j] * t[j];
        }
        for (size_t j = 0; j < d; j++)
            z[j] += w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j];
    }
    for (; c < columns; c++) {
        const double *row = g->data + (first + c) * g->tda;
        double weight = 0;
#pragma omp simd reduction(+ : weight)
        for (size_t j = 0; j < d; j++)
            weight += row[j] * t[j];
        for (size_t j = 0; j < d; j++)
            z[j] += weight * row[j];
    }
}

fim_status outputs_times(const fim_samples *s, gsl_matrix *t) {
    if (s->chain != NULL)
        return chain_times(s->chain, t);
    if (s->diagonal != NULL) {
        gsl_matrix_mul_elements(t, s->diagonal);
        return FIM_OK;
    }
    gsl_matrix *z = NULL;
    fim_status status = fim_matrix_new(s->n, s->d_g, "a product with the samples", &z);
    if (status != FIM_OK)
        return status;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s->n; n++) {
        const double *t_n = t->data + n * t->tda;
        if (s->packed != NULL)
            packed_times(s->packed->data + n * s->packed->tda, s->d_g, t_n, z->data + n * z->tda);
        else
            rows_times(s->g, n * s->columns, s->columns, t_n, z->data + n * z->tda);
    }
    gsl_matrix_memcpy(t, z);
    gsl_matrix_free(z);
    return FIM_OK;
}

// ---- Packing and Gram matrices ----

void outputs_pack(const fim_samples *s, size_t first, size_t count, gsl_matrix *packed) {
    if (s->g != NULL) {
        rows_pack(s->g, s->columns, first, count, packed);
        return;
    }
    for (size_t r = 0; r < count; r++) {
        double *out = packed->data + r * packed->tda;
        if (s->packed != NULL) {
            memcpy(out, s->packed->data + (first + r) * s->packed->tda, packed->size2 * sizeof *out);
            continue;
        }
        memset(out, 0, packed->size2 * sizeof *out);
        for (size_t j = 0; j < s->d_g; out += s->d_g - j, j++)
            *out = gsl_matrix_get(s->diagonal, first + r, j);
    }
}

// The entries of a band from those of svec, which hold each pair once.
static void packed_band(const double *packed, size_t d, size_t i, size_t height, double *entries) {
    const size_t width = d - i;
    packed += i * d - i * (i - 1) / 2;
    for (size_t k = 0; k < height; packed += width - k, k++) {
        entries[k * width + k] = packed[0];
        for (size_t j = k + 1; j < height; j++)
            entries[k * width + j] = entries[j * width + k] = M_SQRT1_2 * packed[j - k];
        if (height < width)
            memcpy(entries + k * width + height, packed + height - k, (width - height) * sizeof *entries);
    }
}

void outputs_band(const fim_samples *s, size_t first, size_t count, size_t i, size_t height,
                  gsl_matrix *entries) {
    if (s->g != NULL) {
        gsl_matrix_const_view rows =
            gsl_matrix_const_submatrix(s->g, first * s->columns, 0, count * s->columns, s->d_g);
        rows_band(&rows.matrix, s->columns, i, height, entries);
        return;
    }
    for (size_t n = 0; n < count; n++)
        packed_band(s->packed->data + (first + n) * s->packed->tda, s->d_g, i, height,
                    entries->data + n * entries->tda);
}

fim_status outputs_gram(const fim_samples *s, gsl_matrix *gram) {
    if (s->g != NULL)
        return rows_gram(s->g, s->columns, gram);
    gsl_blas_dsyrk(CblasLower, CblasNoTrans, 1, s->packed != NULL ? s->packed : s->diagonal, 0, gram);
    for (size_t n = 0; n < s->n; n++)
        for (size_t m = 0; m < n; m++)
            gsl_matrix_set(gram, m, n, gsl_matrix_get(gram, n, m));
    return FIM_OK;
}
