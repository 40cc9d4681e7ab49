// Methods as users name them.
#include "blocks.h"

Test(methods, methods_are_parsed) {
    static const struct {
        const char *text, *name;
        size_t rank;
    } good[] = {{"kfac", "kfac", 1},         {"kpsvd", "kpsvd", 1},
                {"kpsvd:1", "kpsvd", 1},     {"kpsvd:3", "kpsvd:3", 3},
                {"kpsvd:007", "kpsvd:7", 7}, {"deflation", "deflation", 2},
                {"lanczos", "lanczos", 2},   {"kfac-corrected", "kfac-corrected", 2}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const fim_method m = method(good[i].text);
        TEST_TEXT(m.name, good[i].name);
        cr_assert(eq(sz, m.rank, good[i].rank));
        cr_assert(strncmp(m.approx->name, good[i].name, strlen(m.approx->name)) == 0);
    }
    fim_method m = {.rank = 77};
    TEST_FAILS(fim_method_parse("kfax", &m), FIM_ERR_UNKNOWN, "'kfax'");
    cr_assert(strstr(fim_message(), "kpsvd[:R]") != NULL && strstr(fim_message(), "kfac-corrected") != NULL,
              "%s", fim_message());
    TEST_FAILS(fim_method_parse("", &m), FIM_ERR_UNKNOWN, "unknown");
    TEST_FAILS(fim_method_parse("kfa", &m), FIM_ERR_UNKNOWN, "'kfa'");
    TEST_FAILS(fim_method_parse("KFAC", &m), FIM_ERR_UNKNOWN, "'KFAC'");
    TEST_FAILS(fim_method_parse("kfac:2", &m), FIM_ERR_ARGUMENT, "kfac takes no rank");
    TEST_FAILS(fim_method_parse("kpsvd:0", &m), FIM_ERR_ARGUMENT, "'0'");
    TEST_FAILS(fim_method_parse("kpsvd:", &m), FIM_ERR_ARGUMENT, "rank");
    TEST_FAILS(fim_method_parse("kpsvd:x", &m), FIM_ERR_ARGUMENT, "'x'");
    TEST_FAILS(fim_method_parse("kpsvd:-1", &m), FIM_ERR_ARGUMENT, "'-1'");
    cr_assert(m.rank == 77, "the output was touched");
}

Test(methods, lists_of_methods_drop_duplicates) {
    static const struct {
        const char *text, *names;
    } good[] = {{"kfac", "kfac "},
                {"kpsvd:3,kfac,kpsvd:3", "kpsvd:3 kfac "},
                {"kpsvd,kpsvd:1,kpsvd:2", "kpsvd kpsvd:2 "},
                {"all", "diagonal kfac tkfac ekfac tekfac kpsvd deflation lanczos kfac-corrected "},
                {"kpsvd:5,all,all,kfac",
                 "kpsvd:5 diagonal kfac tkfac ekfac tekfac kpsvd deflation lanczos kfac-corrected "}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_method *methods = NULL;
        size_t count = 0;
        char names[256] = "";
        TEST_OK(fim_method_parse_list(good[i].text, &methods, &count));
        for (size_t k = 0; k < count; k++)
            strcat(strcat(names, methods[k].name), " ");
        TEST_TEXT(names, good[i].names);
        free(methods);
    }
    fim_method *methods = NULL;
    size_t count = 77;
    TEST_FAILS(fim_method_parse_list("kfac,,ekfac", &methods, &count), FIM_ERR_UNKNOWN, "unknown method ''");
    TEST_FAILS(fim_method_parse_list("", &methods, &count), FIM_ERR_UNKNOWN, "unknown method ''");
    TEST_FAILS(fim_method_parse_list("all,kfax", &methods, &count), FIM_ERR_UNKNOWN, "'kfax'");
    cr_assert(methods == NULL && count == 77, "an output was touched");
}
