// Training runs compared: made-up runs whose means, first epochs and shares are known, as table, CSV, JSON
// and figures, read back.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <unistd.h>

#include "sample.h"

enum { OUTPUTS = 10, EPOCHS = 4 };

static void add_curve(fim_record *log, const char *name, const double *values, size_t n, double scale) {
    gsl_vector *v = gsl_vector_alloc(n);
    for (size_t i = 0; i < n; i++)
        gsl_vector_set(v, i, values[i] * scale);
    sample_must(fim_record_set_curve(log, name, v, NULL));
}

// A run with losses per output, so many seconds an epoch.
static void make_run(fim_record *log, const char *variant, double seed, const double *loss, size_t epochs,
                     double seconds) {
    char file[100], optimizer[64];
    double epoch[EPOCHS], each[EPOCHS];
    snprintf(file, sizeof file, "cmp/%s/seed-%.0f/run.h5", variant, seed);
    snprintf(optimizer, sizeof optimizer, "%.*s", (int)strcspn(variant, "/ "), variant);
    for (size_t e = 0; e < epochs; e++) {
        epoch[e] = (double)e + 1;
        each[e] = seconds;
    }
    fim_record_init(log, "fim-run");
    sample_must(fim_record_set_text(log, "file", file));
    sample_must(fim_record_set_text(log, "variant", variant));
    sample_must(fim_record_set_text(log, "optimizer", optimizer));
    sample_must(fim_record_set_text(log, "net", "curves"));
    sample_must(fim_record_set(log, "train_seed", seed, NULL));
    sample_must(fim_record_set(log, "outputs", OUTPUTS, NULL));
    sample_must(fim_record_set(log, "learning_rate", 0.1, NULL));
    add_curve(log, "epoch", epoch, epochs, 1);
    add_curve(log, "loss", loss, epochs, OUTPUTS);
    add_curve(log, "loss_per_output", loss, epochs, 1);
    add_curve(log, "validation_loss", loss, epochs, 2 * OUTPUTS);
    add_curve(log, "seconds", each, epochs, 1);
}

static void add_refreshes(fim_record *log) {
    static const double seconds[] = {0.5, 0.5}, products[] = {30, 10}, changed[] = {4, 1};
    sample_must(fim_record_set_text(log, "damping_form", "paper"));
    sample_must(fim_record_set(log, "damping", 0.01, NULL));
    add_curve(log, "refresh_seconds", seconds, 2, 1);
    add_curve(log, "refresh_products", products, 2, 1);
    add_curve(log, "refresh_changed", changed, 2, 1);
}

enum { RUNS = 7 };

// kfac ends at (0.30 + 0.34)/2 = 0.32; lanczos is there in epoch 2 (0.31 and 0.33); sgd never.
static void make_runs(fim_record logs[RUNS]) {
    static const double kfac[2][EPOCHS] = {{0.6, 0.5, 0.4, 0.30}, {0.6, 0.5, 0.4, 0.34}};
    static const double lanczos[2][EPOCHS] = {{0.5, 0.31, 0.25, 0.21}, {0.5, 0.33, 0.27, 0.23}};
    static const double sgd[2][EPOCHS] = {{0.7, 0.68, 0.66, 0.64}, {0.7, 0.68, 0.66, 0.65}};
    for (size_t s = 0; s < 2; s++) {
        make_run(&logs[3 * s], "kfac", (double)s + 1, kfac[s], EPOCHS, 1);
        make_run(&logs[3 * s + 1], "lanczos", (double)s + 1, lanczos[s], EPOCHS, 3 + (double)s);
        make_run(&logs[3 * s + 2], "sgd", (double)s + 1, sgd[s], EPOCHS, 0.5);
        add_refreshes(&logs[3 * s]);
        add_refreshes(&logs[3 * s + 1]);
    }
    make_run(&logs[6], "kfac/each", 1, kfac[1], EPOCHS, 1);
}

static void clear_runs(fim_record *logs, size_t n) {
    for (size_t i = 0; i < n; i++)
        fim_record_clear(&logs[i]);
}

static json_t *compare(const fim_record *logs, size_t n, const char *reference) {
    char *out = NULL;
    cr_assert(eq(int, fim_report_comparison_json(logs, n, reference, &out), FIM_OK), "%s", fim_message());
    json_t *root = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(root != NULL, "%s", out);
    free(out);
    return root;
}

