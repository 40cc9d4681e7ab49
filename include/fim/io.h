// fim/io.h - files: checkpoints, data sets, blocks, reports, run logs, and their provenance. HDF5 is called
// here alone.
//
// Files come from other people: content is sniffed, every size is checked before it is allocated, links never
// leave the file, numbers that are not finite are refused at the door. Files are written whole or not at all.
#ifndef FIM_IO_H
#define FIM_IO_H

#include "fim/fisher.h"
#include "fim/net.h"

// Switches HDF5's error printing off; once per program.
void fim_io_setup(void);
// Whether files are parsed in a child process with limits on memory, time and system calls, whose crash is an
// error message (src/io/sandbox.c). True at the start; for the whole program.
void fim_io_sandbox(bool on);
// "HDF5 1.10.8, zlib 1.2.13, libzip 1.7.3, protobuf-c 1.4.1" in buffer: the libraries in use.
const char *fim_io_describe(char *buffer, size_t size);

// ---- Records: named numbers, texts and curves; the common coin of reports and logs ----

typedef struct fim_value {
    char name[40];
    double value;   // NAN when it was not computed
    char note[200]; // how it was computed; for NAN, why it was not
} fim_value;

typedef struct fim_text {
    char *name, *text;
} fim_text;

typedef struct fim_curve {
    char name[40];
    gsl_vector *values;
    char note[200];
} fim_curve;

typedef struct fim_table { // a named matrix, e.g. a factor
    char name[40];
    gsl_matrix *values;
} fim_table;

typedef struct fim_record {
    char name[64];
    size_t n_values, n_texts, n_curves, n_tables, n_children;
    fim_value *values;
    fim_text *texts;
    fim_curve *curves;
    fim_table *tables;
    struct fim_record *children; // sub-records, in order
} fim_record;

void fim_record_init(fim_record *record, const char *name);
void fim_record_clear(fim_record *record);
// Adds, or replaces what has the same name. Notes and texts are copied, curves and tables taken over (freed
// on failure).
fim_status fim_record_set(fim_record *record, const char *name, double value, const char *note);
fim_status fim_record_set_text(fim_record *record, const char *name, const char *text);
fim_status fim_record_set_curve(fim_record *record, const char *name, gsl_vector *values, const char *note);
fim_status fim_record_set_table(fim_record *record, const char *name, gsl_matrix *values);
// A new empty child at the end; the pointer holds until the next addition to the same record.
fim_status fim_record_add_child(fim_record *record, const char *name, fim_record **child);
// NULL when there is none.
const fim_value *fim_record_value(const fim_record *record, const char *name);
const char *fim_record_text(const fim_record *record, const char *name);
const fim_curve *fim_record_curve(const fim_record *record, const char *name);
const fim_table *fim_record_table(const fim_record *record, const char *name);
const fim_record *fim_record_child(const fim_record *record, const char *name);

// A record as an HDF5 file: numbers and texts become attributes (a missing number is written as the text
// attribute "<name>_why"; the note of a present one as "<name>_route"), curves and tables data sets with
// attribute "note", children groups (with attribute "index", their order). A child name may hold '/', which
// makes nested groups of it: they are read back as the nested children they are. "/layers" is a second name
// of "/checkpoints/0/layers" where there is such a group, and is not read back. The root carries `format` and
// `version`.
fim_status fim_record_write(const fim_record *record, const char *format, const char *path, bool overwrite);
// FIM_ERR_FORMAT when the file is of another format. *record is initialised on success.
fim_status fim_record_read(const char *path, const char *format, size_t budget, fim_record *record);

// ---- Provenance ----

// Adds to record: tool (its name and the library's version, "fim-analyze 0.1.0"), command_line, date (ISO
// 8601, UTC), machine (processor, cores, system), blas, threads.
fim_status fim_provenance_add(fim_record *record, const char *tool, int argc, char *const *argv);
// Adds input_<k> = path and input_<k>_sha256 for the next free k; of generated data ("curves:100:1",
// "faces:100:1:FILE") the sum is that of the file it is made of, if there is one.
fim_status fim_provenance_add_input(fim_record *record, const char *path);

