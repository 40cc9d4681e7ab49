// The network and Fisher rooms against PyTorch: forward, loss, gradient, the output factor carried back to
// every layer, and the blocks, exact and empirical. And PyTorch's block against finite differences of
// log p(y|x), so that the reference itself is checked by something that differentiates nothing.
#include <gsl/gsl_blas.h>

#include "fim/fisher.h"
#include "fim/io.h"
#include "support.h"
#include "tensors.h"

static const char *const names[] = {"classifier", "autoencoder", "regression"};
enum { NAMES = sizeof names / sizeof *names };

typedef struct reference {
    hid_t file;
    fim_net net;
    fim_data data;
    fim_trace trace; // after the forward pass on all data
} reference;

static reference reference_open(const char *name) {
    reference r = {0};
    char path[1024];
    // First the reader, which locks the file in its own way.
    TEST_OK(fim_checkpoint_read(tensors_path(name, path), SIZE_MAX, &r.net));
    r.file = tensors_open(name);
    r.data = tensors_data(r.file);
    TEST_OK(fim_likelihood_check(r.net.likelihood, &r.data, fim_net_outputs(&r.net)));
    TEST_OK(fim_trace_init(&r.trace, &r.net, r.data.x->size1));
    TEST_OK(fim_net_forward(&r.net, r.data.x, &r.trace));
    return r;
}

static void reference_close(reference *r) {
    fim_trace_clear(&r->trace);
    fim_data_clear(&r->data);
    fim_net_clear(&r->net);
    H5Fclose(r->file);
}

// `got` is the tensor of that name within 1e-10 of its largest entry.
static void compare(const reference *r, const char *name, size_t l, const char *tensor,
                    const gsl_matrix *got) {
    gsl_matrix *want = tensors_layer(r->file, l, tensor);
    double low, high;
    gsl_matrix_minmax(want, &low, &high);
    double scale = fmax(fabs(low), fabs(high)), distance = test_max_difference(got, want);
    cr_assert(scale > 0 && distance <= 1e-10 * scale, "%s, layer %zu: %s is %g off", name, l, tensor,
              distance);
    gsl_matrix_free(want);
}

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(reference, .init = setup);

Test(reference, forward_agrees_with_pytorch) {
    for (size_t k = 0; k < NAMES; k++) {
        reference r = reference_open(names[k]);
        for (size_t l = 0; l < r.net.n_layers; l++) {
            compare(&r, names[k], l, "a", r.trace.a[l]);
            compare(&r, names[k], l, "s", r.trace.s[l]);
        }
        reference_close(&r);
    }
}

Test(reference, loss_and_gradient_agree_with_pytorch) {
    for (size_t k = 0; k < NAMES; k++) {
        reference r = reference_open(names[k]);
        gsl_matrix *grads[8] = {NULL};
        double loss;
        for (size_t l = 0; l < r.net.n_layers; l++)
            grads[l] = gsl_matrix_alloc(r.net.layers[l].w->size1, r.net.layers[l].w->size2);
        TEST_OK(fim_net_gradient(&r.net, &r.trace, &r.data, 0, grads, &loss));
        cr_assert(epsilon_eq(dbl, loss, tensors_loss(r.file), 1e-12), "%s", names[k]);
        for (size_t l = 0; l < r.net.n_layers; l++) {
            compare(&r, names[k], l, "gradient", grads[l]);
            gsl_matrix_free(grads[l]);
        }
        reference_close(&r);
    }
}

// signals (N·C, C): row n·C + c is column c of the output factor B_n.
static gsl_matrix *output_factors(const reference *r) {
    const gsl_matrix *z = r->trace.s[r->net.n_layers - 1];
    gsl_matrix *signals = gsl_matrix_calloc(z->size1 * z->size2, z->size2);
    for (size_t n = 0; n < z->size1; n++) {
        gsl_matrix_view block = gsl_matrix_submatrix(signals, n * z->size2, 0, z->size2, z->size2);
        gsl_matrix_set_identity(&block.matrix);
        TEST_OK(fim_likelihood_factor(r->net.likelihood, gsl_matrix_const_ptr(z, n, 0), &block.matrix));
    }
    return signals;
}