static double number_of(const json_t *root, size_t variant, const char *name) {
    const json_t *value = json_object_get(json_array_get(json_object_get(root, "variants"), variant), name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *root, size_t variant, const char *name) {
    const json_t *value = json_object_get(json_array_get(json_object_get(root, "variants"), variant), name);
    return json_is_string(value) ? json_string_value(value) : "";
}

Test(comparison, runs_are_grouped_and_their_numbers_are_the_means_of_the_seeds) {
    fim_record logs[RUNS];
    make_runs(logs);
    json_t *root = compare(logs, RUNS, NULL);
    cr_assert(eq(sz, json_array_size(json_object_get(root, "variants")), 4));
    static const char *const names[] = {"kfac", "lanczos", "sgd", "kfac/each"};
    static const double seeds[] = {2, 2, 2, 1};
    for (size_t k = 0; k < 4; k++) {
        cr_assert(eq(str, (char *)(uintptr_t)text_of(root, k, "name"), (char *)(uintptr_t)names[k]));
        cr_assert(number_of(root, k, "seeds") == seeds[k]);
        cr_assert(number_of(root, k, "epochs") == EPOCHS);
    }
    const double e = 1e-13;
    cr_assert(epsilon_eq(dbl, number_of(root, 0, "loss_per_output"), 0.32, e));
    cr_assert(epsilon_eq(dbl, number_of(root, 0, "loss_per_output_se"), 0.02, e)); // half the difference
    cr_assert(epsilon_eq(dbl, number_of(root, 0, "validation_per_output"), 0.64, e));
    cr_assert(epsilon_eq(dbl, number_of(root, 1, "loss_per_output"), 0.22, e));
    cr_assert(isnan(number_of(root, 3, "loss_per_output_se")), "one seed has no standard error");
    cr_assert(isnan(number_of(root, 0, "excess_over_floor")), "no floor is known");
    cr_assert(number_of(root, 0, "epochs_to_reference") == 4 &&
              number_of(root, 1, "epochs_to_reference") == 2);
    cr_assert(epsilon_eq(dbl, number_of(root, 1, "seconds_to_reference"), 7, e)); // 6 and 8
    cr_assert(isnan(number_of(root, 2, "epochs_to_reference")));
    cr_assert(strstr(text_of(root, 2, "epochs_to_reference_why"), "0.3200") != NULL);
    cr_assert(epsilon_eq(dbl, number_of(root, 1, "seconds_per_epoch"), 3.5, e));
    cr_assert(epsilon_eq(dbl, number_of(root, 1, "refresh_share"), 2.0 / 28, e));
    cr_assert(number_of(root, 1, "products_per_refresh") == 20 &&
              number_of(root, 1, "changed_per_refresh") == 2.5);
    cr_assert(isnan(number_of(root, 2, "refresh_share")));
    const json_t *reference = json_object_get(root, "reference");
    cr_assert(eq(dbl, json_number_value(json_object_get(reference, "loss_per_output")),
                 number_of(root, 0, "loss_per_output")));
    json_decref(root);
    clear_runs(logs, RUNS);
}

// The lines of the table that begin with `start` and a space, cut into words, `start` but once: a wide table
// has several parts.
static size_t row_of(const char *table, const char *start, char *buffer, size_t size, char **words,
                     size_t most) {
    size_t n = 0, used = 0;
    for (const char *at = table; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, start, strlen(start)) != 0 || at[strlen(start)] != ' ')
            continue;
        at += n > 0 ? strlen(start) : 0;
        char *row = buffer + used;
        used += (size_t)snprintf(row, size - used, "%.*s", (int)strcspn(at, "\n"), at) + 1;
        cr_assert(used < size);
        for (char *save, *word = strtok_r(row, " ", &save); word != NULL && n < most;
             word = strtok_r(NULL, " ", &save))
            words[n++] = word;
    }
    return n;
}

static void fits_120_columns(const char *table) {
    for (const char *at = table; *at != '\0'; at += strcspn(at, "\n") + 1) {
        size_t characters = 0;
        for (const char *c = at; *c != '\n'; c++)
            characters += ((unsigned char)*c & 0xc0) != 0x80;
        cr_assert(characters <= 120, "%zu characters: %s", characters, at);
    }
}