// ---- What a file is ----

typedef enum fim_file_kind {
    FIM_FILE_CHECKPOINT, // fim-checkpoint
    FIM_FILE_BLOCKS,     // fim-blocks, fim-capture
    FIM_FILE_REPORT,     // fim-report
    FIM_FILE_RUN,        // fim-run
    FIM_FILE_STATE,      // fim-state: what a training run needs to go on
    FIM_FILE_DATA,       // a data set in any of the known formats
} fim_file_kind;

// By content. FIM_ERR_IO when it cannot be read, FIM_ERR_FORMAT when it is none of them.
fim_status fim_file_sniff(const char *path, fim_file_kind *out);
// The root attributes of an HDF5 file of ours, whatever its format: provenance, and what was put beside it.
// *record is initialised on success.
fim_status fim_file_attributes(const char *path, fim_record *record);

// ---- Checkpoints (include/fim/formats.def) ----

// What the user says about a file that does not tell it all. NULL: nothing.
typedef struct fim_checkpoint_options {
    const char *activation; // of all layers but the last
    const char *likelihood;
    const char *arch; // a JSON file that describes the network (README.md has its keys)
} fim_checkpoint_options;

// A network and how the file was understood.
typedef struct fim_checkpoint {
    fim_net net;
    char format[64]; // "safetensors"
    char **sources;  // per layer, where its numbers come from: "fc1.weight, fc1.bias"
    size_t n_notes;  // remarks, one line each: what was folded, skipped or taken for granted
    char **notes;
} fim_checkpoint;

void fim_checkpoint_clear(fim_checkpoint *checkpoint);
// Clears all but the network, which becomes the caller's.
fim_net fim_checkpoint_take(fim_checkpoint *checkpoint);
// The network in a file of any known format, and how it was understood; options may be NULL. The network has
// passed fim_net_check. FIM_ERR_FORMAT, FIM_ERR_SHAPE or FIM_ERR_VALUE name file, tensor and remedy.
fim_status fim_checkpoint_load(const char *path, size_t budget, const fim_checkpoint_options *options,
                               fim_checkpoint *out);
// The network alone, from a file that tells all about it.
fim_status fim_checkpoint_read(const char *path, size_t budget, fim_net *out);
// `extra` (provenance, epoch, ...; may be NULL) becomes root attributes. float64 weights.
fim_status fim_checkpoint_write(const fim_net *net, const fim_record *extra, const char *path,
                                bool overwrite);

// The network as a file of another program, "safetensors", "npz" or "torch" (a state dict, which PyTorch
// loads with weights_only=True): float64, layer l as <l>.weight (outputs, inputs) and <l>.bias, with the
// description that fim_checkpoint_load needs. FIM_ERR_UNKNOWN for other formats.
fim_status fim_checkpoint_export(const fim_net *net, const char *format, const char *path, bool overwrite);

// ---- Data sets ----

// spec: "curves:N[:SEED]"; "faces:N:SEED:FILE", N patches made of the first hundred pictures of FILE (M,
// side, side); or a file: HDF5 (/x, /y), IDX plain or gzip (pixels scaled to [0, 1]), .npy, .npz (x, y), .mat
// (x, y, or its only matrix). `labels_path` names a separate label file (IDX or .npy), or NULL. Only the
// shape of (N, d) is kept: images are flattened. Everything is checked: shapes, finiteness, sizes against the
// file and `budget`.
fim_status fim_data_read(const char *spec, const char *labels_path, size_t budget, fim_data *out);
// The generator behind "curves": n images of 28 × 28 pixels in [0, 1], one a row of x (n, 784); image r
// depends on (seed, first + r) alone.
fim_status fim_data_curves(size_t n, uint64_t seed, size_t first, gsl_matrix *x);
// The generator behind "faces" (src/io/faces.c): n augmented patches of the square pictures (M, side²), one a
// row of x (n, side²); patch r depends on the pictures and on (seed, first + r) alone.
fim_status fim_data_faces(size_t n, uint64_t seed, size_t first, const gsl_matrix *pictures, gsl_matrix *x);
// The file that a spec names: spec itself, or a part of it; NULL when it names none.
const char *fim_data_source(const char *spec);
// Data to HDF5, as fim_data_read takes it.
fim_status fim_data_write(const fim_data *data, const char *path, bool overwrite);

