// Reading files of unknown origin in a process of its own, and bringing home what was found.
//
// A reader runs in a forked child that may use only so much memory and time, can write nothing, and has
// nothing else open (sandbox.c). What it found comes back through a pipe as a parcel (parcel.c). One function
// per kind of content describes a parcel for both directions, so that the two cannot disagree; the parent
// believes nothing: counts, lengths and texts are checked, numbers are finite where they must be, and memory
// is taken within the budget.
//
//     static fim_status work(void *context);                        // in the child: reads into context
//     static fim_status exchange(fim_parcel *p, void *context);     // child: sends, parent: receives
//     status = fim_sandbox_run(&(fim_sandbox_job){path, budget, work, exchange}, &context);
//
// The child may call neither OpenMP nor BLAS, whose threads it does not have and cannot make: libgomp would
// end it.
#ifndef FIM_IO_SANDBOX_H
#define FIM_IO_SANDBOX_H

#include "fim/io.h"

typedef struct fim_parcel fim_parcel;

typedef struct fim_sandbox_job {
    const char *path; // the file that is read, as the user named it
    size_t budget;    // bytes of memory that its content may take
    fim_status (*work)(void *context);
    // Sends what is in context, or receives into it; failing to receive, it releases what it took and leaves
    // context as it was.
    fim_status (*exchange)(fim_parcel *parcel, void *context);
} fim_sandbox_job;

// Runs work in a child and fills the parent's context by exchange; the status and the message of a failure
// are those of work. FIM_ERR_FORMAT when the child crashes, takes too long or answers nonsense, FIM_ERR_IO
// when there can be no child, FIM_CANCELLED when it was interrupted. With fim_io_sandbox(false) simply work.
fim_status fim_sandbox_run(const fim_sandbox_job *job, void *context);

// ---- Parcels ----
//
// Every function sends the value, or receives and checks it; FIM_ERR_FORMAT is an answer that is no answer.

bool fim_parcel_receiving(const fim_parcel *parcel);
// A whole number from `low` to `high`.
fim_status fim_parcel_size(fim_parcel *parcel, size_t *value, size_t low, size_t high);
fim_status fim_parcel_flag(fim_parcel *parcel, bool *value);
// Any number, NAN included.
fim_status fim_parcel_real(fim_parcel *parcel, double *value);
// A printable UTF-8 text in a field of `size` bytes.
fim_status fim_parcel_field(fim_parcel *parcel, char *field, size_t size);
// The same of at most `limit` bytes, malloc'ed; NULL stands for none.
fim_status fim_parcel_text(fim_parcel *parcel, char **text, size_t limit);
// `count` entries of `size` bytes that may hold anything, malloc'ed; NULL stands for none.
fim_status fim_parcel_array(fim_parcel *parcel, void *array, size_t count, size_t size);
// A matrix, or NULL. The bytes on the sender's side are given back to the system as they leave: it must not
// look at the matrix again.
fim_status fim_parcel_matrix(fim_parcel *parcel, gsl_matrix **matrix, bool finite);
fim_status fim_parcel_vector(fim_parcel *parcel, gsl_vector **vector);
// A record with all that it holds.
fim_status fim_parcel_record(fim_parcel *parcel, fim_record *record);

// ---- Shared by the files of the sandbox ----

struct fim_parcel {
    int pipe;
    bool receiving;
    size_t left;     // bytes that may still be taken, by the receiver
    int patience;    // receiver: seconds of silence after which the sender is given up
    bool silent;     // receiver: it was given up
    bool ended;      // receiver: the sender closed its end
    size_t at, held; // what is in the buffer
    unsigned char buffer[1 << 14];
};

// Sends what waits in the buffer.
fim_status fim_parcel_flush(fim_parcel *parcel);

#endif
