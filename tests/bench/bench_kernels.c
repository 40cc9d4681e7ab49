// The kernels of the fisher room on random samples: rates of those that compute as shares of dgemm at the
// same threads, of those that read packed covariances as shares of a copy's bandwidth, one thread and all;
// then what they cost one thread as the samples and as the width double, beside their flops. With a file name
// as argument the second part goes there as data, which tests/bench/scaling.gp draws.
#include "bench.h"

typedef struct kernel {
    const char *name;
    void (*work)(void *context);
    bool packed; // G_n packed, read from memory; else rows
} kernel;

typedef struct setting {
    size_t n, d_a, d_g, columns;
    fim_samples samples;
    fim_fisher *f;
    gsl_matrix *u, *v, *u_a, *u_g, *lambda, *rs;
    fim_net net;
    fim_data data;
} setting;

static void capture(void *context) {
    setting *s = context;
    fim_samples samples;
    const fim_fisher_spec spec = {.kind = FIM_FISHER_EXACT, .draws = 1};
    const size_t layer = 0;
    must(fim_fisher_capture(&s->net, &s->data, &spec, &layer, 1, SIZE_MAX, NULL, &samples));
    fim_samples_clear(&samples);
}

static void product(void *context) {
    setting *s = context;
    must(fim_fisher_rearranged(s->f, s->v, s->u));
}

static void transposed(void *context) {
    setting *s = context;
    must(fim_fisher_rearranged_transposed(s->f, s->u, s->v));
}

static void gram(void *context) {
    setting *s = context;
    double norm2;
    fim_fisher *fresh; // the Gram matrices of a block are kept
    must(fim_fisher_new(&s->samples, &fresh));
    must(fim_fisher_norm2(fresh, &norm2));
    fim_fisher_free(fresh);
}

static void rescale(void *context) {
    setting *s = context;
    must(fim_fisher_diagonal(s->f, s->u_a, s->u_g, s->lambda));
}

static void assemble(void *context) {
    setting *s = context;
    must(fim_fisher_packed(s->f, s->rs));
}

static const kernel kernels[] = {{"capture of the exact Fisher", capture, false},
                                 {"product with R(F)", product, false},
                                 {"its transpose", transposed, false},
                                 {"Gram matrices", gram, false},
                                 {"EKFAC's diagonal", rescale, false},
                                 {"rearranged block", assemble, false},
                                 {"product with R(F), packed", product, true},
                                 {"its transpose, packed", transposed, true}};
enum { KERNELS = sizeof kernels / sizeof *kernels, COMPUTED = 6 };

static void fill(gsl_matrix *m, uint64_t seed) {
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            gsl_matrix_set(m, i, j, (double)(fim_seed_stream(seed, i * m->size2 + j) >> 11) * 0x1p-53 - 0.5);
}

static void symmetric(size_t d, uint64_t seed, gsl_matrix **out) {
    must(fim_matrix_new(d, d, "a benchmark", out));
    fill(*out, seed);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < i; j++)
            gsl_matrix_set(*out, i, j, gsl_matrix_get(*out, j, i));
}

static void begin(setting *s, size_t n, size_t d_a, size_t d_g, size_t columns, bool packed) {
    *s = (setting){.n = n, .d_a = d_a, .d_g = d_g, .columns = columns};
    s->samples = (fim_samples){.n = n, .d_a = d_a, .d_g = d_g, .columns = packed ? 0 : columns};
    must(fim_matrix_new(n, d_a, "a benchmark", &s->samples.a));
    fill(s->samples.a, 1);
    gsl_matrix **outputs = packed ? &s->samples.packed : &s->samples.g;
    must(fim_matrix_new(packed ? n : n * columns, packed ? fim_svec_size(d_g) : d_g, "a benchmark", outputs));
    fill(*outputs, 2);
    must(fim_fisher_new(&s->samples, &s->f));
    symmetric(d_a, 3, &s->u);
    symmetric(d_g, 4, &s->v);
    symmetric(d_a, 5, &s->u_a);
    symmetric(d_g, 6, &s->u_g);
    must(fim_matrix_new(d_a, d_g, "a benchmark", &s->lambda));
    if (packed)
        return;
    const size_t widths[] = {d_a - 1, d_g, d_g, columns};
    must(fim_net_init(&s->net, FIM_CATEGORICAL, widths, 3, FIM_ACTIVATION_TANH));
    must(fim_net_xavier(&s->net, 0.01, 1));
    must(fim_matrix_new(n, d_a - 1, "a benchmark", &s->data.x));
    fill(s->data.x, 7);
}