Test(reference, pulled_output_factors_give_the_covariances_of_pytorch) {
    for (size_t k = 0; k < NAMES; k++) {
        reference r = reference_open(names[k]);
        size_t n = r.data.x->size1, c = fim_net_outputs(&r.net), last = r.net.n_layers - 1;
        gsl_matrix *signals = output_factors(&r);
        for (size_t l = 0; l < r.net.n_layers; l++) {
            size_t d_g = fim_layer_d_g(&r.net.layers[l]);
            gsl_matrix *g = gsl_matrix_alloc(n * c, d_g), *covariance = gsl_matrix_alloc(n * d_g, d_g);
            TEST_OK(fim_net_pull(&r.net, &r.trace, last, l, c, signals, g));
            for (size_t i = 0; i < n; i++) {
                gsl_matrix_view rows = gsl_matrix_submatrix(g, i * c, 0, c, d_g);
                gsl_matrix_view block = gsl_matrix_submatrix(covariance, i * d_g, 0, d_g, d_g);
                gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, &rows.matrix, &rows.matrix, 0, &block.matrix);
            }
            compare(&r, names[k], l, "G", covariance);
            gsl_matrix_free(g);
            gsl_matrix_free(covariance);
        }
        gsl_matrix_free(signals);
        reference_close(&r);
    }
}

Test(reference, captured_blocks_are_those_of_pytorch) {
    static const struct {
        const char *tensor;
        fim_fisher_spec spec;
    } kinds[] = {{"fisher", {.kind = FIM_FISHER_EXACT}}, {"empirical", {.kind = FIM_FISHER_EMPIRICAL}}};
    for (size_t k = 0; k < NAMES; k++)
        for (size_t i = 0; i < 2; i++) {
            reference r = reference_open(names[k]);
            size_t layers[8];
            fim_samples samples[8];
            for (size_t l = 0; l < r.net.n_layers; l++)
                layers[l] = l;
            TEST_OK(fim_fisher_capture(&r.net, &r.data, &kinds[i].spec, layers, r.net.n_layers, SIZE_MAX,
                                       NULL, samples));
            for (size_t l = 0; l < r.net.n_layers; l++) {
                const size_t d = samples[l].d_a * samples[l].d_g;
                fim_fisher *f = NULL;
                gsl_matrix *block = gsl_matrix_alloc(d, d);
                TEST_OK(fim_fisher_new(&samples[l], &f));
                TEST_OK(fim_fisher_dense(f, block));
                compare(&r, names[k], l, "a", samples[l].a);
                compare(&r, names[k], l, kinds[i].tensor, block);
                gsl_matrix_free(block);
                fim_fisher_free(f);
                fim_samples_clear(&samples[l]);
            }
            reference_close(&r);
        }
}

// −log p(c | x) of every sample and class at the present weights: out[n·classes + c].
static void all_losses(reference *r, size_t classes, double *out) {
    size_t n = r->data.x->size1;
    double loss[64];
    TEST_OK(fim_net_forward(&r->net, r->data.x, &r->trace));
    for (uint32_t c = 0; c < classes; c++) {
        for (size_t i = 0; i < n; i++)
            r->data.labels[i] = c;
        fim_likelihood_loss(FIM_CATEGORICAL, r->trace.s[r->net.n_layers - 1], &r->data, 0, loss);
        for (size_t i = 0; i < n; i++)
            out[i * classes + c] = loss[i];
    }
}

Test(reference, block_of_pytorch_is_that_of_finite_differences) {
    enum { ROWS = 60 }; // 20 samples of 3 classes
    reference r = reference_open("classifier");
    size_t classes = fim_net_outputs(&r.net), n = r.data.x->size1;
    cr_assert(n * classes == ROWS);
    double here[ROWS], above[ROWS], below[ROWS], h = 1e-5;
    for (size_t l = 0; l < r.net.n_layers; l++) {
        gsl_matrix *w = r.net.layers[l].w;
        size_t d_g = w->size1, d_a = w->size2;
        gsl_matrix *gradients = gsl_matrix_alloc(ROWS, d_a * d_g),
                   *block = gsl_matrix_alloc(d_a * d_g, d_a * d_g);
        all_losses(&r, classes, here);
        for (size_t i = 0; i < d_a; i++)
            for (size_t j = 0; j < d_g; j++) {
                double centre = gsl_matrix_get(w, j, i);
                gsl_matrix_set(w, j, i, centre + h);
                all_losses(&r, classes, above);
                gsl_matrix_set(w, j, i, centre - h);
                all_losses(&r, classes, below);
                gsl_matrix_set(w, j, i, centre);
                // Weighted by √(p/N), so that the product below is the block.
                for (size_t k = 0; k < ROWS; k++)
                    gsl_matrix_set(gradients, k, i * d_g + j,
                                   (above[k] - below[k]) / (2 * h) * sqrt(exp(-here[k]) / (double)n));
            }
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, gradients, gradients, 0, block);
        gsl_matrix *want = tensors_layer(r.file, l, "fisher");
        // Central differences at h = 1e-5: 1e-10 of truncation and of rounding.
        cr_assert(epsilon_eq(dbl, test_max_difference(block, want), 0, 1e-9), "layer %zu", l);
        gsl_matrix_free(gradients);
        gsl_matrix_free(block);
        gsl_matrix_free(want);
    }
    reference_close(&r);
}

