// fim/approx.h - the approximations of a Fisher block: one file each in src/approx, one line each in
// approximations.def.
#ifndef FIM_APPROX_H
#define FIM_APPROX_H

#include "fim/fisher.h"
#include "fim/op.h"

typedef struct fim_approx_options {
    size_t rank;         // terms R, for the methods that take one
    double tolerance;    // relative residual of the iterative methods; 0 takes 1e-10
    size_t max_products; // products with R(F) or its transpose; 0 takes 2000
    size_t krylov_steps; // of Golub-Kahan-Lanczos, which then ends unconverged; 0: until it converges
    uint64_t seed;       // of the starting vectors
    // An earlier result of the same method for a similar block, from which the iterations start; or NULL.
    const fim_op *previous;
} fim_approx_options;

// What an iterative method reached; `iterative` is false for closed forms.
typedef struct fim_approx_info {
    bool iterative;
    size_t products;
    double residual; // relative, the larger of both sides
    bool converged;
    double inner; // ⟨F, the operator⟩ where the build knows it, as those of F's own diagonals do; else NAN
} fim_approx_info;

typedef fim_status fim_approx_build_fn(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                                       fim_approx_info *info);

typedef struct fim_approx {
    const char *name;
    bool takes_rank;     // "name:R" is accepted
    size_t default_rank; // terms without ":R"
    fim_approx_build_fn *build;
    const char *about; // one line, for help and reports
} fim_approx;

// The registry, in the order of reports; *count entries.
const fim_approx *fim_approx_list(size_t *count);

// A method as the user named it: "kfac", "kpsvd:3".
typedef struct fim_method {
    char name[32];
    const fim_approx *approx;
    size_t rank;
} fim_method;

// FIM_ERR_UNKNOWN lists the known names.
fim_status fim_method_parse(const char *text, fim_method *out);
// Comma-separated methods, or "all" (every registered one); duplicates are dropped. *out is malloc'ed.
fim_status fim_method_parse_list(const char *text, fim_method **out, size_t *count);

// Builds method's operator for f. options->rank is replaced by the method's. FIM_NOT_CONVERGED is the one
// failure that still sets *out (the best found) and *info.
fim_status fim_approx_build(const fim_method *method, const fim_fisher *f, const fim_approx_options *options,
                            fim_op **out, fim_approx_info *info);

#endif
