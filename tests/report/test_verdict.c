// A made-up reproduction beside made-up publications: every verdict is known by hand.
#include "folder.h"

typedef struct made {
    fim_record drawn, exact, layers, krylov, logs[2];
    fim_reproduction r;
    fim_paper paper;
} made;

static void set_method(fim_record *layer, const char *name, double error, const char *note) {
    fim_record *method = NULL;
    sample_must(fim_record_add_child(layer, name, &method));
    sample_must(fim_record_set(method, "frobenius_error", error, ""));
    sample_must(fim_record_set(method, "spectrum_error", error / 10, note));
}

static fim_record *add_layer(fim_record *layers, const char *name) {
    fim_record *layer = NULL;
    sample_must(fim_record_add_child(layers, name, &layer));
    sample_must(fim_record_set_text(layer, "fisher", "mc:1"));
    sample_must(fim_record_set(layer, "samples", 64, ""));
    sample_must(fim_record_set(layer, "sampling_error", 0.25, ""));
    return layer;
}

static fim_record *add_layers(fim_record *report, double iteration) {
    fim_record *all = NULL, *checkpoint = NULL, *layers = NULL;
    char name[24];
    if (report->n_children == 0)
        sample_must(fim_record_add_child(report, "checkpoints", &all));
    all = &report->children[0];
    snprintf(name, sizeof name, "%zu", all->n_children);
    sample_must(fim_record_add_child(all, name, &checkpoint));
    sample_must(fim_record_set_text(checkpoint, "file", "c.h5"));
    sample_must(fim_record_set(checkpoint, "iteration", iteration, ""));
    sample_must(fim_record_add_child(checkpoint, "layers", &layers));
    return layers;
}

static fim_record *add_checkpoint(fim_record *report, double iteration) {
    return add_layer(add_layers(report, iteration), "4");
}

// Iterations 0, 80 and 100: the last fifth is 80 and 100. KFAC peaks at 1.5; LANCZOS is DEFLATION.
static void make_course(fim_record *report) {
    static const double kfac[] = {1.5, 0.45, 0.47}, kpsvd[] = {0.5, 0.11, 0.13}, two[] = {0.4, 0.06, 0.06};
    fim_record_init(report, "report");
    for (size_t k = 0; k < 3; k++) {
        fim_record *layer = add_checkpoint(report, k == 0 ? 0 : 60 + 20.0 * (double)k);
        set_method(layer, "kfac", kfac[k], "");
        set_method(layer, "tkfac", 1.02 * kpsvd[k], "");
        set_method(layer, "kpsvd", kpsvd[k], "upper bound, at least 0.00001: made up");
        set_method(layer, "deflation", two[k], "");
        set_method(layer, "lanczos", two[k], "");
    }
}

static void set_curve(fim_record *log, const char *name, double first, double second) {
    gsl_vector *v = gsl_vector_alloc(2);
    gsl_vector_set(v, 0, first);
    gsl_vector_set(v, 1, second);
    sample_must(fim_record_set_curve(log, name, v, NULL));
}

static void make_log(fim_record *log, const char *optimizer, double last, double seconds) {
    char file[64];
    fim_record_init(log, "fim-run");
    snprintf(file, sizeof file, "d/%s/seed-1/run.h5", optimizer);
    sample_must(fim_record_set_text(log, "file", file));
    sample_must(fim_record_set_text(log, "optimizer", optimizer));
    if (strcmp(optimizer, "kfac") == 0)
        sample_must(fim_record_set_text(log, "damping_form", "paper"));
    sample_must(fim_record_set(log, "train_seed", 1, NULL));
    sample_must(fim_record_set(log, "outputs", 10, NULL));
    sample_must(fim_record_set(log, "loss_floor", 1, NULL)); // 0.1 per output
    sample_must(fim_record_set(log, "learning_rate", 0.5, NULL));
    set_curve(log, "epoch", 1, 2);
    set_curve(log, "iterations", 10, 10);
    set_curve(log, "loss", 10 * (last + 0.1), 10 * last);
    set_curve(log, "loss_per_output", last + 0.1, last);
    set_curve(log, "validation_loss", 1, 1);
    set_curve(log, "seconds", seconds, seconds);
}

