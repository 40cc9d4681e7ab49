// The figures of a layer: the errors of its approximations as bars, the spectra of the block and of the
// approximations, where not all eigenvalues are known their density, and the Kronecker spectrum with the
// error it leaves to R terms.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

void put_layer_names(draft *d, const layer_row *row, const char *prefix, const char *what,
                     const char *title) {
    char heading[256], subtitle[512], stem[128], d_a[24], d_g[24], samples[24];
    fputs(prefix, d->name.stream);
    fputs("layer-", d->name.stream);
    put_file_name(d->name.stream, row->layer->name);
    fprintf(d->name.stream, "-%s", what);
    snprintf(heading, sizeof heading, "Layer %s (%s × %s): %s", row->layer->name,
             format_number("d_a", value_or_nan(row->layer, "d_a"), d_a),
             format_number("d_g", value_or_nan(row->layer, "d_g"), d_g), title);
    fputs(heading, d->title.stream);
    file_stem(text_or_empty(row->checkpoint, "file"), stem, sizeof stem);
    snprintf(subtitle, sizeof subtitle, "Fisher %s, %s samples, %s", text_or_empty(row->layer, "fisher"),
             format_number("samples", value_or_nan(row->layer, "samples"), samples), stem);
    put_heading(d->script.stream, heading, subtitle);
}

// ---- Errors ----

static bool any_value(const fim_record *layer, const char *name) {
    for (size_t m = 0; m < layer->n_children; m++)
        if (isfinite(value_or_nan(&layer->children[m], name)))
            return true;
    return false;
}

// The floor of a Kronecker sum is a Frobenius error: a line across the bars.
static void put_floors(FILE *script, const fim_record *layer) {
    const double floors[] = {value_or_nan(layer, "floor_1"), value_or_nan(layer, "floor_2")};
    static const char *const texts[] = {"best 1 term", "best 2 terms"};
    for (size_t i = 0; i < 2; i++)
        if (floors[i] > 0)
            fprintf(script, ", \\\n     %.17g with lines lw 1 dt %s lc rgb '#222222' title '%s'", floors[i],
                    i == 0 ? "'-'" : "'.'", texts[i]);
}

// The standard errors of a mean of repeats; where there are none, nothing.
static bool any_errors(const fim_record *layer, const char *name) {
    char error[64];
    snprintf(error, sizeof error, "%s_se", name);
    return any_value(layer, error);
}

