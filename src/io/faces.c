// The built-in data set: as many grey patches of 25 × 25 pixels as are wanted, from a few pictures of faces.
//
// The FACES benchmark is 25 × 25 patches of the Olivetti faces, 103500 of which train and validate the
// auto-encoder of Koroko et al. (arXiv 2201.10285) after Hinton & Salakhutdinov (Science 313, 2006); the file
// is not free to spread. This is a stand-in for whoever does not have it: every patch is one of the pictures
// mirrored or not, turned by up to 15 degrees, scaled by 0.9 to 1.1 and shifted by up to 2 pixels (bilinear
// between pixels, the border pixels repeated beyond the border), with contrast times 0.8 to 1.2 and
// brightness up to 0.2 standard deviations off. All pictures together are centred and scaled to variance one
// first, as the benchmark is. Few faces, many views: easier than the original, and to be called what it is.
#include <math.h>

#include "fim/io.h"

static const double most_turn = 15 * M_PI / 180, most_scale = 0.1, most_shift = 2, most_contrast = 0.2,
                    most_brightness = 0.2;

// Uniform in [-1, 1], number `i` of a patch.
static double uniform(uint64_t seed, size_t i) {
    return 2 * 0x1p-53 * (double)(fim_seed_stream(seed, i) >> 11) - 1;
}

static double clamp(double x, double high) {
    return fmin(fmax(x, 0), high);
}

// The picture (side, side) between its pixels.
static double between(const double *picture, size_t side, double row, double column) {
    row = clamp(row, (double)side - 1);
    column = clamp(column, (double)side - 1);
    const size_t r = (size_t)fmin(floor(row), (double)side - 2),
                 c = (size_t)fmin(floor(column), (double)side - 2);
    const double v = row - (double)r, u = column - (double)c;
    const double *p = picture + r * side + c;
    return (1 - v) * ((1 - u) * p[0] + u * p[1]) + v * ((1 - u) * p[side] + u * p[side + 1]);
}

// What makes all pixels have mean 0 and variance 1.
static void standardize(const gsl_matrix *pictures, double *mean, double *scale) {
    const size_t n = pictures->size1, d = pictures->size2;
    double sum = 0, squares = 0;
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < d; j++)
            sum += gsl_matrix_get(pictures, r, j);
    *mean = sum / (double)(n * d);
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < d; j++)
            squares += pow(gsl_matrix_get(pictures, r, j) - *mean, 2);
    *scale = squares > 0 ? sqrt((double)(n * d) / squares) : 1;
}

fim_status fim_data_faces(size_t n, uint64_t seed, size_t first, const gsl_matrix *pictures, gsl_matrix *x) {
    const size_t d = pictures->size2, side = (size_t)lround(sqrt((double)d));
    double mean, scale;
    if (side * side != d || side < 2 || pictures->size1 == 0)
        return FIM_FAIL(FIM_ERR_SHAPE, "faces: the pictures are (%zu, %zu), expected square ones",
                        pictures->size1, d);
    if (x->size1 != n || x->size2 != d)
        return FIM_FAIL(FIM_ERR_SHAPE, "faces: the matrix is (%zu, %zu), expected (%zu, %zu)", x->size1,
                        x->size2, n, d);
    standardize(pictures, &mean, &scale);
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < n; r++) {
        const uint64_t own = fim_seed_stream(seed, first + r);
        const double *picture = gsl_matrix_const_ptr(pictures, fim_seed_stream(own, 0) % pictures->size1, 0);
        const double turn = most_turn * uniform(own, 1), size = 1 + most_scale * uniform(own, 2);
        const double down = most_shift * uniform(own, 3), right = most_shift * uniform(own, 4);
        const double contrast = scale * (1 + most_contrast * uniform(own, 5));
        const double brightness = most_brightness * uniform(own, 6), mirror = uniform(own, 7) < 0 ? -1 : 1;
        const double middle = 0.5 * ((double)side - 1), c = cos(turn) / size, s = sin(turn) / size;
        for (size_t i = 0; i < side; i++)
            for (size_t j = 0; j < side; j++) {
                const double v = (double)i - middle, u = mirror * ((double)j - middle);
                const double value =
                    between(picture, side, middle + down + c * v - s * u, middle + right + s * v + c * u);
                gsl_matrix_set(x, r, i * side + j, contrast * (value - mean) + brightness);
            }
    }
    return FIM_OK;
}