static void end(setting *s) {
    gsl_matrix *const all[] = {s->u, s->v, s->u_a, s->u_g, s->lambda, s->rs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gsl_matrix_free(all[i]);
    fim_fisher_free(s->f);
    fim_samples_clear(&s->samples);
    fim_net_clear(&s->net);
    fim_data_clear(&s->data);
}

// The flops of a kernel; symmetric products and forms count half.
static double flops_of(const setting *s, size_t k) {
    const double n = (double)s->n, d_a = (double)s->d_a, d_g = (double)s->d_g, c = (double)s->columns;
    const double p_a = d_a * (d_a + 1) / 2, p_g = d_g * (d_g + 1) / 2;
    const size_t layer = 0;
    fim_capture_plan plan;
    switch (k) {
    case 0:
        must(
            fim_fisher_capture_plan(&s->net, &(fim_fisher_spec){FIM_FISHER_EXACT, 1, 0}, layer, s->n, &plan));
        return plan.flops + 2 * n * (double)fim_net_parameters(&s->net);
    case 1:
    case 2:
        return n * (d_a * d_a + c * d_g * d_g);
    case 3:
        return n * n * (d_a + c * c * d_g);
    case 4:
        return 2 * n * (d_a * d_a + c * d_g * d_g + d_a * d_g);
    default:
        return 2 * n * p_a * p_g;
    }
}

static void need_block(setting *s) {
    if (s->rs == NULL)
        must(fim_matrix_new(fim_svec_size(s->d_a), fim_svec_size(s->d_g), "a benchmark", &s->rs));
}

static void bench_rates(size_t threads) {
    setting rows, packed, block;
    begin(&rows, 512, 785, 1000, 10, false);
    begin(&packed, 256, 501, 1000, 0, true);
    begin(&block, 512, 31, 250, 10, false);
    need_block(&block);
    double alone[KERNELS] = {0};
    for (size_t t = 1; t <= threads; t += threads > 1 ? threads - 1 : 1) {
        double rate, bandwidth;
        char title[96];
        fim_linalg_setup(t);
        must(fim_linalg_rates(&rate, &bandwidth));
        rate = 2e9 / bench_dgemm(1000, 1000, 1000);
        snprintf(title, sizeof title, "%zu threads: dgemm %.1f GF/s, copy %.1f GB/s", t, 1e-9 * rate,
                 1e-9 * bandwidth);
        printf("\n%s\n%-30s %11s %9s %9s %9s\n", title, "", "seconds", "GF/s", "GB/s", "share");
        for (size_t k = 0; k < KERNELS; k++) {
            setting *s = kernels[k].packed ? &packed : k == COMPUTED - 1 ? &block : &rows;
            const double seconds = bench_time(kernels[k].work, s);
            const double flops = kernels[k].packed ? 0 : flops_of(s, k);
            const double bytes = kernels[k].packed ? 8.0 * (double)s->n * (double)fim_svec_size(s->d_g) : 0;
            printf("%-30s %11.6f %9.1f %9.1f %8.0f %%", kernels[k].name, seconds, 1e-9 * flops / seconds,
                   1e-9 * bytes / seconds,
                   100 * (kernels[k].packed ? bytes / seconds / bandwidth : flops / seconds / rate));
            if (t == 1)
                alone[k] = seconds;
            else
                printf("  %.2f x one thread", alone[k] / seconds);
            printf("\n");
        }
    }
    end(&rows);
    end(&packed);
    end(&block);
}

// One kernel along one size: the seconds, and what the flops make of those of the first.
static void bench_course(FILE *out, size_t k, bool width) {
    static const size_t samples[] = {64, 128, 256, 512, 1024}, widths[] = {32, 64, 128, 256, 512};
    enum { SIZES = sizeof samples / sizeof *samples };
    double first = 0, first_flops = 0;
    fprintf(out, "# as the %s double\n\"%s\"\n", width ? "widths" : "samples", kernels[k].name);
    for (size_t i = 0; i < SIZES; i++) {
        setting s;
        const size_t d = width ? widths[i] : 128, n = width ? 256 : samples[i];
        begin(&s, n, k == COMPUTED - 1 ? 17 : d, d, 4, false);
        if (k == COMPUTED - 1)
            need_block(&s);
        const double seconds = bench_time(kernels[k].work, &s), flops = flops_of(&s, k);
        first = i == 0 ? seconds : first;
        first_flops = i == 0 ? flops : first_flops;
        fprintf(out, "%zu %.4e %.4e\n", width ? d : n, seconds, first * flops / first_flops);
        end(&s);
    }
    fprintf(out, "\n\n");
}

int main(int argc, char **argv) {
    fim_linalg_setup(0);
    bench_machine();
    bench_rates(fim_linalg_threads());
    FILE *out = argc > 1 ? fopen(argv[1], "w") : stdout;
    if (out == NULL) {
        fprintf(stderr, "benchmark: cannot write %s\n", argv[1]);
        return 1;
    }
    fim_linalg_setup(1); // the small sizes would show what it costs to wake the others
    fprintf(out, "\n# size, seconds, seconds of the first size times the growth of the flops\n");
    for (size_t width = 0; width < 2; width++)
        for (size_t k = 0; k < COMPUTED; k++)
            bench_course(out, k, width);
    return argc > 1 && fclose(out) != 0;
}
