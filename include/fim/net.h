// fim/net.h - dense networks: layers, activations, likelihoods, forward and backward passes on batches.
//
// Batches are matrices with one sample a row. The input of a layer with bias carries a constant 1 in its last
// column, so that a layer is one matrix product: S = A Wᵀ with A (n, d_a) and W = [weight bias] (d_g, d_a).
// Analysis is in float64; training may run in float32, by the same sources (net_real.h).
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

// ---- Likelihoods: −log p(y | z) of one sample, summed over outputs ----

typedef enum fim_likelihood {
    FIM_CATEGORICAL, // softmax of the logits z; y a class
    FIM_BERNOULLI,   // independent sigmoids of z; y in [0, 1] per output
    FIM_GAUSSIAN,    // ½‖y − z‖², unit variance, without the constant
    FIM_LIKELIHOOD_COUNT
} fim_likelihood;

const char *fim_likelihood_name(fim_likelihood likelihood);
fim_status fim_likelihood_parse(const char *name, fim_likelihood *out);

// ---- Networks, data, and passes, in both precisions (net_real.h) ----

#define FIM_REAL            double
#define FIM_REAL_MATRIX     gsl_matrix
#define FIM_REAL_NAME(name) name
#include "fim/net_real.h"
#undef FIM_REAL
#undef FIM_REAL_MATRIX
#undef FIM_REAL_NAME
#define FIM_REAL            float
#define FIM_REAL_MATRIX     gsl_matrix_float
#define FIM_REAL_NAME(name) name##_single
#include "fim/net_real.h"
#undef FIM_REAL
#undef FIM_REAL_MATRIX
#undef FIM_REAL_NAME

// ---- Data ----

void fim_data_clear(fim_data *data);
// Rows `index[0..n)` of source as a copy.
fim_status fim_data_subset(const fim_data *source, const size_t *index, size_t n, fim_data *out);

// ---- What a likelihood asks of data, and its covariance ----

// True when the outputs are independent given the logits: B_n below is diagonal.
bool fim_likelihood_independent(fim_likelihood likelihood);
// Checks that data can be judged: categorical needs labels below `outputs`, the others y (n, outputs), where
// a missing y stands for an auto-encoder (y = x) when x has `outputs` columns; bernoulli wants y in [0, 1].
fim_status fim_likelihood_check(fim_likelihood likelihood, const fim_data *data, size_t outputs);
// What no network's mean loss on data lies below: for bernoulli the mean entropy of the targets (summed over
// outputs), which fractions between 0 and 1 have; else 0.
double fim_likelihood_floor(fim_likelihood likelihood, const fim_data *data);
// dz (n·draws, C): for every row of z (n, C) the gradients at `draws` labels drawn from the model, each
// divided by √draws, so that Σ_c g gᵀ is the average over draws. Sample r uses the random stream first + r of
// seed, so that draws do not depend on how samples are cut into chunks.
fim_status fim_likelihood_draw(fim_likelihood likelihood, const gsl_matrix *z, size_t draws, uint64_t seed,
                               size_t first, gsl_matrix *dz);
// The exact output factor applied from the left: for one sample with logits z (C) and J (C, m), J becomes
// B_nᵀ J, with B_n B_nᵀ the covariance of ∂(−log p)/∂z: diag(p) − p pᵀ, diag(p(1 − p)), or I. Note that B_n
// has C columns.
fim_status fim_likelihood_factor(fim_likelihood likelihood, const double *z, gsl_matrix *j);
// The same from the right: the rows of t (m, C), tangents of the logits of one sample, become T B_n.
fim_status fim_likelihood_factor_rows(fim_likelihood likelihood, const double *z, gsl_matrix *t);
// The weights w (C) of that covariance at one sample's logits z: diag(w) where the outputs are independent,
// diag(w) − w wᵀ otherwise.
void fim_likelihood_weights(fim_likelihood likelihood, const double *z, size_t n, double *w);

// ---- Networks ----

size_t fim_net_inputs(const fim_net *net);
size_t fim_net_outputs(const fim_net *net);
size_t fim_net_parameters(const fim_net *net);

// A network of zero weights with biases: widths[0..n_layers], `activation` on all layers but the last.
fim_status fim_net_init(fim_net *net, fim_likelihood likelihood, const size_t *widths, size_t n_layers,
                        fim_activation activation);
// An empty network of n_layers whose layers the caller fills (w == NULL, to be set).
fim_status fim_net_init_empty(fim_net *net, fim_likelihood likelihood, size_t n_layers);
// Weights uniform in ±√(6/(fan_in + fan_out)) (Glorot & Bengio 2010), biases `bias`.
fim_status fim_net_xavier(fim_net *net, double bias, uint64_t seed);
// Weights and biases uniform in ±1/√fan_in, PyTorch's default for linear layers.
fim_status fim_net_torch(fim_net *net, uint64_t seed);
// FIM_ERR_SHAPE when widths do not chain, FIM_ERR_VALUE for weights that are not finite or a last activation
// other than identity; the message names the layer.
fim_status fim_net_check(const fim_net *net);

// ---- The linear maps between layers' pre-activations ----

// Backward of C columns for every sample from the pre-activations of layer `from` to those of layer `to` <=
// from: out (n·C, d_g of to) = the rows of `in` (n·C, d_g of from), row r·C + c of sample r, times
// ∂s_from/∂s_to. `in` and `out` are different; scratch for the layers between is allocated as needed.
fim_status fim_net_pull(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out);
// Forward of C tangents for every sample from layer `from` to layer `to` >= from: out row = ∂s_to/∂s_from ·
// in row.
fim_status fim_net_push(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out);

#endif