static const char facts[] = "network,quantity,method,at,value\n"
                            "curves,frobenius_error,kfac,,0.45\n"
                            "curves,frobenius_error,kfac,100,0.45\n"
                            "curves,frobenius_error,kpsvd,,0.25\n"
                            "curves,frobenius_error,kpsvd,0,0.25\n"
                            "curves,frobenius_error,kpsvd,100,0.25\n"
                            "curves,spectrum_error,kpsvd,,0.011\n"
                            "curves,spectrum_error,kpsvd,100,0.011\n"
                            "curves,frobenius_error,lanczos,,0.25\n"
                            "curves,frobenius_error,lanczos,100,0.25\n"
                            "curves,frobenius_peak,kfac,,1.4\n"
                            "curves,train_samples,,,100\n"
                            "curves,batch,,,10\n"
                            "curves,learning_rate,sgd,,0.3\n"
                            "curves,seconds_per_epoch,sgd,,1\n"
                            "curves,seconds_per_epoch,kfac,,2\n"
                            "faces,train_samples,,,200\n"
                            "faces,batch,,,10\n"
                            "mnist,frobenius_peak,kfac,,77\n";
static const char losses[] = "network,optimizer,epoch,loss_per_output\n"
                             "curves,sgd,1,0.40\n"
                             "curves,sgd,2,0.20\n"
                             "curves,sgd,10,0.15\n"
                             "faces,sgd,1,0.301\n"
                             "curves,kfac,1,0.31\n"
                             "curves,kfac,2,0.205\n";

static void write_text_file(const char *folder, const char *name, const char *content,
                            char path[static 300]) {
    snprintf(path, 300, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(content, file) >= 0 && fclose(file) == 0);
}

static void make(made *m, const char *folder) {
    char path[300];
    *m = (made){0};
    make_course(&m->drawn);
    make_course(&m->exact);
    fim_record_init(&m->krylov, "report");
    for (size_t k = 0; k < 2; k++) {
        fim_record *layer = add_checkpoint(&m->krylov, 100);
        sample_must(fim_record_set(layer, "krylov_steps", k == 0 ? 2 : 30, ""));
        set_method(layer, "lanczos", k == 0 ? 0.13 : 0.06, "");
    }
    fim_record_init(&m->layers, "report");
    fim_record *layers = add_layers(&m->layers, 100);
    sample_must(fim_record_set(add_layer(layers, "2"), "rank_1_percent", 7, ""));
    sample_must(fim_record_set(add_layer(layers, "5"), "rank_1_percent", 3, ""));
    make_log(&m->logs[0], "sgd", 0.25, 1);
    make_log(&m->logs[1], "kfac", 0.20, 4);
    m->r = (fim_reproduction){.net = "curves",
                              .drawn = &m->drawn,
                              .exact = &m->exact,
                              .layers = &m->layers,
                              .krylov = &m->krylov,
                              .logs = m->logs,
                              .n_logs = 2};
    write_text_file(folder, "facts.csv", facts, path);
    sample_must(fim_paper_read(path, &m->paper));
    write_text_file(folder, "losses.csv", losses, path);
    sample_must(fim_paper_read(path, &m->paper));
}

