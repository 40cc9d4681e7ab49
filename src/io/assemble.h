// What the files of assemble share: layers as groups of tensors.
#ifndef FIM_IO_ASSEMBLE_H
#define FIM_IO_ASSEMBLE_H

#include "arch.h"
#include "chain.h"
#include "format.h"
#include "names.h"

enum { GROUPS_LIMIT = 10000 };

typedef struct group { // of tensors: a linear map or a normalisation
    char name[FIM_NAME];
    fim_tensor *part[FIM_ROLES]; // NULL where there is none
    int in_out;
    size_t first;           // place in the file
    const char *activation; // that follows, or NULL
} group;

typedef struct assembly {
    fim_tensors *tensors;
    const char *path;
    fim_arch arch;
    const char *activation; // of the hidden layers, or NULL
    bool listed;            // the groups are those of a description, in its order
    size_t n;
    group *groups;
    fim_chain chain;
} assembly;

static inline bool assembly_is_norm(const group *g) {
    return g->part[FIM_ROLE_MEAN] != NULL || g->part[FIM_ROLE_VARIANCE] != NULL;
}

// Groups the tensors: by their names, or as the description lists them.
fim_status assembly_group(assembly *a);
// By the names of the matrices, where they agree, 1 when they are stored as (inputs, outputs), 0 when as
// (outputs, inputs); −1 else.
int assembly_layout_by_names(const assembly *a);
// Puts the groups in order and finds the layout of the matrices, as for assembly_layout_by_names. *fit tells
// how many groups fit together from the first one on.
fim_status assembly_arrange(assembly *a, int *layout, size_t *fit);

// A comparison of groups for qsort: by name, letter by letter, then by place in the file.
int assembly_by_exact_name(const void *x, const void *y);

#endif
