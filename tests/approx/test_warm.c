// Iterations that start from the result for a similar block: the same operator, for fewer products.
#include "blocks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(warm, .init = setup);

enum { N = 400, D_A = 7, D_G = 6 }; // more samples than packed entries: no core, only products

Test(warm, start_saves_products_and_leads_to_the_same_operator) {
    static const char *const names[] = {"kpsvd", "lanczos", "deflation", "kfac-corrected"};
    fim_samples before = test_samples(N, D_A, D_G, 2, 5), after = test_samples(N, D_A, D_G, 2, 5);
    for (size_t k = 0; k < N * D_A; k++)
        after.a->data[k] *= 1 + 0.001 * test_random(9, k);
    block old, new;
    block_init(&old, "before", before);
    block_init(&new, "after", after);
    for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
        const built previous = build(names[m], old.f), cold = build(names[m], new.f);
        const fim_method kind = method(names[m]);
        fim_approx_options options = {.tolerance = 1e-8, .seed = 1};
        built loose = {0}, warm = {.dense = gsl_matrix_alloc(D_A * D_G, D_A * D_G)};
        TEST_OK(fim_approx_build(&kind, new.f, &options, &loose.op, &loose.info));
        options.previous = previous.op;
        TEST_OK(fim_approx_build(&kind, new.f, &options, &warm.op, &warm.info));
        TEST_OK(fim_op_dense(warm.op, warm.dense));
        assert_dense(&warm, cold.dense, 1e-6, &new, names[m]);
        cr_assert(warm.info.products < loose.info.products, "%s: %zu products, %zu without", names[m],
                  warm.info.products, loose.info.products);
        fim_op_free(loose.op);
        fim_op_free(previous.op);
        fim_op_free(cold.op);
        fim_op_free(warm.op);
    }
}

Test(warm, start_of_another_kind_is_no_start) {
    block b;
    block_init(&b, "a block", test_samples(N, D_A, D_G, 2, 5));
    const built other = build("ekfac", b.f), cold = build("kpsvd", b.f);
    const fim_method kind = method("kpsvd");
    const fim_approx_options options = {.tolerance = 1e-12, .seed = 1, .previous = other.op};
    built warm = {0};
    TEST_OK(fim_approx_build(&kind, b.f, &options, &warm.op, &warm.info));
    cr_assert(eq(sz, warm.info.products, cold.info.products));
    fim_op_free(other.op);
    fim_op_free(cold.op);
    fim_op_free(warm.op);
}
