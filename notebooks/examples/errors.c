// Every layer's exact Fisher block against KFAC, the best Kronecker product, and an approximation of one's own:
// F ~ (tr G / d_g) A x I, which forgets the outputs. With the library installed:
//
//     cc errors.c $(pkg-config --cflags --libs fim) -o errors
//     ./errors checkpoint.h5 data.h5
#include <fim/fim.h>
#include <stdio.h>
#include <stdlib.h>

enum { METHODS = 3 };
static const size_t budget = (size_t)1 << 30; // bytes

// A and G of the samples' moments, G replaced by the multiple of the identity of its trace.
static fim_status build_own(const fim_fisher *f, fim_op **out) {
    gsl_matrix *a = gsl_matrix_calloc(fim_fisher_d_a(f), fim_fisher_d_a(f));
    gsl_matrix *g = gsl_matrix_calloc(fim_fisher_d_g(f), fim_fisher_d_g(f));
    double trace = 0;
    fim_status status = fim_fisher_moments(f, a, g);
    if (status != FIM_OK) {
        gsl_matrix_free(a);
        gsl_matrix_free(g);
        return status;
    }
    for (size_t i = 0; i < g->size1; i++)
        trace += gsl_matrix_get(g, i, i);
    gsl_matrix_set_identity(g);
    gsl_matrix_scale(g, trace / (double)g->size1);
    return fim_op_new_kronecker(1, &a, &g, out); // the operator owns them now
}

static fim_status build(size_t which, const fim_fisher *f, fim_op **out) {
    fim_method method;
    fim_approx_info info;
    const fim_approx_options options = {.seed = 1}; // the rest by default
    if (which == METHODS - 1)
        return build_own(f, out);
    fim_status status = fim_method_parse(which == 0 ? "kfac" : "kpsvd", &method);
    return status == FIM_OK ? fim_approx_build(&method, f, &options, out, &info) : status;
}

static fim_status analyze(const fim_net *net, const fim_data *data, size_t layer) {
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
    const fim_metric **error = NULL;
    fim_samples samples = {0};
    fim_fisher *f = NULL;
    fim_reference *reference = NULL;
    fim_op *op = NULL;
    fim_candidate *candidate = NULL;
    char route[200];
    size_t count;
    fim_status status = FIM_OK;
    FIM_TRY(fim_metric_parse_list("frobenius_error", &error, &count));
    FIM_TRY(fim_fisher_capture(net, data, &exact, &layer, 1, budget, NULL, &samples));
    FIM_TRY(fim_fisher_new(&samples, &f));
    FIM_TRY(fim_reference_new(f, NULL, budget, 1, &reference));
    printf("%5zu", layer);
    for (size_t m = 0; m < METHODS; m++) {
        double value;
        FIM_TRY(build(m, f, &op));
        FIM_TRY(fim_candidate_new(reference, op, &candidate));
        FIM_TRY(error[0]->evaluate(candidate, &value, route));
        printf(" %12.6g", value);
        fim_candidate_free(candidate);
        candidate = NULL;
        fim_op_free(op);
        op = NULL;
    }
    putchar('\n');
out:
    fim_candidate_free(candidate);
    fim_op_free(op);
    fim_reference_free(reference);
    fim_fisher_free(f);
    fim_samples_clear(&samples);
    free(error);
    return status;
}

int main(int argc, char **argv) {
    fim_net net = {0};
    fim_data data = {0};
    fim_status status = FIM_OK;
    if (argc != 3) {
        fprintf(stderr, "Usage: errors CHECKPOINT DATA\n");
        return 2;
    }
    fim_linalg_setup(0); // all cores; errors of GSL and HDF5 become statuses
    fim_io_setup();
    FIM_TRY(fim_checkpoint_read(argv[1], budget, &net));
    FIM_TRY(fim_data_read(argv[2], NULL, budget, &data));
    printf("layer %12s %12s %12s\n", "kfac", "kpsvd", "A x I");
    for (size_t layer = 0; layer < net.n_layers; layer++)
        FIM_TRY(analyze(&net, &data, layer));
out:
    if (status != FIM_OK)
        fprintf(stderr, "errors: %s\n", fim_message());
    fim_data_clear(&data);
    fim_net_clear(&net);
    return status == FIM_OK ? 0 : 1;
}