Test(comparison, the_table_shows_them) {
    static const char *const lanczos[] = {"lanczos",    "paper",      "0.1", "0.01", "2",
                                          "0.220(10)*", "0.440(20)*", "2*",  "7",    "3.500",
                                          "7",          "%",          "20",  "2.500"};
    static const char *const sgd[] = {"sgd", "0.1", "2", "0.6450(50)", "1.290(10)", "-¹", "-¹", "0.5000"};
    fim_record logs[RUNS];
    char *table = NULL, buffer[400], *words[20];
    make_runs(logs);
    cr_assert(eq(int, fim_report_comparison(logs, RUNS, "kfac", &table), FIM_OK), "%s", fim_message());
    cr_assert(eq(sz, row_of(table, "lanczos", buffer, sizeof buffer, words, 20), 14), "%s", table);
    for (size_t i = 0; i < 14; i++)
        cr_assert(strcmp(words[i], lanczos[i]) == 0, "%s, expected %s\n%s", words[i], lanczos[i], table);
    cr_assert(eq(sz, row_of(table, "sgd", buffer, sizeof buffer, words, 20), 8), "%s", table);
    for (size_t i = 0; i < 8; i++)
        cr_assert(strcmp(words[i], sgd[i]) == 0, "%s, expected %s\n%s", words[i], sgd[i], table);
    cr_assert(strncmp(table, "curves, 1 to 2 seeds, 4 epochs\n", 31) == 0, "%s", table);
    cr_assert(strstr(table, "\n¹ does not reach 0.3200 in its 4 epochs\n") != NULL, "%s", table);
    cr_assert(strstr(table, "excess") == NULL && strstr(table, " epochs  ") == NULL);
    fits_120_columns(table);
    free(table);
    cr_assert(eq(int, fim_report_comparison(logs, RUNS - 1, "kfac", &table), FIM_OK));
    cr_assert(strncmp(table, "curves, 2 seeds, 4 epochs\n", 26) == 0, "what all have is said once: %s",
              table);
    cr_assert(row_of(table, "sgd", buffer, sizeof buffer, words, 20) == 7, "%s", table);
    fits_120_columns(table);
    free(table);
    clear_runs(logs, RUNS);
}

Test(comparison, a_run_that_diverged_does_not_count_and_is_told) {
    fim_record logs[RUNS];
    char *table = NULL, buffer[400], *words[20];
    make_runs(logs);
    sample_must(fim_record_set_text(&logs[1], "ended", "epoch 4, iteration 17: the loss is not finite"));
    sample_must(fim_record_set_text(&logs[6], "ended", "epoch 4, iteration 3: the loss is not finite"));
    json_t *root = compare(logs, RUNS, NULL);
    cr_assert(number_of(root, 1, "diverged") == 1 && number_of(root, 1, "seeds") == 2);
    cr_assert(epsilon_eq(dbl, number_of(root, 1, "loss_per_output"), 0.23, 1e-15)); // of the other seed
    cr_assert(isnan(number_of(root, 3, "loss_per_output")), "its only run");
    cr_assert(eq(str, (char *)(uintptr_t)text_of(root, 3, "loss_per_output_why"), "diverged"));
    const json_t *runs = json_object_get(json_array_get(json_object_get(root, "variants"), 1), "runs");
    cr_assert(eq(sz, json_array_size(runs), 2));
    json_decref(root);
    cr_assert(eq(int, fim_report_comparison(logs, RUNS, NULL, &table), FIM_OK));
    cr_assert(strstr(table,
                     "! lanczos: 1 of 2 runs diverged, the numbers are of the others; seed 1: epoch 4, "
                     "iteration 17: the loss is not finite\n") != NULL,
              "%s", table);
    cr_assert(strstr(table, "! kfac/each: diverged: epoch 4, iteration 3: the loss is not finite\n") != NULL);
    row_of(table, "lanczos!", buffer, sizeof buffer, words, 20);
    cr_assert(strcmp(words[5], "0.2300") == 0, "smallest, but not marked: %s", words[5]);
    row_of(table, "kfac", buffer, sizeof buffer, words, 20);
    cr_assert(strcmp(words[5], "0.320(20)*") == 0, "%s", words[5]);
    free(table);
    clear_runs(logs, RUNS);
}

