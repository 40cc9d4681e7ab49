// Comparisons as users name them: optimizers, damping forms, grids, and what the presets' table fills in.
#include "fim/run.h"
#include "support.h"

static fim_train_options base(void) {
    return fim_train_defaults();
}

Test(variants, lists_and_forms) {
    fim_variant *list = NULL;
    size_t count = 0;
    const fim_train_options o = base();
    TEST_OK(fim_variants_parse("sgd,kfac,kfac/each,kpsvd:2", NULL, &o, "", &list, &count));
    cr_assert(eq(sz, count, 4));
    static const char *const labels[] = {"sgd", "kfac", "kfac/each", "kpsvd:2"},
                             *const folders[] = {"sgd", "kfac", "kfac-each", "kpsvd-2"},
                             *const optimizers[] = {"sgd", "kfac", "kfac", "kpsvd:2"};
    for (size_t k = 0; k < 4; k++) {
        TEST_TEXT(list[k].label, labels[k]);
        TEST_TEXT(list[k].folder, folders[k]);
        TEST_TEXT(list[k].options.optimizer, optimizers[k]);
        cr_assert(list[k].options.optimizer == list[k].optimizer, "the name belongs to another variant");
    }
    cr_assert(list[1].options.inverse.form == FIM_DAMPING_PAPER &&
              list[2].options.inverse.form == FIM_DAMPING_EACH);
    free(list);
}

Test(variants, grids_cross_rates_with_the_dampings_of_natural_gradient_alone) {
    fim_variant *list = NULL;
    size_t count = 0;
    const fim_train_options o = base();
    TEST_OK(fim_variants_parse("adam,kfac", "lr=0.1:0.2,damping=1e-3:1e-2:1e-1", &o, "", &list, &count));
    cr_assert(eq(sz, count, 2 + 2 * 3));
    TEST_TEXT(list[1].label, "adam lr=0.2");
    TEST_TEXT(list[7].label, "kfac lr=0.2 damping=0.1");
    TEST_TEXT(list[7].folder, "kfac-lr-0.2-damping-0.1");
    cr_assert(eq(dbl, list[7].options.learning_rate, 0.2));
    cr_assert(eq(dbl, list[7].options.inverse.damping, 0.1));
    free(list);
}

Test(variants, presets_fill_what_is_left_open) {
    fim_variant *list = NULL;
    size_t count = 0;
    fim_train_options o = base();
    static const char *const nets[] = {"curves", "mnist", "faces"};
    static const double dampings[] = {0.01, 0.1, 0.03}; // the best of the grids in notebooks/tuning.md
    for (size_t i = 0; i < 3; i++) {
        TEST_OK(fim_variants_parse("kfac,kfac/each", NULL, &o, nets[i], &list, &count));
        const double each = list[1].options.inverse.damping, root = list[0].options.inverse.damping;
        cr_assert(eq(dbl, each, dampings[i]));
        cr_assert(epsilon_eq(dbl, root, each * each, 1e-15), "√λ on each factor, or λ: one method");
        cr_assert(eq(dbl, list[0].options.learning_rate, list[1].options.learning_rate));
        free(list);
    }
    o.learning_rate = 0.5; // what was asked stays
    o.inverse.damping = 0;
    TEST_OK(fim_variants_parse("kfac", NULL, &o, "mnist", &list, &count));
    cr_assert(eq(dbl, list[0].options.learning_rate, 0.5));
    cr_assert(eq(dbl, list[0].options.inverse.damping, 0));
    free(list);
}

Test(variants, what_cannot_be_compared_is_refused) {
    fim_variant *list = NULL;
    size_t count = 77;
    const fim_train_options o = base();
    static const struct {
        const char *list, *grid, *part;
        fim_status status;
    } bad[] = {
        {"", NULL, "''", FIM_ERR_UNKNOWN},
        {"sgd,", NULL, "''", FIM_ERR_UNKNOWN},
        {"magic", NULL, "magic", FIM_ERR_UNKNOWN},
        {"kpsvd:4", NULL, "4 Kronecker products", FIM_ERR_UNAVAILABLE},
        {"kfac/half", NULL, "half", FIM_ERR_UNKNOWN},
        {"kfac,sgd,kfac", NULL, "'kfac' stands twice", FIM_ERR_ARGUMENT},
        {"kfac", "lr", "'lr'", FIM_ERR_ARGUMENT},
        {"kfac", "lr=", "''", FIM_ERR_ARGUMENT},
        {"kfac", "damping=0", "'0'", FIM_ERR_ARGUMENT},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        TEST_FAILS(fim_variants_parse(bad[k].list, bad[k].grid, &o, "", &list, &count), bad[k].status,
                   bad[k].part);
    cr_assert(list == NULL && count == 77, "an output was touched");
}
