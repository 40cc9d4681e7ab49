// Records as files: everything comes back, in order; provenance says what it should.
#include <sys/utsname.h>
#include <time.h>

#include "scratch.h"

TestSuite(record_file, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 20;

static gsl_vector *vector(size_t n, const double *values) {
    gsl_vector *v = gsl_vector_alloc(n);
    for (size_t i = 0; i < n; i++)
        gsl_vector_set(v, i, values[i]);
    return v;
}

// A record with one of everything, three levels deep.
static fim_record make_record(void) {
    fim_record r;
    fim_record *child = NULL;
    fim_record_init(&r, "");
    TEST_OK(fim_record_set(&r, "z_last_by_name", 0.1, "first by time"));
    TEST_OK(fim_record_set(&r, "a_first_by_name", -1e300, ""));
    TEST_OK(fim_record_set(&r, "not_computed", NAN, "it was too large"));
    TEST_OK(fim_record_set(&r, "no_reason", NAN, ""));
    TEST_OK(fim_record_set(&r, "infinite", INFINITY, ""));
    TEST_OK(fim_record_set_text(&r, "text", "µ ⊗ “quoted”\ttab\nline"));
    TEST_OK(fim_record_set_text(&r, "empty", ""));
    TEST_OK(fim_record_set_curve(&r, "loss", vector(3, (double[]){3, NAN, 1}), "a note"));
    TEST_OK(fim_record_set_curve(&r, "none", vector(1, (double[]){7}), ""));
    TEST_OK(fim_record_set_table(&r, "factor", test_random_matrix(3, 2, 1)));
    for (int i = 11; i >= 8; i--) { // neither in the order of their names nor of their digits
        char name[16];
        snprintf(name, sizeof name, "layer %d", i);
        TEST_OK(fim_record_add_child(&r, name, &child));
        TEST_OK(fim_record_set(child, "number", i, ""));
        fim_record *grandchild = NULL;
        TEST_OK(fim_record_add_child(child, "kfac", &grandchild));
        TEST_OK(fim_record_set(grandchild, "error", i + 0.25, "exact"));
    }
    return r;
}

static bool same_record(const fim_record *a, const fim_record *b) {
    if (strcmp(a->name, b->name) != 0 || a->n_values != b->n_values || a->n_texts != b->n_texts ||
        a->n_curves != b->n_curves || a->n_tables != b->n_tables || a->n_children != b->n_children)
        return false;
    for (size_t i = 0; i < a->n_values; i++) {
        const fim_value *v = &a->values[i], *w = &b->values[i];
        if (strcmp(v->name, w->name) != 0 || strcmp(v->note, w->note) != 0 ||
            (isnan(v->value) ? !isnan(w->value) : v->value != w->value))
            return false;
    }
    for (size_t i = 0; i < a->n_texts; i++)
        if (strcmp(a->texts[i].name, b->texts[i].name) != 0 ||
            strcmp(a->texts[i].text, b->texts[i].text) != 0)
            return false;
    for (size_t i = 0; i < a->n_curves; i++) {
        const fim_curve *c = &a->curves[i], *d = fim_record_curve(b, c->name);
        if (d == NULL || c->values->size != d->values->size || strcmp(c->note, d->note) != 0)
            return false;
        for (size_t k = 0; k < c->values->size; k++) {
            double x = gsl_vector_get(c->values, k), y = gsl_vector_get(d->values, k);
            if (isnan(x) ? !isnan(y) : x != y)
                return false;
        }
    }
    for (size_t i = 0; i < a->n_tables; i++) {
        const fim_table *t = fim_record_table(b, a->tables[i].name);
        if (t == NULL || !gsl_matrix_equal(t->values, a->tables[i].values))
            return false;
    }
    for (size_t i = 0; i < a->n_children; i++)
        if (!same_record(&a->children[i], &b->children[i]))
            return false;
    return true;
}

static fim_status read_same(const char *path, const void *good) {
    fim_record found;
    fim_status status = fim_record_read(path, "fim-report", budget, &found);
    if (status != FIM_OK)
        return status;
    bool same = same_record(&found, good);
    fim_record_clear(&found);
    return same ? FIM_OK : FIM_ERR_NUMERIC;
}

Test(record_file, everything_comes_back_in_order) {
    fim_record r = make_record();
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    TEST_OK(read_same(scratch("r.h5"), &r));
    TEST_FAILS(fim_record_write(&r, "fim-report", scratch("r.h5"), false), FIM_ERR_IO,
               "r.h5: exists already");
    fim_file_kind kind;
    TEST_OK(fim_file_sniff(scratch("r.h5"), &kind));
    cr_assert(kind == FIM_FILE_REPORT);
    TEST_OK(fim_record_write(&r, "fim-run", scratch("r.h5"), true));
    TEST_OK(fim_file_sniff(scratch("r.h5"), &kind));
    cr_assert(kind == FIM_FILE_RUN);
    cr_assert(eq(sz, scratch_count(), 1));
    fim_record_clear(&r);
    h5_expect_all_closed();
}

// As the contract tells users of HDF5: attributes, "_why" for what is missing, "_route" for how.
Test(record_file, lies_as_the_contract_says) {
    fim_record r = make_record();
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    hid_t file = H5Fopen(scratch("r.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert(H5Aexists(file, "z_last_by_name") > 0 && H5Aexists(file, "z_last_by_name_route") > 0);
    cr_assert(H5Aexists(file, "not_computed") == 0 && H5Aexists(file, "not_computed_why") > 0);
    cr_assert(H5Aexists(file, "a_first_by_name_route") == 0);
    cr_assert(H5Aexists_by_name(file, "/layer 8/kfac", "error", H5P_DEFAULT) > 0);
    cr_assert(H5Lexists(file, "/loss", H5P_DEFAULT) > 0 &&
              H5Aexists_by_name(file, "/loss", "note", H5P_DEFAULT) > 0);
    H5Fclose(file);
    fim_record_clear(&r);
}

Test(record_file, layers_of_the_first_checkpoint_have_a_second_name) {
    fim_record r, found;
    fim_record *child = NULL;
    fim_record_init(&r, "");
    for (int i = 0; i < 2; i++) {
        char name[48];
        snprintf(name, sizeof name, "checkpoints/%d/layers/fc1", i);
        TEST_OK(fim_record_add_child(&r, name, &child));
        TEST_OK(fim_record_set(child, "d_a", 10 + i, ""));
    }
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    hid_t file = H5Fopen(scratch("r.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t attribute = H5Aopen_by_name(file, "/layers/fc1", "d_a", H5P_DEFAULT, H5P_DEFAULT);
    double value = 0;
    cr_assert(attribute >= 0 && H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) >= 0);
    cr_assert(eq(dbl, value, 10));
    H5Aclose(attribute);
    H5Fclose(file);
    TEST_OK(fim_record_read(scratch("r.h5"), "fim-report", budget, &found));
    cr_assert(found.n_children == 1 && strcmp(found.children[0].name, "checkpoints") == 0);
    cr_assert(eq(sz, found.children[0].n_children, 2));
    fim_record_clear(&found);
    fim_record_clear(&r);
}

Test(record_file, a_slash_makes_nested_groups) {
    fim_record r, found;
    fim_record *child = NULL;
    fim_record_init(&r, "");
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "checkpoints/%d", i);
        TEST_OK(fim_record_add_child(&r, name, &child));
        TEST_OK(fim_record_set(child, "number", i, ""));
    }
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    TEST_OK(fim_record_read(scratch("r.h5"), "fim-report", budget, &found));
    cr_assert(found.n_children == 1 && strcmp(found.children[0].name, "checkpoints") == 0);
    cr_assert(found.children[0].n_children == 12);
    for (size_t i = 0; i < 12; i++)
        cr_assert(fim_record_value(&found.children[0].children[i], "number")->value == (double)i);
    fim_record_clear(&found);
    fim_record_clear(&r);
}

static void name_refused(void (*add)(fim_record *), const char *part) {
    fim_record r;
    fim_record_init(&r, "");
    add(&r);
    TEST_FAILS(fim_record_write(&r, "fim-report", scratch("r.h5"), false), FIM_ERR_ARGUMENT, part);
    cr_assert(eq(sz, scratch_count(), 0));
    fim_record_clear(&r);
}
static void text_why(fim_record *r) {
    TEST_OK(fim_record_set_text(r, "that_is_why", "x"));
}
static void value_route(fim_record *r) {
    TEST_OK(fim_record_set(r, "a_route", 1, ""));
}
static void value_format(fim_record *r) {
    TEST_OK(fim_record_set(r, "format", 1, ""));
}
static void curve_slash(fim_record *r) {
    TEST_OK(fim_record_set_curve(r, "a/b", vector(1, (double[]){1}), ""));
}
static void child_control(fim_record *r) {
    fim_record *child;
    TEST_OK(fim_record_add_child(r, "a\033b", &child));
}
static void child_empty_part(fim_record *r) {
    fim_record *child;
    TEST_OK(fim_record_add_child(r, "a//b", &child));
}
static void child_dot(fim_record *r) {
    fim_record *child;
    TEST_OK(fim_record_add_child(r, "a/.", &child));
}

Test(record_file, names_that_would_not_come_back_are_refused) {
    name_refused(text_why, "'that_is_why' cannot be the name");
    name_refused(value_route, "'a_route' cannot be the name");
    name_refused(value_format, "'format' cannot be the name");
    name_refused(curve_slash, "'a/b' cannot be the name");
    name_refused(child_control, "cannot be the name");
    name_refused(child_empty_part, "'' cannot be the name");
    name_refused(child_dot, "'.' cannot be the name");
    h5_expect_all_closed();
}

Test(record_file, texts_that_are_not_utf8_are_mended) {
    fim_record r, found;
    fim_record_init(&r, "");
    TEST_OK(fim_record_set_text(&r, "file", "caf\xe9.h5 \033[1m \xf0\x9f\x99\x82 \xc3"));
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    TEST_OK(fim_record_read(scratch("r.h5"), "fim-report", budget, &found));
    cr_assert(strcmp(fim_record_text(&found, "file"), "caf?.h5 ?[1m \xf0\x9f\x99\x82 ?") == 0);
    fim_record_clear(&found);
    fim_record_clear(&r);
}

Test(record_file, long_texts) {
    fim_record r;
    char *text = malloc(200001);
    memset(text, 'x', 200000);
    text[200000] = '\0';
    fim_record_init(&r, "");
    TEST_OK(fim_record_set_text(&r, "command_line", text));
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    TEST_OK(read_same(scratch("r.h5"), &r));
    free(text);
    fim_record_clear(&r);
}

static void other_format(hid_t f) {
    h5_put_text(f, "/", "format", "fim-run");
}
static void version_2(hid_t f) {
    h5_put_number(f, "/", "version", 2);
}
static void cube(hid_t f) {
    h5_put_numbers(f, "/cube", H5T_IEEE_F64LE, 3, (hsize_t[]){2, 2, 2});
}
static void long_name(hid_t f) {
    h5_put_group(f, "/0123456789012345678901234567890123456789012345678901234567890123");
}
static void long_value(hid_t f) {
    h5_put_number(f, "/", "01234567890123456789012345678901234567890123456789", 1);
}
static void external(hid_t f) {
    H5Lcreate_external("other.h5", "/", f, "/elsewhere", H5P_DEFAULT, H5P_DEFAULT);
}
static void circle(hid_t f) {
    H5Lcreate_hard(f, "/", f, "/layer 8/circle", H5P_DEFAULT, H5P_DEFAULT);
}
static void bad_index(hid_t f) {
    h5_put_number(f, "/layer 8", "index", -1);
}
static void bad_name(hid_t f) {
    h5_put_group(f, "/a\033[2Jb");
}
static void absurd_curve(hid_t f) {
    h5_put_set(f, "/absurd", H5T_IEEE_F64LE, 1, (hsize_t[]){(hsize_t)1 << 40}, NULL);
}

static const h5_case broken[] = {
    {"another format", other_format, FIM_ERR_FORMAT, "is a file of format 'fim-run', expected 'fim-report'"},
    {"version 2", version_2, FIM_ERR_FORMAT, "is version 2 of 'fim-report'"},
    {"rank 3", cube, FIM_ERR_SHAPE, "/cube has 3 dimensions"},
    {"long name", long_name, FIM_ERR_FORMAT, "has more than 63 characters"},
    {"long name of a value", long_value, FIM_ERR_FORMAT, "has more than 39 characters"},
    {"external link", external, FIM_ERR_FORMAT, "/elsewhere is an external link"},
    {"circle", circle, FIM_ERR_FORMAT, "groups are nested deeper than 16"},
    {"bad index", bad_index, FIM_ERR_VALUE, "attribute 'index' of /layer 8 is -1"},
    {"bad name", bad_name, FIM_ERR_FORMAT, "/ holds a name that is not printable UTF-8"},
    {"absurd curve", absurd_curve, FIM_ERR_FORMAT, "/absurd of shape (1099511627776,) needs"},
};

Test(record_file, broken_files_are_refused_by_name) {
    fim_record r = make_record();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        TEST_OK(fim_record_write(&r, "fim-report", scratch("bad.h5"), true));
        hid_t file = H5Fopen(scratch("bad.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        broken[i].edit(file);
        H5Fclose(file);
        fim_record found;
        fim_status status = fim_record_read(scratch("bad.h5"), "fim-report", budget, &found);
        cr_expect(status == broken[i].status, "%s: gave '%s' (%s)", broken[i].name, fim_status_text(status),
                  fim_message());
        cr_expect(strstr(fim_message(), broken[i].part) != NULL && strstr(fim_message(), "bad.h5: ") != NULL,
                  "%s: '%s' lacks '%s'", broken[i].name, fim_message(), broken[i].part);
    }
    fim_record_clear(&r);
    h5_expect_all_closed();
}

Test(record_file, over_the_budget) {
    fim_record r = make_record(), found;
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    TEST_FAILS(fim_record_read(scratch("r.h5"), "fim-report", 40, &found), FIM_ERR_BUDGET, "r.h5: /");
    fim_record_clear(&r);
    h5_expect_all_closed();
}

Test(record_file, damage_is_noticed) {
    fim_record r = make_record();
    TEST_OK(fim_record_write(&r, "fim-report", scratch("r.h5"), false));
    damage(scratch("r.h5"), read_same, &r, 7, true);
    fim_record_clear(&r);
}

// ---- Provenance ----

Test(record_file, provenance) {
    char *const arguments[] = {(char[]){"fim-analyze"}, (char[]){"a b.h5"}, (char[]){"--data=x'y"},
                               (char[]){""}, NULL};
    fim_record r;
    fim_record_init(&r, "");
    TEST_OK(fim_provenance_add(&r, "fim-analyze", 4, arguments));
    cr_assert(strcmp(fim_record_text(&r, "tool"), "fim-analyze " FIM_VERSION) == 0);
    cr_assert(strcmp(fim_record_text(&r, "command_line"), "fim-analyze 'a b.h5' '--data=x'\\''y' ''") == 0,
              "%s", fim_record_text(&r, "command_line"));
    const char *date = fim_record_text(&r, "date");
    struct tm utc = {0};
    int year, month;
    cr_assert(sscanf(date, "%d-%d-%dT%d:%d:%dZ", &year, &month, &utc.tm_mday, &utc.tm_hour, &utc.tm_min,
                     &utc.tm_sec) == 6,
              "%s", date);
    time_t now = time(NULL);
    struct tm today;
    gmtime_r(&now, &today);
    cr_assert(year == today.tm_year + 1900 && strlen(date) == 20);
    struct utsname system;
    uname(&system);
    cr_assert(strstr(fim_record_text(&r, "machine"), system.release) != NULL);
    cr_assert(strstr(fim_record_text(&r, "machine"), " cores, ") != NULL);
    cr_assert(strstr(fim_record_text(&r, "blas"), "OpenBLAS") != NULL);
    cr_assert(fim_record_value(&r, "threads")->value >= 1);
    fim_record_clear(&r);
}

// SHA-256 of "abc" and of nothing are those of FIPS 180-2.
Test(record_file, provenance_of_inputs) {
    fim_record r;
    fim_record_init(&r, "");
    scratch_write(scratch("abc"), "abc", 3);
    scratch_write(scratch("empty"), "", 0);
    TEST_OK(fim_provenance_add_input(&r, scratch("abc")));
    TEST_OK(fim_provenance_add_input(&r, "curves:100:1"));
    TEST_OK(fim_provenance_add_input(&r, scratch("empty")));
    cr_assert(strcmp(fim_record_text(&r, "input_0"), scratch("abc")) == 0);
    cr_assert(strcmp(fim_record_text(&r, "input_0_sha256"),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
    cr_assert(strcmp(fim_record_text(&r, "input_1"), "curves:100:1") == 0);
    cr_assert(fim_record_text(&r, "input_1_sha256") == NULL);
    cr_assert(strcmp(fim_record_text(&r, "input_2_sha256"),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0);
    TEST_FAILS(fim_provenance_add_input(&r, scratch("none")), FIM_ERR_IO, "none: cannot be read: No such");
    TEST_FAILS(fim_provenance_add_input(&r, scratch_folder), FIM_ERR_IO,
               "cannot be read: not a regular file");
    fim_record_clear(&r);
}