Test(comparison, of_runs_of_different_lengths_the_common_epochs_count) {
    static const double loss[2][EPOCHS] = {{0.6, 0.5, 0.4, 0.3}, {0.6, 0.4}};
    fim_record logs[2];
    make_run(&logs[0], "kfac", 1, loss[0], 4, 1);
    make_run(&logs[1], "kfac", 2, loss[1], 2, 1);
    json_t *root = compare(logs, 2, NULL);
    cr_assert(number_of(root, 0, "epochs") == 2);
    cr_assert(epsilon_eq(dbl, number_of(root, 0, "loss_per_output"), 0.45, 1e-15));
    cr_assert(strstr(text_of(root, 0, "remark"), "the first 2 count") != NULL);
    json_decref(root);
    clear_runs(logs, 2);
}

Test(comparison, other_settings_are_other_variants_and_names_tell_them_apart) {
    static const double loss[EPOCHS] = {0.6, 0.5, 0.4, 0.3};
    fim_record logs[5];
    make_run(&logs[0], "kfac", 1, loss, EPOCHS, 1);
    make_run(&logs[1], "kfac", 2, loss, EPOCHS, 1);
    sample_must(fim_record_set(&logs[1], "learning_rate", 0.3, NULL));
    sample_must(fim_record_set_text(&logs[1], "file", "other/kfac/seed-2/run.h5"));
    for (size_t i = 2; i < 5; i++) { // single runs: named by their folders
        make_run(&logs[i], "", (double)i, loss, EPOCHS, 1);
        sample_must(fim_record_set_text(&logs[i], "file",
                                        i == 2   ? "a/adam/seed-1/run.h5"
                                        : i == 3 ? "a/adam/seed-2/run.h5"
                                                 : "run.h5"));
    }
    json_t *root = compare(logs, 5, "sgd");
    static const char *const names[] = {"cmp/kfac", "other/kfac", "adam", "run"};
    cr_assert(eq(sz, json_array_size(json_object_get(root, "variants")), 4));
    for (size_t k = 0; k < 4; k++)
        cr_assert(strcmp(text_of(root, k, "name"), names[k]) == 0, "%s", text_of(root, k, "name"));
    cr_assert(number_of(root, 2, "seeds") == 2);
    cr_assert(true == json_is_null(json_object_get(root, "reference")));
    cr_assert(strstr(json_string_value(json_object_get(root, "reference_why")), "no run of sgd") != NULL);
    json_decref(root);
    clear_runs(logs, 5);
}

Test(comparison, the_reference_of_a_grid_is_the_best_of_its_optimizer) {
    static const double loss[2][EPOCHS] = {{0.6, 0.5, 0.4, 0.3}, {0.6, 0.4, 0.3, 0.2}};
    fim_record logs[2];
    make_run(&logs[0], "kfac lr=0.1", 1, loss[0], EPOCHS, 1);
    make_run(&logs[1], "kfac lr=0.3", 1, loss[1], EPOCHS, 1);
    json_t *root = compare(logs, 2, NULL);
    cr_assert(strcmp(json_string_value(json_object_get(json_object_get(root, "reference"), "name")),
                     "kfac lr=0.3") == 0);
    json_decref(root);
    clear_runs(logs, 2);
}

Test(comparison, csv_has_a_line_per_variant_with_all_digits) {
    fim_record logs[RUNS];
    char *csv = NULL, name[64];
    double lanczos = 0;
    make_runs(logs);
    cr_assert(eq(int, fim_report_comparison_csv(logs, RUNS, NULL, &csv), FIM_OK));
    size_t lines = 0, column = 0, at = 0;
    const char *cursor = csv;
    char *end = strchr(csv, '\n');
    *end = '\0';
    for (; fim_list_next(&cursor, ',', name, sizeof name); at++)
        column = strcmp(name, "loss_per_output") == 0 ? at : column;
    for (char *save, *line = strtok_r(end + 1, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save), lines++) {
        size_t fields = 0;
        cursor = line;
        for (; fim_list_next(&cursor, ',', name, sizeof name); fields++)
            if (lines == 1 && fields == column)
                lanczos = strtod(name, NULL);
        cr_assert(eq(sz, fields, at), "%s", line);
    }
    cr_assert(eq(sz, lines, 4));
    cr_assert(epsilon_eq(dbl, lanczos, 0.22, 1e-15));
    free(csv);
    clear_runs(logs, RUNS);
}