// ---- Blocks (fim-dump) ----

typedef struct fim_blocks_options {
    bool factors; // with /layers/<name>/a_factor and g_factor, the KFAC factors
    bool samples; // with /layers/<name>/a and g (N, C, d_g) or g_packed (N, p_g)
    bool packed;  // the block as its upper triangle row by row ("fisher_packed", D(D+1)/2) instead of (D, D)
} fim_blocks_options;

typedef struct fim_blocks_writer fim_blocks_writer;
// A new file under a temporary name. `header` becomes root attributes.
fim_status fim_blocks_create(const char *path, const fim_record *header, bool overwrite,
                             fim_blocks_writer **out);
// One layer: dense (D, D); a and g, the KFAC factors, are needed with options->factors, samples with
// options->samples.
fim_status fim_blocks_add(fim_blocks_writer *writer, const char *name, size_t d_a, size_t d_g, size_t n,
                          const char *fisher, const gsl_matrix *dense, const gsl_matrix *a,
                          const gsl_matrix *g, const fim_samples *samples, const fim_blocks_options *options);
// Gives the file its name (commit) or removes it (abandon); both free the writer.
fim_status fim_blocks_commit(fim_blocks_writer *writer);
void fim_blocks_abandon(fim_blocks_writer *writer);

typedef struct fim_blocks_layer {
    char name[64];
    size_t d_a, d_g, n;
    char fisher[32];
    gsl_matrix *dense;   // (D, D), NULL when only the samples were asked for and are there
    gsl_matrix *a, *g;   // KFAC factors, or NULL
    fim_samples samples; // n == 0 when the file holds none
} fim_blocks_layer;

// What the file holds of one layer, without reading it.
typedef struct fim_blocks_about {
    char name[64];
    size_t d_a, d_g, n;
    char fisher[32];
    bool dense, packed;     // the block as (D, D), as its triangle
    bool factors;           // the KFAC factors
    bool samples, g_packed; // the samples; of them, G_n in svec packing rather than its columns
    bool bias;              // `a` in the file lacks the constant 1, which reading adds
    double scale;           // of g in the file: G_n = scale² Σ_c g_nc g_ncᵀ
} fim_blocks_about;

void fim_blocks_layer_clear(fim_blocks_layer *layer);
// The layers in the file's order, at least one; free the array.
fim_status fim_blocks_list(const char *path, fim_blocks_about **layers, size_t *count);
// Reads one layer: samples when the file has them, the factors when it has them, and the block unless
// `prefer_samples` and samples are there.
fim_status fim_blocks_read(const char *path, const char *name, bool prefer_samples, size_t budget,
                           fim_blocks_layer *out);

// ---- Whole files or none ----

// A temporary name beside `path` that can be created there; FIM_ERR_IO when the folder is missing or not
// writable, or, without `overwrite`, when `path` exists. *temporary is malloc'ed.
fim_status fim_file_begin(const char *path, bool overwrite, char **temporary);
// fsync and rename to path; frees temporary. On failure, also when `path` exists by now and is not to be
// overwritten, the temporary file is removed.
fim_status fim_file_commit(char *temporary, const char *path, bool overwrite);
void fim_file_abandon(char *temporary);
// A text file written whole.
fim_status fim_file_write_text(const char *path, const char *text, bool overwrite);
// Waits until no other program holds the lock of the file of that name, and takes it: for programs that read
// a file and put a changed one in its place. *lock is -1 when there is no such file. FIM_CANCELLED when a
// signal ended the waiting.
fim_status fim_file_lock(const char *path, int *lock);
void fim_file_unlock(int lock);
// mkdir -p.
fim_status fim_folder_make(const char *path);

#endif
