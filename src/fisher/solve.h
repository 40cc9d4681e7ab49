// What the ways of solving with F + λ I share.
#ifndef FIM_SRC_FISHER_SOLVE_H
#define FIM_SRC_FISHER_SOLVE_H

#include "block.h"

struct fim_solver {
    const fim_fisher *f;
    fim_solver_options options;
    const struct solver_way *way;
    double damping;      // 0 before fim_solver_damp
    gsl_matrix *part;    // (rows, rows): the Gram matrix or F itself, undamped; or NULL
    gsl_matrix **factor; // (factors): Cholesky factors of what is damped
    size_t factors;
    fim_op *nearby; // the operator that preconditions, and its damped inverse
    fim_inverse preconditioner;
};

typedef struct solver_way {
    // Whether it can and should be taken for that block and those options.
    bool (*fits)(const fim_fisher *f, const fim_solver_options *options);
    fim_status (*prepare)(fim_solver *s);
    fim_status (*damp)(fim_solver *s); // at s->damping
    // y = (F + λI)⁻¹ x. The iteration starts from y and fills products and residual; the others are direct.
    fim_status (*solve)(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info);
    double (*log_det)(const fim_solver *s);
    void (*tell)(const fim_solver *s, char route[static 64]);
    bool direct;
} solver_way;

// In the order of preference; the last one always fits.
extern const solver_way solver_gram, solver_outputs, solver_dense, solver_iteration;

#endif