// ---- Figures ----

// Data and scripts, without gnuplot; the pictures themselves where it is installed.
static char *draw(const fim_record *logs, size_t n, const fim_published *published) {
    static char folder[] = "/tmp/fim-test-comparison-XXXXXX";
    cr_assert(mkdtemp(folder) != NULL);
    const fim_plot_options options = {.title = "t", .published = published};
    const fim_status status = fim_report_plot_all(NULL, 0, logs, n, &options, folder, NULL);
    if (status == FIM_ERR_UNAVAILABLE)
        cr_log_warn("SKIPPED: gnuplot is not installed, nothing was drawn");
    else
        cr_assert(eq(int, status, FIM_OK), "%s", fim_message());
    return folder;
}

static char *read_data(const char *folder, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    char *content = calloc(1, 1 << 18);
    cr_assert(fread(content, 1, (1 << 18) - 1, file) > 0);
    fclose(file);
    return content;
}

static void remove_folder(const char *folder) {
    char command[200];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_assert(eq(int, system(command), 0));
}

Test(comparison, figures_hold_means_and_bands) {
    fim_record logs[RUNS];
    make_runs(logs);
    for (size_t i = 0; i < RUNS; i++)
        sample_must(fim_record_set(&logs[i], "loss_floor", 0.1 * OUTPUTS, NULL));
    const struct fim_published_point points[] = {{"kfac", 2, 0.55}, {"kfac", 200, 0.1}, {"adam", 2, 0.4}};
    fim_published published = {3, malloc(sizeof points)};
    memcpy(published.points, points, sizeof points);
    const char *folder = draw(logs, RUNS, &published);
    static const char *const names[] = {"loss-by-seconds.dat", "excess-by-seconds.dat", "loss-by-epoch.dat"};
    for (size_t i = 0; i < 3; i++) {
        const double shift = i == 1 ? 0.1 : 0;
        char *data = read_data(folder, names[i]);
        cr_assert(data != NULL, "%s", names[i]);
        char *line = strstr(data, "# \"lanczos\"\n");
        double got[8];
        cr_assert(line != NULL);
        line = strchr(strchr(line, '\n') + 1, '\n') + 1; // the second epoch
        cr_assert(eq(int,
                     sscanf(line, "%lf %lf %lf %lf %lf %lf %lf %lf", &got[0], &got[1], &got[2], &got[3],
                            &got[4], &got[5], &got[6], &got[7]),
                     8));
        const double expected[] = {2, 7, 0.32 - shift, 0.31 - shift, 0.33 - shift, 0.64, 0.62, 0.66};
        for (size_t c = 0; c < 8; c++)
            cr_assert(epsilon_eq(dbl, got[c], expected[c], 1e-13), "%s", line);
        const bool overlaid = strstr(data, "\n 2 0.55") != NULL;
        cr_assert(overlaid == (i == 2), "published losses belong to epochs");
        cr_assert(strstr(data, "\n 200 ") == NULL, "beyond our epochs");
        free(data);
    }
    char *script = read_data(folder, "excess-by-epoch.gp");
    cr_assert(script != NULL && strstr(script, "set logscale y") != NULL);
    cr_assert(strstr(script, "filledcurves") != NULL &&
              strstr(script, "mean and range of the seeds") != NULL);
    free(script);
    script = read_data(folder, "loss-by-epoch.gp");
    cr_assert(strstr(script, "title 'published'") != NULL && strstr(script, "title 'kfac/each'") != NULL);
    // gnuplot's filled shapes are 5, 7, 9, ..., and the open one of each is the number before.
    char *style = read_data(folder, "style.gnuplot"), line_style[40];
    const char *open = strstr(script, "with points ls "), *filled;
    int line, shape, own;
    cr_assert(open != NULL);
    cr_assert(eq(int, sscanf(open, "with points ls %d pt %d", &line, &shape), 2));
    snprintf(line_style, sizeof line_style, "set style line %d ", line);
    filled = strstr(style, line_style);
    cr_assert(filled != NULL);
    cr_assert(eq(int, sscanf(strstr(filled, " pt "), " pt %d", &own), 1));
    cr_assert(own >= 5 && own % 2 == 1 && shape == own - 1, "%d and %d", own, shape);
    free(style);
    free(script);
    char *page = read_data(folder, "index.html");
    const char *table = strstr(page, "<tr><th>optimizer</th>"), *figure = strstr(page, "<figure>");
    cr_assert(table != NULL && figure != NULL && table < figure, "the table is above the figures");
    free(page);
    remove_folder(folder);
    free(published.points);
    clear_runs(logs, RUNS);
}