// ---- Captures: samples that PyTorch found, by notebooks/capture_pytorch.py ----

// The sum over samples and columns of (a aᵀ) ⊗ (g gᵀ), by plain loops: (D, D), parameter (i, j) at i·d_g + j.
static gsl_matrix *plain_block(const fim_samples *s) {
    const size_t d = s->d_a * s->d_g;
    gsl_matrix *f = gsl_matrix_calloc(d, d);
    for (size_t n = 0; n < s->n; n++)
        for (size_t c = 0; c < s->columns; c++)
            for (size_t i = 0; i < d; i++)
                for (size_t k = 0; k < d; k++)
                    *gsl_matrix_ptr(f, i, k) += gsl_matrix_get(s->a, n, i / s->d_g) *
                                                gsl_matrix_get(s->g, n * s->columns + c, i % s->d_g) *
                                                gsl_matrix_get(s->a, n, k / s->d_g) *
                                                gsl_matrix_get(s->g, n * s->columns + c, k % s->d_g) /
                                                (double)s->n;
    return f;
}

// The captured network is the reference's: its blocks are PyTorch's own sum over all outcomes, and what
// fim_fisher_capture finds.
static void compare_capture(const char *network, const char *file, const char *tensor,
                            const fim_fisher_spec *spec) {
    char path[1024];
    fim_blocks_about *layers = NULL;
    size_t count = 0;
    reference r = reference_open(network);
    snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), file);
    TEST_OK(fim_blocks_list(path, &layers, &count));
    cr_assert(eq(sz, count, r.net.n_layers));
    for (size_t l = 0; l < count; l++) {
        fim_blocks_layer layer;
        fim_samples own;
        fim_fisher *theirs_f = NULL, *own_f = NULL;
        TEST_OK(fim_blocks_read(path, layers[l].name, true, SIZE_MAX / 4, &layer));
        gsl_matrix *block = plain_block(&layer.samples);
        compare(&r, network, l, "a", layer.samples.a);
        compare(&r, network, l, tensor, block);
        TEST_OK(fim_fisher_capture(&r.net, &r.data, spec, &l, 1, SIZE_MAX, NULL, &own));
        TEST_OK(fim_fisher_new(&layer.samples, &theirs_f));
        TEST_OK(fim_fisher_new(&own, &own_f));
        gsl_matrix *dense[2] = {gsl_matrix_alloc(block->size1, block->size1),
                                gsl_matrix_alloc(block->size1, block->size1)};
        TEST_OK(fim_fisher_dense(theirs_f, dense[0]));
        TEST_OK(fim_fisher_dense(own_f, dense[1]));
        double low, high, distance = test_max_difference(dense[0], dense[1]);
        gsl_matrix_minmax(dense[1], &low, &high);
        cr_assert(distance <= 1e-10 * fmax(fabs(low), fabs(high)), "%s, layer %zu: %g off our own capture",
                  file, l, distance);
        for (size_t i = 0; i < 2; i++)
            gsl_matrix_free(dense[i]);
        gsl_matrix_free(block);
        fim_fisher_free(theirs_f);
        fim_fisher_free(own_f);
        fim_samples_clear(&own);
        fim_blocks_layer_clear(&layer);
    }
    free(layers);
    reference_close(&r);
}

Test(reference, a_capture_by_pytorch_is_ours) {
    const fim_fisher_spec exact = {FIM_FISHER_EXACT, 0, 1}, empirical = {FIM_FISHER_EMPIRICAL, 0, 1};
    compare_capture("classifier", "capture-classifier.h5", "fisher", &exact);
    compare_capture("autoencoder", "capture-autoencoder.h5", "fisher", &exact);
    compare_capture("regression", "capture-regression.h5", "fisher", &exact);
    compare_capture("classifier", "capture-empirical.h5", "empirical", &empirical); // an averaged loss
}