// The line of the CSV that begins with `head`, up to its end.
static const char *line_of(const char *csv, const char *head, char line[static 1024]) {
    const char *at = strstr(csv, head);
    cr_assert(at != NULL, "no line %s in\n%s", head, csv);
    snprintf(line, 1024, "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static void has(const char *csv, const char *head, const char *part) {
    char line[1024];
    cr_assert(strstr(line_of(csv, head, line), part) != NULL, "'%s' lacks '%s'", line, part);
}

Test(verdict, rows_agree_and_differ_as_they_should) {
    made m;
    char *csv = NULL;
    make(&m, scratch());
    sample_must(fim_reproduction_csv(&m.r, 1, &m.paper, &csv));
    // (0.45 + 0.47)/2 is within 15 % of 0.45; (0.11 + 0.13)/2 is not near 0.25.
    has(csv, "curves,errors,\"Error 1 of kfac, iterations 80 to 100\",0.45", ",agrees,\"\"");
    has(csv, "curves,errors,\"Error 1 of kpsvd", "0.25,0.12,0.12,");
    has(csv, "curves,errors,\"Error 1 of kpsvd", ",differs,\"the least error");
    // Between 0.00001 and 0.012, and 0.011 is within: nothing is known.
    has(csv, "curves,errors,\"Error 2 of kpsvd", ",open,\"only bounds are known, 1.000e-05 to 0.01200");
    has(csv, "curves,errors,\"Error 1 of lanczos",
        "a Krylov space of 2 steps has 0.1300, one of 30 steps 0.06000");
    has(csv, "curves,errors,\"largest Error 1 of kfac\",1.3", "1.5,1.5");
    has(csv, "curves,errors,\"largest Error 1 of kfac\"", ",agrees,");
    has(csv, "curves,losses,\"sgd, epoch 2\",0.2", ",differs,\"rate 0.5000 here, 0.3000 published; ");
    has(csv, "curves,losses,\"sgd, epoch 2\"", "entropy of our images, 0.1000, it is 0.1500");
    has(csv, "curves,losses,\"kfac, epoch 2\",", ",agrees,\"\"");
    has(csv, "curves,losses,\"sgd, epoch 10\",", ",not run,\"2 epochs of 10 were run\"");
    has(csv, "curves,times,\"kfac\",2,4,", ",differs,\"an epoch of SGD takes 1 s on their GPU, 1 s here");
    cr_assert(strstr(csv, "mnist") == NULL);
}

// A published epoch has the iterations of two of ours, whose losses are 0.35 and 0.25.
Test(verdict, shorter_epochs_are_put_together) {
    made m;
    char *csv = NULL;
    make(&m, scratch());
    m.r = (fim_reproduction){.net = "faces", .logs = m.logs, .n_logs = 1};
    sample_must(fim_reproduction_csv(&m.r, 1, &m.paper, &csv));
    has(csv, "faces,losses,\"sgd, epoch 1\",", ",0.29999999999999999,");
    has(csv, "faces,losses,\"sgd, epoch 1\",", ",agrees,");
}

Test(verdict, the_findings_have_their_numbers) {
    made m;
    char *text = NULL;
    make(&m, scratch());
    sample_must(fim_reproduction_table(&m.r, 1, &m.paper, &text));
    static const char *const parts[] = {
        "0.1300 after 2 Krylov steps, 0.06000 after 30 Krylov steps; KPSVD 0.1300, DEFLATION 0.06000",
        "the Fisher of one drawn label per sample is 0.2500 to 0.2500 away",
        "KPSVD and DEFLATION are 0.07000 apart (0.1300 and 0.06000)",
        "maximum of 1.500 at iteration 0 (exact Fisher: 1.500); it is above 1",
        "at most 2.0 % above KPSVD",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_assert(strstr(text, parts[i]) != NULL, "'%s' is missing in\n%s", parts[i], text);
}

Test(verdict, the_page_needs_no_other_file) {
    made m;
    char path[300], figures[300], file[64];
    const char *folder = scratch();
    make(&m, folder);
    snprintf(path, sizeof path, "%s/index.html", folder);
    snprintf(figures, sizeof figures, "%s/figures", folder);
    if (system("gnuplot --version >/dev/null 2>&1") != 0)
        cr_skip_test("gnuplot is not installed");
    sample_must(fim_reproduction_page(&m.r, 1, &m.paper, "made up", figures, path, NULL));
    const char *page = read_text(folder, "index.html");
    snprintf(file, sizeof file, "curves-krylov.svg");
    cr_assert(strstr(read_text(figures, file), "<svg") != NULL);
    const char *ranks = read_text(figures, "curves-layer-ranks.dat");
    cr_assert(strstr(ranks, " 2 7\n") != NULL && strstr(ranks, " 5 3\n") != NULL, "by the layers' names: %s",
              ranks);
    size_t pictures = 0;
    for (const char *at = page; (at = strstr(at, "<img")) != NULL; at++) {
        const char *source = strstr(at, "src=\""), *end = strchr(at, '>');
        cr_assert(source != NULL && source < end &&
                  strncmp(source + 5, "data:image/svg+xml;base64,PD94", 30) == 0);
        pictures++;
    }
    cr_assert(pictures >= 8, "%zu pictures", pictures);
    cr_assert(strstr(page, "http") == NULL && strstr(page, "<script") == NULL);
}

Test(verdict, bad_files_are_named_with_their_line) {
    fim_paper paper = {0};
    char path[300], part[340];
    static const struct {
        const char *content, *where;
    } bad[] = {{"", "is empty"},
               {"a,b\n", "line 1 is neither"},
               {"network,quantity,method,at,value\ncurves,x,kfac,1\n", "line 2: has not the fields"},
               {"network,quantity,method,at,value\ncurves,x,kfac,,y\n", "line 2: the value"}};
    const char *folder = scratch();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text_file(folder, "bad.csv", bad[i].content, path);
        cr_assert(eq(int, fim_paper_read(path, &paper), i == 3 ? FIM_ERR_ARGUMENT : FIM_ERR_FORMAT), "%s",
                  fim_message());
        snprintf(part, sizeof part, "%s: %s", path, bad[i].where);
        cr_assert(strstr(fim_message(), part) != NULL, "'%s' lacks '%s'", fim_message(), part);
    }
    cr_assert(eq(int, fim_paper_read("/nowhere.csv", &paper), FIM_ERR_IO));
}