Test(comparison, a_run_without_epochs_and_without_floor_is_drawn_as_a_name) {
    static const double loss[EPOCHS] = {0.6, 0.5, 0.4, 0.3};
    fim_record logs[3];
    make_run(&logs[0], "kfac", 1, loss, EPOCHS, 1);
    make_run(&logs[1], "adam", 1, loss, 1, 1);
    make_run(&logs[2], "sgd", 1, loss, 1, 1);
    fim_record_clear(&logs[2]); // nothing but that it diverged
    fim_record_init(&logs[2], "fim-run");
    sample_must(fim_record_set_text(&logs[2], "variant", "sgd"));
    sample_must(fim_record_set_text(&logs[2], "ended", "epoch 1, iteration 2: the loss is not finite"));
    const char *folder = draw(logs, 3, NULL);
    char *script = read_data(folder, "loss-by-epoch.gp");
    cr_assert(strstr(script, "title 'sgd (diverged)'") != NULL);
    cr_assert(read_data(folder, "excess-by-epoch.dat") == NULL, "no floor, no excess");
    free(script);
    remove_folder(folder);
    clear_runs(logs, 3);
}

Test(comparison, a_log_that_is_none_is_refused) {
    fim_record log;
    char *out = NULL;
    fim_record_init(&log, "fim-run");
    cr_assert(eq(int, fim_report_comparison(&log, 1, NULL, &out), FIM_ERR_FORMAT));
    cr_assert(strstr(fim_message(), "no curve 'epoch'") != NULL, "%s", fim_message());
    cr_assert(eq(int, fim_report_comparison(NULL, 0, NULL, &out), FIM_ERR_FORMAT));
    cr_assert(out == NULL);
    fim_record_clear(&log);
}

// ---- Published losses ----

static fim_status read_csv(const char *content, const char *network, fim_published *out) {
    char path[] = "/tmp/fim-test-published-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    const fim_status status = fim_published_read(path, network, out);
    unlink(path);
    return status;
}

Test(comparison, published_losses_are_read_and_broken_lines_named) {
#define HEAD "network,optimizer,epoch,loss_per_output\n"
    fim_published p = {0};
    cr_assert(
        eq(int, read_csv(HEAD "curves,sgd,1,0.5\nmnist,sgd,1,.4\ncurves,kfac,20,.09", "curves", &p), FIM_OK));
    cr_assert(eq(sz, p.count, 2));
    cr_assert(strcmp(p.points[1].optimizer, "kfac") == 0 && p.points[1].epoch == 20 &&
              p.points[1].loss == 0.09);
    free(p.points);
    p = (fim_published){0};
    static const struct {
        const char *content, *told;
        fim_status status;
    } bad[] = {{"", "'curves'", FIM_ERR_UNKNOWN},
               {"a,b\n", "line 1", FIM_ERR_FORMAT},
               {HEAD "curves,sgd,1\n", "line 2", FIM_ERR_FORMAT},
               {HEAD "curves,sgd,1,0.5\ncurves,sgd,2,nan\n", "line 3", FIM_ERR_FORMAT},
               {HEAD "curves,sgd,1,0.5,6\n", "line 2", FIM_ERR_FORMAT},
               {HEAD "mnist,sgd,1,0.5\n", "'curves'", FIM_ERR_UNKNOWN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert(eq(int, read_csv(bad[i].content, "curves", &p), bad[i].status), "%zu: %s", i,
                  fim_message());
        cr_assert(strstr(fim_message(), bad[i].told) != NULL, "%s", fim_message());
        cr_assert(p.points == NULL);
    }
    cr_assert(eq(int, fim_published_read("/no/such.csv", "curves", &p), FIM_ERR_IO));
}
