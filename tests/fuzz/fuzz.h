// What the fuzz targets share. Each is one reader: LLVMFuzzerTestOneInput gives it bytes that may be
// anything, and the reader must come back with a status, without a crash, a leak or an allocation beyond its
// budget.
//
// The same targets are built twice: with clang's libFuzzer, which makes the bytes (tests/fuzz/run.sh), and
// with replay.c, which takes them from the files of tests/fuzz/corpus, as tests of the suite.
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "fim/io.h"

enum { FUZZ_BUDGET = 1 << 26 }; // bytes that a reader may take

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// How many inputs were read to their end.
extern size_t fuzz_taken;

// The path of a file in $TMPDIR that holds the bytes, until the next call.
const char *fuzz_file(const uint8_t *data, size_t size);

// What a reader came back with: a refusal must say in one line what is wrong.
void fuzz_judge(fim_status status);

// Judges what work(context) comes back with: run here, or, for readers of HDF5, whose library crashes on
// crafted files, in the child that the tools use, except where libFuzzer is to see the reader at work. (Readers
// of whole files, which make the child themselves, are judged directly.)
void fuzz_run(const char *path, fim_status (*work)(void *context), void *context);

#endif
