// Activations against plain formulas in long double, and their slopes against central differences of those.
#include "fim/linalg.h"
#include "fim/net.h"
#include "support.h"

static long double plain_value(fim_activation activation, long double s) {
    switch (activation) {
    case FIM_ACTIVATION_IDENTITY:
        return s;
    case FIM_ACTIVATION_RELU:
        return fmaxl(s, 0);
    case FIM_ACTIVATION_TANH:
        return tanhl(s);
    case FIM_ACTIVATION_SIGMOID:
        return 1 / (1 + expl(-s));
    case FIM_ACTIVATION_SOFTPLUS:
        return s > 11000 ? s : log1pl(expl(s));
    case FIM_ACTIVATION_GELU:
        return s * erfcl(-s / sqrtl(2)) / 2;
    case FIM_ACTIVATION_LEAKY_RELU:
        return s > 0 ? s : s / 100;
    case FIM_ACTIVATION_ELU:
        return s > 0 ? s : expm1l(s);
    case FIM_ACTIVATION_SIN:
        return sinl(s);
    default:
        cr_fatal("no plain formula for activation %s", fim_activation_name(activation));
    }
}

// No point is a kink.
static const double points[] = {-1e4, -800, -120, -40,  -20.5, -9.1, -5, -3.3, -1.7, -1,  -0.4, -1e-3,
                                1e-3, 0.3,  0.77, 1.25, 2.5,   4,    8,  17.2, 36.5, 90., 745,  1e4};

Test(activation, values_follow_the_plain_formulas) {
    for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++)
        for (size_t k = 0; k < sizeof points / sizeof *points; k++) {
            double s = points[k], want = (double)plain_value(f, s), got = fim_activation_value(f, s);
            // A rounding of s/√2 moves the left tail of gelu by s² times as much, relatively.
            double condition = f == FIM_ACTIVATION_GELU && s < 0 ? fmax(1, 0.04 * s * s) : 1;
            cr_assert(fabs(got - want) <= 1e-14 * condition * fabs(want), "%s(%g) = %.17g, expected %.17g",
                      fim_activation_name(f), s, got, want);
        }
}

Test(activation, slopes_are_central_differences) {
    for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++)
        for (size_t k = 0; k < sizeof points / sizeof *points; k++) {
            // Truncation is about h², rounding about 1e-19·|s|/h.
            long double h = 1e-5L, s = points[k];
            double want = (double)((plain_value(f, s + h) - plain_value(f, s - h)) / (2 * h));
            double got = fim_activation_slope(f, points[k]);
            cr_assert(fabs(got - want) <= 2e-10, "%s'(%g) = %.17g, expected %.17g", fim_activation_name(f),
                      points[k], got, want);
        }
}

Test(activation, slopes_keep_their_digits_in_the_tails) {
    // tanh' = 4 exp(−2|s|) and sigmoid' = softplus' = exp(−|s|) where the corrections are below one digit.
    cr_assert(epsilon_eq(dbl, fim_activation_slope(FIM_ACTIVATION_TANH, 30) / (4 * exp(-60)), 1, 1e-14));
    cr_assert(epsilon_eq(dbl, fim_activation_slope(FIM_ACTIVATION_TANH, -30) / (4 * exp(-60)), 1, 1e-14));
    cr_assert(epsilon_eq(dbl, fim_activation_slope(FIM_ACTIVATION_SIGMOID, 50) / exp(-50), 1, 1e-14));
    cr_assert(epsilon_eq(dbl, fim_activation_slope(FIM_ACTIVATION_SOFTPLUS, -50) / exp(-50), 1, 1e-14));
}

Test(activation, everything_is_finite_at_the_largest_numbers) {
    static const double huge[] = {-1e308, -1e150, 1e150, 1e308};
    for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++)
        for (size_t k = 0; k < sizeof huge / sizeof *huge; k++) {
            cr_assert(isfinite(fim_activation_value(f, huge[k])), "%s(%g)", fim_activation_name(f), huge[k]);
            cr_assert(isfinite(fim_activation_slope(f, huge[k])), "%s'(%g)", fim_activation_name(f), huge[k]);
        }
}

Test(activation, slopes_at_kinks_are_the_left_ones) {
    cr_assert(eq(dbl, fim_activation_slope(FIM_ACTIVATION_RELU, 0), 0));
    cr_assert(eq(dbl, fim_activation_slope(FIM_ACTIVATION_LEAKY_RELU, 0), 0.01));
}

Test(activation, names_parse_to_themselves) {
    for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++) {
        fim_activation parsed = FIM_ACTIVATION_COUNT;
        TEST_OK(fim_activation_parse(fim_activation_name(f), &parsed));
        cr_assert(parsed == f);
    }
    fim_activation parsed = FIM_ACTIVATION_SIN;
    TEST_FAILS(fim_activation_parse("swish", &parsed), FIM_ERR_UNKNOWN, "unknown activation 'swish'");
    cr_assert(parsed == FIM_ACTIVATION_SIN, "an output was touched on failure");
    TEST_FAILS(fim_activation_parse("Relu", &parsed), FIM_ERR_UNKNOWN, "known: identity, relu, tanh");
}
