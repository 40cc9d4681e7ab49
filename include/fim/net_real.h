// fim/net_real.h - the part of net.h that exists in both precisions: networks, batches, forward and backward.
//
// net.h includes it twice, and nobody else does: for float64, with the plain names that the rest of the
// library uses, and for float32, with names that end in _single, which training uses. FIM_REAL is the number,
// FIM_REAL_MATRIX its GSL matrix, FIM_REAL_NAME(name) the name in that precision.

typedef struct FIM_REAL_NAME(fim_data) {
    FIM_REAL_MATRIX *x; // (n, d) inputs
    FIM_REAL_MATRIX *y; // (n, k) targets, or NULL
    uint32_t *labels;   // (n) classes, or NULL
} FIM_REAL_NAME(fim_data);

typedef struct FIM_REAL_NAME(fim_layer) {
    fim_activation activation;
    bool bias;          // the last column of w is the bias
    FIM_REAL_MATRIX *w; // (d_g, d_a) = [weight bias]
} FIM_REAL_NAME(fim_layer);

typedef struct FIM_REAL_NAME(fim_net) {
    fim_likelihood likelihood;
    size_t n_layers;
    FIM_REAL_NAME(fim_layer) * layers; // the last one has FIM_ACTIVATION_IDENTITY
} FIM_REAL_NAME(fim_net);

static inline size_t FIM_REAL_NAME(fim_layer_d_a)(const FIM_REAL_NAME(fim_layer) * layer) {
    return layer->w->size2;
}
static inline size_t FIM_REAL_NAME(fim_layer_d_g)(const FIM_REAL_NAME(fim_layer) * layer) {
    return layer->w->size1;
}
static inline size_t FIM_REAL_NAME(fim_layer_inputs)(const FIM_REAL_NAME(fim_layer) * layer) {
    return layer->w->size2 - (layer->bias ? 1 : 0);
}

// A copy of source in this precision.
fim_status FIM_REAL_NAME(fim_net_copy)(const fim_net *source, FIM_REAL_NAME(fim_net) * out);
// The weights of net into `out`, a network of the same shape.
void FIM_REAL_NAME(fim_net_store)(const FIM_REAL_NAME(fim_net) * net, fim_net *out);
void FIM_REAL_NAME(fim_net_clear)(FIM_REAL_NAME(fim_net) * net);

// loss[r] = −log p(y | z row r), r in [0, z rows), against data rows first + r. loss (z rows).
void FIM_REAL_NAME(fim_likelihood_loss)(fim_likelihood likelihood, const FIM_REAL_MATRIX *z,
                                        const FIM_REAL_NAME(fim_data) * data, size_t first, double *loss);
// dz row r = ∂(−log p(y | z))/∂z with the labels of data row first + r. dz like z.
void FIM_REAL_NAME(fim_likelihood_gradient)(fim_likelihood likelihood, const FIM_REAL_MATRIX *z,
                                            const FIM_REAL_NAME(fim_data) * data, size_t first,
                                            FIM_REAL_MATRIX *dz);

// What a forward pass leaves behind.
typedef struct FIM_REAL_NAME(fim_trace) {
    size_t capacity; // rows allocated
    size_t n;        // rows of the last forward pass
    size_t n_layers;
    FIM_REAL_MATRIX **a;    // per layer, (capacity, d_a): its input, with the trailing 1
    FIM_REAL_MATRIX **s;    // per layer, (capacity, d_g): its pre-activation; the last one holds the logits
    FIM_REAL_MATRIX **work; // per layer, (capacity, d_g): scratch of fim_net_gradient
    double *loss;           // (capacity) per sample, as fim_net_gradient leaves them
} FIM_REAL_NAME(fim_trace);

fim_status FIM_REAL_NAME(fim_trace_init)(FIM_REAL_NAME(fim_trace) * trace, const FIM_REAL_NAME(fim_net) * net,
                                         size_t capacity);
void FIM_REAL_NAME(fim_trace_clear)(FIM_REAL_NAME(fim_trace) * trace);

// x (n, inputs), n <= capacity. Fills trace->a and ->s in rows 0..n.
fim_status FIM_REAL_NAME(fim_net_forward)(const FIM_REAL_NAME(fim_net) * net, const FIM_REAL_MATRIX *x,
                                          FIM_REAL_NAME(fim_trace) * trace);
// Mean loss over the batch of the last forward pass, judged by rows first.. of data, and its gradient with
// respect to every layer's w into grads[l] (like w); grads NULL asks for the loss alone. No allocation.
fim_status FIM_REAL_NAME(fim_net_gradient)(const FIM_REAL_NAME(fim_net) * net,
                                           FIM_REAL_NAME(fim_trace) * trace,
                                           const FIM_REAL_NAME(fim_data) * data, size_t first,
                                           FIM_REAL_MATRIX *const *grads, double *mean_loss);