static fim_status errors(const layer_row *row, const char *prefix, figure_list *list) {
    static const struct {
        const char *name, *error, *title;
    } series[] = {{"frobenius_error", "frobenius_error_se", "Frobenius error"},
                  {"spectrum_error", "spectrum_error_se", "spectrum error"}};
    const fim_record *layer = row->layer;
    fim_status status = FIM_OK;
    draft d = {0};
    range axis = RANGE_EMPTY;
    size_t shown[2], n_shown = 0;
    for (size_t i = 0; i < 2; i++)
        if (any_value(layer, series[i].name))
            shown[n_shown++] = i;
    if (n_shown == 0)
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    put_layer_names(&d, row, prefix, "errors", "approximation errors");
    FILE *data = d.data.stream, *script = d.script.stream;

    fputs("# method", data);
    for (size_t i = 0; i < n_shown; i++)
        put_quoted(data, series[shown[i]].name);
    for (size_t i = 0; i < n_shown; i++)
        put_quoted(data, series[shown[i]].error);
    putc('\n', data);
    for (size_t m = 0; m < layer->n_children; m++) {
        const fim_record *method = &layer->children[m];
        put_quoted(data, method->name);
        for (size_t i = 0; i < n_shown; i++)
            put_number(data, value_or_nan(method, series[shown[i]].name));
        for (size_t i = 0; i < n_shown; i++)
            put_number(data, value_or_nan(method, series[shown[i]].error));
        for (size_t i = 0; i < n_shown; i++)
            range_widen(&axis, value_or_nan(method, series[shown[i]].name));
        putc('\n', data);
    }

    range_widen(&axis, value_or_nan(layer, "floor_1"));
    range_widen(&axis, value_or_nan(layer, "floor_2"));

    double n = (double)layer->n_children;
    fprintf(script,
            "set style fill solid 1.0 noborder\n"
            "set style textbox opaque noborder margins 0.2,0.1 fillcolor '#ffffff'\n"
            "set xtics rotate by 30 right noenhanced scale 0\n"
            "set xrange [-0.6:%.1f]\n"
            "set ylabel 'relative error'\nset rmargin 2\n"
            "numbers = narrow ? 'boxed rotate by 90 left offset 0,0.5' : 'boxed offset 0,0.7'\n"
            // As many digits as the width of a bar has room for.
            "number(e) = sprintf(e >= 0.095 ? '%%.2f' : e >= 0.00095 ? '%%.3f' : '%%.0e', e)\n",
            n - 0.4);
    put_error_axis(script, &axis);
    put_low(script, &axis);
    put_legend(script, false);
    double width = 0.8 / (double)n_shown;
    for (size_t i = 0; i < n_shown; i++) {
        double shift = ((double)i - ((double)n_shown - 1) / 2) * width;
        fprintf(script, "%s data using ($0%+.3f):%zu:(%.3f)%s with boxes lc rgb colour_%zu title '%s'",
                i == 0 ? "plot" : ", \\\n    ", shift, i + 2, 0.92 * width, i == 0 ? ":xtic(1)" : "",
                shown[i] + 1, series[shown[i]].title);
    }
    put_floors(script, layer);
    for (size_t i = 0; i < n_shown; i++)
        if (any_errors(layer, series[shown[i]].name))
            fprintf(script,
                    ", \\\n     data using ($0%+.3f):(low($%zu, $%zu)):(0):($%zu + $%zu - low($%zu, $%zu)) "
                    "with vectors heads size char 0.25,90 lw 1 lc rgb '#000000'",
                    ((double)i - ((double)n_shown - 1) / 2) * width, i + 2, i + 2 + n_shown, i + 2,
                    i + 2 + n_shown, i + 2, i + 2 + n_shown);
    for (size_t i = 0; i < n_shown; i++) { // after all bars, so that none covers a number
        double shift = ((double)i - ((double)n_shown - 1) / 2) * width;
        fprintf(script, ", \\\n     data using ($0%+.3f):", shift);
        if (any_errors(layer, series[shown[i]].name))
            fprintf(script, "($%zu + $%zu)", i + 2, i + 2 + n_shown);
        else
            fprintf(script, "%zu", i + 2);
        fprintf(script, ":(number($%zu)) with labels @numbers font points(0.7) textcolor rgb '#333333'",
                i + 2);
    }
    putc('\n', script);
    double points = 180 + 82 * n;
    FIM_TRY(draft_close(&d, points > 760 ? points : 760, 460, list));
out:
    draft_discard(&d);
    return status;
}

// ---- Spectra ----

// The next index of a long curve to draw: all of the first, then about 60 a decade, which no eye tells from
// all. The last one always.
static size_t next_index(size_t i, size_t n) {
    size_t next = i + 1 + i / 26;
    return next < n || i + 1 >= n ? next : n - 1;
}

static fim_status spectra(const layer_row *row, const char *prefix, figure_list *list) {
    const fim_record *layer = row->layer;
    const fim_curve *block = fim_record_curve(layer, "eigenvalues");
    fim_status status = FIM_OK;
    draft d = {0};
    if (block == NULL || block->values->size == 0 || !(gsl_vector_get(block->values, 0) > 0))
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    put_layer_names(&d, row, prefix, "spectra", "spectra");
    FILE *data = d.data.stream, *script = d.script.stream;

    size_t longest = block->values->size;
    double largest = gsl_vector_get(block->values, 0), smallest = INFINITY;
    fputs("# index F", data);
    for (size_t m = 0; m < layer->n_children; m++) {
        const fim_curve *c = fim_record_curve(&layer->children[m], "eigenvalues");
        put_quoted(data, layer->children[m].name);
        if (c != NULL && c->values->size > longest)
            longest = c->values->size;
    }
    putc('\n', data);
    for (size_t i = 0; i < longest; i = next_index(i, longest)) {
        fprintf(data, "%zu", i + 1);
        for (size_t m = 0; m <= layer->n_children; m++) {
            const fim_curve *c = m == 0 ? block : fim_record_curve(&layer->children[m - 1], "eigenvalues");
            double value = c != NULL && i < c->values->size ? gsl_vector_get(c->values, i) : (double)NAN;
            put_number(data, value);
            if (value > 0 && value < smallest)
                smallest = value;
            if (value > largest)
                largest = value;
        }
        putc('\n', data);
    }

    const double rounding = 1e-10; // below it, relative to the largest, eigenvalues are near noise
    double floor = smallest > rounding * largest ? smallest : rounding * largest;
    fputs("set logscale xy\n"
          "set format y '10^{%T}'\nunset mytics\n"
          "set xlabel 'index i'\nset ylabel 'eigenvalue λ_i, in the unit of F'\n",
          script);
    put_legend(script, true);
    fprintf(script,
            "set xrange [0.9:%.0f]\nset yrange [%.3g:%.3g]\n"
            "plot data using 1:($2 > 0 ? $2 : NaN) with lines lw 4 lc rgb '#b8b8b8' title 'F'",
            1.2 * (double)longest, floor / 2, largest * 2);
    for (size_t m = 0; m < layer->n_children; m++) {
        if (fim_record_curve(&layer->children[m], "eigenvalues") == NULL)
            continue;
        fprintf(script, ", \\\n     data using 1:($%zu > 0 ? $%zu : NaN) with linespoints", m + 3, m + 3);
        put_line(script, layer->children[m].name, 0);
        fprintf(script, " pi -%d title '", 24);
        put_gnuplot(script, layer->children[m].name);
        putc('\'', script);
    }
    putc('\n', script);
    FIM_TRY(draft_close(&d, 860, 500, list));
out:
    draft_discard(&d);
    return status;
}

