// Block assembly, capture, approximations, errors and spectra of the paper's layers: 51 × 25 of the CURVES
// auto-encoder and 31 × 250 of the MNIST one, N = 512, on random networks at generated curves. Ratios are to
// a dgemm of the same flops (1000 × 1000) unless the line says otherwise. With the argument "spectra", dense
// eigensolvers of sums of two terms too.
#include "bench.h"

typedef struct setting {
    fim_net net;
    fim_data data;
    fim_fisher_spec spec;
    size_t layer;
    fim_samples samples;
    fim_fisher *f;
    fim_reference *reference;
    gsl_matrix *dense, *rows, *scratch;
    const fim_method *method;
    fim_op *op;
    const fim_metric *metric;
} setting;

enum { N = 512 };

static void capture(void *context) {
    setting *s = context;
    fim_samples_clear(&s->samples);
    must(fim_fisher_capture(&s->net, &s->data, &s->spec, &s->layer, 1, SIZE_MAX, NULL, &s->samples));
}

static void assemble(void *context) {
    setting *s = context;
    must(fim_fisher_dense(s->f, s->dense));
}

static void fill(void *context) {
    setting *s = context;
    memset(s->dense->data, 1, s->dense->size1 * s->dense->tda * sizeof(double));
}

// The other way to the block: the rows a_n ⊗ g_nc as a matrix, and its Gram matrix.
static void assemble_rows(void *context) {
    setting *s = context;
    const fim_samples *x = &s->samples;
    for (size_t r = 0; r < x->g->size1; r++)
        for (size_t i = 0; i < x->d_a; i++)
            for (size_t j = 0; j < x->d_g; j++)
                s->rows->data[r * s->rows->tda + i * x->d_g + j] =
                    gsl_matrix_get(x->a, r / x->columns, i) * gsl_matrix_get(x->g, r, j);
    gsl_blas_dsyrk(CblasUpper, CblasTrans, 1.0 / (double)x->n, s->rows, 0, s->dense);
}

static void build(void *context) {
    setting *s = context;
    fim_op_free(s->op);
    fim_approx_info info;
    const fim_approx_options options = {.seed = 1};
    must(fim_approx_build(s->method, s->f, &options, &s->op, &info));
}

static void measure(void *context) {
    setting *s = context;
    fim_candidate *candidate;
    double value;
    char route[200];
    must(fim_candidate_new(s->reference, s->op, &candidate));
    must(s->metric->evaluate(candidate, &value, route));
    fim_candidate_free(candidate);
}

// The other way to the Frobenius error: the dense approximation taken off the dense block.
static void measure_dense(void *context) {
    setting *s = context;
    must(fim_op_dense(s->op, s->scratch));
    gsl_matrix_sub(s->scratch, s->dense);
    volatile double norm = cblas_dnrm2((int)(s->scratch->size1 * s->scratch->size2), s->scratch->data, 1);
    (void)norm;
}

static void eigenvalues(void *context) {
    gsl_vector *values;
    char route[200];
    must(fim_fisher_eigenvalues(((setting *)context)->f, SIZE_MAX, &values, route));
    gsl_vector_free(values);
}

static void eigenvalues_dense(void *context) {
    setting *s = context;
    gsl_vector *values;
    must(fim_vector_new(s->dense->size1, "a benchmark", &values));
    assemble(s);
    must(fim_eigenvalues(s->dense, values));
    gsl_vector_free(values);
}

static void kronecker_values(void *context) {
    gsl_vector *values;
    char route[200];
    must(fim_fisher_kronecker_values(((setting *)context)->f, SIZE_MAX, &values, route));
    gsl_vector_free(values);
}

static void op_eigenvalues(void *context) {
    setting *s = context;
    gsl_vector *values;
    char route[200];
    must(fim_vector_new(s->dense->size1, "a benchmark", &values));
    must(fim_op_eigenvalues(s->op, SIZE_MAX, values, route));
    gsl_vector_free(values);
}

