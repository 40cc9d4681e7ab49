// The built-in data set: grey images of smooth curves, after the CURVES benchmark.
//
// Hinton & Salakhutdinov (Science 313, 2006) describe theirs as synthetic images of curves that were
// generated from three randomly chosen points in two dimensions: 28 × 28 pixels of intensities in [0, 1], of
// intrinsic dimension six, the pixels being highly nonlinear in the six numbers. Their generator was not
// published; the data served Martens (2010) and later work on second-order methods. This is our own: three
// points uniform in the square inside a margin of 4 pixels, the parabola that passes them at the times 0, 1/2
// and 1, and a pencil that leaves 0.78·exp(−d²/2w²), w = 0.84 pixels, at distance d from the curve.
//
// What is known of the original is how networks fare on it, and the pencil was chosen for that. The
// cross-entropy per output of predicting the mean image, in nats, is .1588 (where training on the original
// rests before the code layer learns anything), and the entropy of the targets, which no prediction gets
// below, must lie under .0705 (where the best optimizers end). Measured on 16000 images of ours, seed 1: mean
// image .1588, entropy .0670, mean intensity .0475; test_curves.c holds these.
#include <math.h>

#include "fim/io.h"

enum { SIDE = 28, POINTS = 49 };

static const double margin = 4, strength = 0.78, width = 0.84;
static const double reach = 5 * 0.84; // beyond, the pencil leaves less than 4e-6

typedef struct point {
    double x, y;
} point;

static point mix(double a, point p, double b, point q, double c, point r) {
    return (point){a * p.x + b * q.x + c * r.x, a * p.y + b * q.y + c * r.y};
}

// The parabola that is at p[0], p[1] and p[2] at the times 0, 1/2 and 1, as a polygon.
static void parabola(const point p[3], point polygon[POINTS]) {
    for (int i = 0; i < POINTS; i++) {
        double t = (double)i / (POINTS - 1);
        polygon[i] = mix((2 * t - 1) * (t - 1), p[0], 4 * t * (1 - t), p[1], t * (2 * t - 1), p[2]);
    }
}

// The least squared distance of every pixel's centre to the segment from p to q, where it is within reach.
static void approach(point p, point q, double nearest[SIDE * SIDE]) {
    point v = {q.x - p.x, q.y - p.y};
    double length2 = v.x * v.x + v.y * v.y;
    int x0 = (int)fmax(0, floor(fmin(p.x, q.x) - reach)), x1 = (int)fmin(SIDE, ceil(fmax(p.x, q.x) + reach));
    int y0 = (int)fmax(0, floor(fmin(p.y, q.y) - reach)), y1 = (int)fmin(SIDE, ceil(fmax(p.y, q.y) + reach));
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1; x++) {
            point w = {x + 0.5 - p.x, y + 0.5 - p.y};
            double t = length2 > 0 ? fmin(1, fmax(0, (w.x * v.x + w.y * v.y) / length2)) : 0;
            double dx = w.x - t * v.x, dy = w.y - t * v.y;
            nearest[y * SIDE + x] = fmin(nearest[y * SIDE + x], dx * dx + dy * dy);
        }
    }
}

static void draw(uint64_t seed, double *pixels) {
    point p[3], polygon[POINTS];
    double u[6], nearest[SIDE * SIDE];
    for (size_t i = 0; i < 6; i++)
        u[i] = margin + (SIDE - 2 * margin) * 0x1p-53 * (double)(fim_seed_stream(seed, i) >> 11);
    for (size_t i = 0; i < 3; i++)
        p[i] = (point){u[2 * i], u[2 * i + 1]};
    parabola(p, polygon);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        nearest[i] = INFINITY;
    for (size_t i = 0; i + 1 < POINTS; i++)
        approach(polygon[i], polygon[i + 1], nearest);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        pixels[i] = nearest[i] < reach * reach ? strength * exp(-nearest[i] / (2 * width * width)) : 0;
}

fim_status fim_data_curves(size_t n, uint64_t seed, size_t first, gsl_matrix *x) {
    if (x->size1 != n || x->size2 != SIDE * SIDE)
        return FIM_FAIL(FIM_ERR_SHAPE, "curves: the matrix is (%zu, %zu), expected (%zu, %d)", x->size1,
                        x->size2, n, SIDE * SIDE);
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < n; r++)
        draw(fim_seed_stream(seed, first + r), gsl_matrix_ptr(x, r, 0));
    return FIM_OK;
}