// ---- Spectral density ----

// How many eigenvalues exceed λ, D Σ w over the nodes above it, beside the leading ones themselves: on these
// axes no width of a kernel or a bin has to be chosen. A quadrature resolves down to some share of the
// largest eigenvalue, and counts all that are smaller at its last node.
static fim_status density(const layer_row *row, const char *prefix, figure_list *list) {
    const fim_curve *nodes = fim_record_curve(row->layer, "density_nodes");
    const fim_curve *weights = fim_record_curve(row->layer, "density_weights");
    const fim_curve *leading = fim_record_curve(row->layer, "eigenvalues");
    const double parameters = value_or_nan(row->layer, "parameters");
    fim_status status = FIM_OK;
    draft d = {0};
    if (nodes == NULL || weights == NULL || weights->values->size != nodes->values->size || leading == NULL ||
        leading->values->size == 0 || !(gsl_vector_get(leading->values, 0) > 0) || !(parameters >= 1))
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    put_layer_names(&d, row, prefix, "density", "spectral density of F");
    FILE *data = d.data.stream, *script = d.script.stream;

    const double largest = gsl_vector_get(leading->values, 0), rounding = 1e-10 * largest;
    double above = 0, smallest = largest;
    fputs("# lambda eigenvalues_above_it_by_quadrature\n", data);
    for (size_t i = 0; i < nodes->values->size; i++) { // in decreasing order
        const double node = gsl_vector_get(nodes->values, i);
        if (!(node > rounding))
            continue;
        above += parameters * gsl_vector_get(weights->values, i);
        smallest = node < smallest ? node : smallest;
        put_number(data, node);
        put_number(data, above);
        putc('\n', data);
    }
    fputs("\n\n# lambda_i i\n", data);
    for (size_t i = 0; i < leading->values->size; i++) {
        put_number(data, gsl_vector_get(leading->values, i));
        fprintf(data, " %zu\n", i + 1);
    }

    fputs("set logscale xy\n"
          "set format x '10^{%T}'\nset format y '10^{%T}'\nunset mxtics\nunset mytics\n"
          "set xlabel 'λ, in the unit of F'\nset ylabel 'eigenvalues above λ'\n",
          script);
    put_legend(script, false);
    fprintf(script,
            "set xrange [%.3g:%.3g]\nset yrange [0.5:%.17g]\n"
            "set label 'those too small to be told apart stand at the left end' at graph 0.03, 0.06 "
            "font points(0.87) textcolor rgb '#222222'\n"
            "plot data index 0 using 1:($2 >= 0.5 ? $2 : NaN) with steps lw 1.4 lc rgb colour_1 "
            "title 'quadrature', \\\n"
            "     data index 1 using 1:2 with points pt 7 lc rgb '#000000' "
            "title 'the leading %zu'\n",
            smallest / 2, largest * 2, 2 * parameters, leading->values->size);
    FIM_TRY(draft_close(&d, 760, 460, list));
out:
    draft_discard(&d);
    return status;
}