static void bench_approximations(setting *s, double rate, bool spectra) {
    const size_t d_a = s->samples.d_a, d_g = s->samples.d_g;
    const double product = 2.0 * N * ((double)(d_a * d_a) + (double)(d_g * d_g)); // one column a sample
    fim_method *methods;
    const fim_metric **metrics;
    size_t n_methods, n_metrics;
    must(fim_method_parse_list("all", &methods, &n_methods));
    must(fim_metric_parse_list("frobenius_error,spectral_norm_error", &metrics, &n_metrics));
    assemble(s);
    must(fim_matrix_new(d_a * d_g, d_a * d_g, "a benchmark", &s->scratch));
    must(fim_reference_new(s->f, NULL, SIZE_MAX, 1, &s->reference));
    for (size_t i = 0; i < n_methods; i++) {
        char what[96];
        s->method = &methods[i];
        const double seconds = bench_time(build, s);
        fim_op *op;
        fim_approx_info info;
        must(fim_approx_build(s->method, s->f, &(fim_approx_options){.seed = 1}, &op, &info));
        fim_op_free(op);
        snprintf(what, sizeof what, "%s%s", methods[i].name, info.iterative ? "" : ": build");
        if (info.iterative)
            snprintf(what, sizeof what, "%s: build, %zu products", methods[i].name, info.products);
        bench_line(what, seconds, info.iterative ? (double)info.products * product : 0, rate, 0, "");
        const double dense = bench_time(measure_dense, s);
        for (size_t m = 0; m < n_metrics; m++) {
            s->metric = metrics[m];
            snprintf(what, sizeof what, "  %s", metrics[m]->name);
            bench_line(what, bench_time(measure, s), 0, 0, m == 0 ? dense : 0, "the dense residual");
        }
        if (spectra || d_a * d_g < 2000)
            bench_line("  eigenvalues", bench_time(op_eigenvalues, s), 0, 0, 0, "");
    }
    fim_reference_free(s->reference);
    gsl_matrix_free(s->scratch);
    free(methods);
    free(metrics);
}

static void bench_layer(const char *preset, size_t layer, double rate, bool spectra) {
    setting s = {.layer = layer, .spec = {.kind = FIM_FISHER_EXACT, .draws = 1, .seed = 1}};
    fim_net_spec net;
    must(fim_net_spec_parse(preset, &net));
    must(fim_net_init(&s.net, net.likelihood, net.widths, net.n_layers, FIM_ACTIVATION_RELU));
    must(fim_net_xavier(&s.net, 0.01, 1));
    must(fim_matrix_new(N, net.widths[0], "a benchmark", &s.data.x));
    must(fim_data_curves(N, 1, 0, s.data.x));
    const size_t d_a = fim_layer_d_a(&s.net.layers[layer]), d_g = fim_layer_d_g(&s.net.layers[layer]),
                 d = d_a * d_g;
    char title[96];
    snprintf(title, sizeof title, "%s, layer %zu: %zu x %zu, D = %zu, N = %d", preset, layer, d_a, d_g, d, N);
    bench_head(title);

    double above = 0; // multiply-adds a column takes from the logits down to the layer
    for (size_t l = layer + 1; l < s.net.n_layers; l++)
        above += (double)fim_layer_d_g(&s.net.layers[l]) * (double)fim_layer_inputs(&s.net.layers[l]);
    const double columns = (double)(d_g < net.widths[net.n_layers] ? d_g : net.widths[net.n_layers]);
    const double forward = 2.0 * N * (double)fim_net_parameters(&s.net);
    bench_line("capture, exact", bench_time(capture, &s), forward + 2.0 * N * columns * above, rate, 0, "");
    s.spec.kind = FIM_FISHER_MC;
    bench_line("capture, mc:1", bench_time(capture, &s), forward + 2.0 * N * above, rate, 0, "");

    must(fim_fisher_new(&s.samples, &s.f));
    must(fim_matrix_new(d, d, "a benchmark", &s.dense));
    must(fim_matrix_new(N, d, "a benchmark", &s.rows));
    const size_t p_a = fim_svec_size(d_a), p_g = fim_svec_size(d_g);
    const double product = bench_dgemm(p_a, p_g, N), write = bench_time(fill, &s);
    const double flops = 2.0 * N * (double)p_a * (double)p_g;
    const double block = bench_time(assemble, &s);
    bench_line("block, by the rearrangement", block, flops, flops / product, bench_time(assemble_rows, &s),
               "dsyrk of the rows");
    printf("%-44s %11.6f = 3 x its dgemm (%.6f) + writing it (%.6f): %s\n", "  bound", 3 * product + write,
           product, write, block <= 3 * product + write ? "kept" : "MISSED");
    const double dense = spectra || d < 2000 ? bench_time(eigenvalues_dense, &s) : 0;
    bench_line("eigenvalues of F", bench_time(eigenvalues, &s), 0, 0, dense, "dense eigensolver");
    bench_line("Kronecker spectrum", bench_time(kronecker_values, &s), flops, rate, 0, "");
    bench_approximations(&s, rate, spectra);

    fim_op_free(s.op);
    gsl_matrix_free(s.dense);
    gsl_matrix_free(s.rows);
    fim_fisher_free(s.f);
    fim_samples_clear(&s.samples);
    fim_data_clear(&s.data);
    fim_net_clear(&s.net);
}

int main(int argc, char **argv) {
    const bool spectra = argc > 1 && strcmp(argv[1], "spectra") == 0;
    fim_linalg_setup(0);
    bench_machine();
    const double seconds = bench_dgemm(1000, 1000, 1000), rate = 2e9 / seconds;
    printf("dgemm 1000 x 1000 x 1000: %.4f s, %.1f GF/s\n", seconds, 1e-9 * rate);
    bench_layer("curves", 4, rate, spectra);
    bench_layer("mnist", 4, rate, spectra);
    return 0;
}
