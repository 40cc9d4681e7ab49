// fim/net.h - dense networks: layers, activations, likelihoods, forward and backward passes on batches.
//
// Batches are matrices with one sample a row. The input of a layer with bias carries a constant 1 in its last
// column, so that a layer is one matrix product: S = A Wᵀ with A (n, d_a) and W = [weight bias] (d_g, d_a).
#ifndef FIM_NET_H
#define FIM_NET_H

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>

#include "fim/base.h"

// ---- Activations (src/net/activations.def) ----

typedef enum fim_activation {
#define FIM_ACTIVATION(id, name, value, slope) FIM_ACTIVATION_##id,
#include "fim/activations.def"
#undef FIM_ACTIVATION
    FIM_ACTIVATION_COUNT
} fim_activation;

const char *fim_activation_name(fim_activation activation);
// FIM_ERR_UNKNOWN names the text and the known ones.
fim_status fim_activation_parse(const char *name, fim_activation *out);
double fim_activation_value(fim_activation activation, double s); // φ(s)
double fim_activation_slope(fim_activation activation, double s); // φ'(s); 0 at the kink of relu

// ---- Data: inputs and what the likelihood compares with ----

typedef struct fim_data {
    gsl_matrix *x;    // (n, d) inputs
    gsl_matrix *y;    // (n, k) targets, or NULL
    uint32_t *labels; // (n) classes, or NULL
} fim_data;

void fim_data_clear(fim_data *data);
// Rows `index[0..n)` of source as a copy.
fim_status fim_data_subset(const fim_data *source, const size_t *index, size_t n, fim_data *out);

// ---- Likelihoods: −log p(y | z) of one sample, summed over outputs ----

typedef enum fim_likelihood {
    FIM_CATEGORICAL, // softmax of the logits z; y a class
    FIM_BERNOULLI,   // independent sigmoids of z; y in [0, 1] per output
    FIM_GAUSSIAN,    // ½‖y − z‖², unit variance, without the constant
    FIM_LIKELIHOOD_COUNT
} fim_likelihood;

const char *fim_likelihood_name(fim_likelihood likelihood);
fim_status fim_likelihood_parse(const char *name, fim_likelihood *out);

// True when the outputs are independent given the logits: B_n below is diagonal.
bool fim_likelihood_independent(fim_likelihood likelihood);
// Checks that data can be judged: categorical needs labels below `outputs`, the others y (n, outputs), where
// a missing y stands for an auto-encoder (y = x) when x has `outputs` columns; bernoulli wants y in [0, 1].
fim_status fim_likelihood_check(fim_likelihood likelihood, const fim_data *data, size_t outputs);
// loss[r] = −log p(y | z row r), r in [0, z rows), against data rows first + r. loss (z rows).
void fim_likelihood_loss(fim_likelihood likelihood, const gsl_matrix *z, const fim_data *data, size_t first,
                         double *loss);
// dz row r = ∂(−log p(y | z))/∂z with the labels of data row first + r. dz like z.
void fim_likelihood_gradient(fim_likelihood likelihood, const gsl_matrix *z, const fim_data *data,
                             size_t first, gsl_matrix *dz);
// dz (n·draws, C): for every row of z (n, C) the gradients at `draws` labels drawn from the model, each
// divided by √draws, so that Σ_c g gᵀ is the average over draws. Sample r uses the random stream first + r of
// seed, so that draws do not depend on how samples are cut into chunks.
fim_status fim_likelihood_draw(fim_likelihood likelihood, const gsl_matrix *z, size_t draws, uint64_t seed,
                               size_t first, gsl_matrix *dz);
// The exact output factor applied from the left: for one sample with logits z (C) and J (C, m), J becomes
// B_nᵀ J, with B_n B_nᵀ the covariance of ∂(−log p)/∂z: diag(p) − p pᵀ, diag(p(1 − p)), or I. Note that B_n
// has C columns.
fim_status fim_likelihood_factor(fim_likelihood likelihood, const double *z, gsl_matrix *j);

// ---- Networks ----

typedef struct fim_layer {
    fim_activation activation;
    bool bias;     // the last column of w is the bias
    gsl_matrix *w; // (d_g, d_a) = [weight bias]
} fim_layer;

typedef struct fim_net {
    fim_likelihood likelihood;
    size_t n_layers;
    fim_layer *layers; // the last one has FIM_ACTIVATION_IDENTITY
} fim_net;

static inline size_t fim_layer_d_a(const fim_layer *layer) {
    return layer->w->size2;
}
static inline size_t fim_layer_d_g(const fim_layer *layer) {
    return layer->w->size1;
}
static inline size_t fim_layer_inputs(const fim_layer *layer) {
    return layer->w->size2 - (layer->bias ? 1 : 0);
}
size_t fim_net_inputs(const fim_net *net);
size_t fim_net_outputs(const fim_net *net);
size_t fim_net_parameters(const fim_net *net);

// A network of zero weights with biases: widths[0..n_layers], `activation` on all layers but the last.
fim_status fim_net_init(fim_net *net, fim_likelihood likelihood, const size_t *widths, size_t n_layers,
                        fim_activation activation);
// An empty network of n_layers whose layers the caller fills (w == NULL, to be set).
fim_status fim_net_init_empty(fim_net *net, fim_likelihood likelihood, size_t n_layers);
void fim_net_clear(fim_net *net);
fim_status fim_net_copy(const fim_net *source, fim_net *out);
// Weights uniform in ±√(6/(fan_in + fan_out)) (Glorot & Bengio 2010), biases `bias`.
fim_status fim_net_xavier(fim_net *net, double bias, uint64_t seed);
// FIM_ERR_SHAPE when widths do not chain, FIM_ERR_VALUE for weights that are not finite or a last activation
// other than identity; the message names the layer.
fim_status fim_net_check(const fim_net *net);

// ---- Passes: what a forward pass leaves behind, and the linear maps between layers' pre-activations ----

typedef struct fim_trace {
    size_t capacity; // rows allocated
    size_t n;        // rows of the last forward pass
    size_t n_layers;
    gsl_matrix **a;    // per layer, (capacity, d_a): its input, with the trailing 1
    gsl_matrix **s;    // per layer, (capacity, d_g): its pre-activation; the last one holds the logits
    gsl_matrix **work; // per layer, (capacity, d_g): scratch of fim_net_gradient
    double *loss;      // (capacity) per sample, as fim_net_gradient leaves them
} fim_trace;

fim_status fim_trace_init(fim_trace *trace, const fim_net *net, size_t capacity);
void fim_trace_clear(fim_trace *trace);

// x (n, inputs), n <= capacity. Fills trace->a and ->s in rows 0..n.
fim_status fim_net_forward(const fim_net *net, const gsl_matrix *x, fim_trace *trace);
// Backward of C columns for every sample from the pre-activations of layer `from` to those of layer `to` <=
// from: out (n·C, d_g of to) = the rows of `in` (n·C, d_g of from), row r·C + c of sample r, times
// ∂s_from/∂s_to. `in` and `out` are different; scratch for the layers between is allocated as needed.
fim_status fim_net_pull(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out);
// Forward of C tangents for every sample from layer `from` to layer `to` >= from: out row = ∂s_to/∂s_from ·
// in row.
fim_status fim_net_push(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out);
// Mean loss over the batch of the last forward pass, judged by rows first.. of data, and its gradient with
// respect to every layer's w into grads[l] (like w); grads NULL asks for the loss alone. No allocation.
fim_status fim_net_gradient(const fim_net *net, fim_trace *trace, const fim_data *data, size_t first,
                            gsl_matrix *const *grads, double *mean_loss);

#endif