// ---- Kronecker spectrum ----

static fim_status kronecker(const layer_row *row, const char *prefix, figure_list *list) {
    const fim_curve *curve = fim_record_curve(row->layer, "kronecker_singular_values");
    fim_status status = FIM_OK;
    draft d = {0};
    double *left = NULL; // left[R]: the relative error of the best R terms
    if (curve == NULL || curve->values->size == 0 || !(gsl_vector_get(curve->values, 0) > 0))
        return FIM_OK;
    const gsl_vector *sigma = curve->values;
    const size_t n = sigma->size;
    FIM_TRY(fim_alloc(n + 1, sizeof *left, "the floors of a figure", &left));
    const double rest = value_or_nan(row->layer, "kronecker_tail_norm"); // of a list that is not complete
    left[n] = isfinite(rest) ? rest * rest : 0;
    for (size_t i = n; i-- > 0;) // from the small end, where nothing is lost
        left[i] = left[i + 1] + gsl_vector_get(sigma, i) * gsl_vector_get(sigma, i);
    const double norm = sqrt(left[0]);
    for (size_t i = 0; i <= n; i++)
        left[i] = sqrt(left[i]) / norm;

    FIM_TRY(draft_open(&d));
    put_layer_names(&d, row, prefix, "kronecker", "Kronecker spectrum");
    FILE *data = d.data.stream, *script = d.script.stream;
    fputs("# i sigma_i sigma_i/sigma_1 error_of_the_best_i_terms\n", data);
    for (size_t i = 0; i < n; i = next_index(i, n)) {
        double value = gsl_vector_get(sigma, i);
        fprintf(data, "%zu", i + 1);
        put_number(data, value);
        put_number(data, value / gsl_vector_get(sigma, 0));
        put_number(data, left[i + 1]);
        putc('\n', data);
    }

    double rank = value_or_nan(row->layer, "rank_1_percent");
    if (isfinite(rank))
        fprintf(
            script,
            "set arrow from graph 0, first 0.01 to graph 1, first 0.01 nohead lw 1 dt '.' lc rgb '#222222'\n"
            "set arrow from %.0f, 0.01 to %.0f, graph 0 nohead lw 1 dt '.' lc rgb '#222222'\n"
            "set label '1 %% with R = %.0f' at graph %s, first 0.01 %s offset 0,%s font points(0.87) "
            "textcolor rgb '#222222'\n",
            rank, rank, rank, rank * rank > (double)n ? "0.02" : "0.98",
            rank * rank > (double)n ? "left" : "right", rank * rank > (double)n ? "-0.7" : "0.7");
    double least = gsl_vector_get(sigma, n - 1) / gsl_vector_get(sigma, 0);
    fprintf(script, "set xrange [0.9:%.0f]\nset yrange [%.3g:2]\n", 1.2 * (double)n,
            least > 1e-10 ? least / 2 : 1e-10);
    fputs("set logscale xy\n"
          "set format y '10^{%T}'\nunset mytics\n"
          "set xlabel 'index i, number of terms R'\nset ylabel 'relative size'\n"
          "few(i) = i <= 10 ? i : NaN\n", // points where one counts terms
          script);
    put_legend(script, false);
    fputs("set key enhanced\n"
          "plot data using 1:($3 > 0 ? $3 : NaN) with lines lw 1.4 lc rgb colour_1 "
          "title 'σ_i / σ_1', \\\n"
          "     data using (few($1)):3 with points pt 7 lc rgb colour_1, \\\n"
          "     data using 1:($4 > 0 ? $4 : NaN) with lines lw 1.4 dt '-' lc rgb colour_2 "
          "title 'error of the best R terms', \\\n"
          "     data using (few($1)):4 with points pt 5 lc rgb colour_2\n",
          script);
    FIM_TRY(draft_close(&d, 760, 460, list));
out:
    draft_discard(&d);
    free(left);
    return status;
}

fim_status figures_of_layer(const layer_row *row, const char *prefix, figure_list *list) {
    fim_status status = FIM_OK;
    FIM_TRY(errors(row, prefix, list));
    FIM_TRY(spectra(row, prefix, list));
    FIM_TRY(density(row, prefix, list));
    FIM_TRY(kronecker(row, prefix, list));
    FIM_TRY(figures_of_steps(row, prefix, list));
out:
    return status;
}
