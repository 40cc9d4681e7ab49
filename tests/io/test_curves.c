// The generator of curves: deterministic, in range, and near the original benchmark in what a network sees.
#include <stdlib.h>

#include "fim/io.h"
#include "support.h"

enum { PIXELS = 784 };

// Entropy of a grey value in nats.
static double entropy(double p) {
    return p > 0 && p < 1 ? -p * log(p) - (1 - p) * log1p(-p) : 0;
}

Test(curves, an_image_depends_on_seed_and_index_alone) {
    gsl_matrix *all = gsl_matrix_alloc(20, PIXELS), *part = gsl_matrix_alloc(5, PIXELS);
    TEST_OK(fim_data_curves(20, 3, 0, all));
    TEST_OK(fim_data_curves(5, 3, 10, part));
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < PIXELS; j++)
            cr_assert(gsl_matrix_get(part, i, j) == gsl_matrix_get(all, 10 + i, j));
    TEST_OK(fim_data_curves(5, 4, 10, part));
    double difference = 0;
    for (size_t j = 0; j < PIXELS; j++)
        difference += fabs(gsl_matrix_get(part, 0, j) - gsl_matrix_get(all, 10, j));
    cr_assert(difference > 1, "another seed gives another image");
    gsl_matrix_free(all);
    gsl_matrix_free(part);
}

Test(curves, pixels_lie_between_zero_and_the_pencil) {
    gsl_matrix *x = gsl_matrix_alloc(500, PIXELS);
    TEST_OK(fim_data_curves(500, 1, 0, x));
    for (size_t r = 0; r < 500; r++) {
        gsl_vector_view image = gsl_matrix_row(x, r);
        double low = gsl_vector_min(&image.vector), high = gsl_vector_max(&image.vector);
        cr_assert(low >= 0 && high <= 0.78, "image %zu lies in [%g, %g]", r, low, high);
        cr_assert(high > 0.5, "image %zu is empty (at most %g)", r, high);
    }
    gsl_matrix_free(x);
}

// The figures that the top of src/io/curves.c states.
Test(curves, lies_near_the_original) {
    size_t n = 16000;
    gsl_matrix *x = gsl_matrix_alloc(n, PIXELS);
    TEST_OK(fim_data_curves(n, 1, 0, x));
    double mean_image = 0, own = 0, ink = 0;
    for (size_t j = 0; j < PIXELS; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) {
            mean += gsl_matrix_get(x, i, j) / (double)n;
            own += entropy(gsl_matrix_get(x, i, j)) / (double)n / PIXELS;
        }
        mean_image += entropy(mean) / PIXELS;
        ink += mean / PIXELS;
    }
    cr_log_info("mean image %.5f, entropy %.5f, intensity %.5f", mean_image, own, ink);
    cr_assert(epsilon_eq(dbl, mean_image, 0.1588, 0.001), "mean image costs %.5f", mean_image);
    cr_assert(own > 0.066 && own < 0.068, "entropy of the targets is %.5f", own);
    gsl_matrix_free(x);
}

Test(curves, wrong_shape) {
    gsl_matrix *x = gsl_matrix_alloc(3, 10);
    TEST_FAILS(fim_data_curves(3, 1, 0, x), FIM_ERR_SHAPE, "(3, 10)");
    gsl_matrix_free(x);
}
