#!/usr/bin/python3
"""Writes reference-*.h5: small networks, inputs, and what PyTorch's autograd finds at them.

    tests/data/make_reference.py [FOLDER]      (Debian: python3-torch, python3-h5py)

Every file is a checkpoint in the native format (format, version, likelihood, /layers/0, ...), and beside it holds

    /reference               attributes loss (mean over samples of the loss summed over outputs), seed, versions
    /reference/x (N, d)      inputs
    /reference/y (N, k)      targets (regression; an auto-encoder has none), or
    /reference/labels (N)    classes
    /reference/layers/<l>/   for every linear layer, with d_a inputs (the bias's constant 1 last) and d_g outputs
        a (N, d_a)           its input
        s (N, d_g)           its pre-activation
        G (N, d_g, d_g)      covariance over y ~ p(y|x) of the gradient of the loss in s
        fisher (D, D)        exact block: E over y ~ p(y|x) of the outer product of the gradient in [W b]
        empirical (D, D)     the same with the labels or targets of the data
        gradient (d_g, d_a)  of the mean loss

A parameter (i of d_a, j of d_g) has index i·d_g + j in the blocks. Nothing here uses a·aᵀ ⊗ G or a closed form of an
output covariance: expectations are sums over ALL outcomes y, weighted with p(y|x), of products of autograd gradients
(3 classes, or 2^6 binary vectors); for the gaussian, whose outcomes are a continuum, the Jacobian of the outputs
stands for them (unit variance).
"""
import itertools
import os
import sys

import h5py
import numpy
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

ACTIVATIONS = {
    "identity": lambda s: s,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "softplus": torch.nn.functional.softplus,
    "gelu": torch.nn.functional.gelu,
}


def loss_of(likelihood, z, y):
    """-log p(y|z) of one sample, summed over outputs, without the gaussian's constant."""
    if likelihood == "categorical":
        return torch.nn.functional.cross_entropy(z, y, reduction="sum")
    if likelihood == "bernoulli":
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum")
    return 0.5 * torch.nn.functional.mse_loss(z, y, reduction="sum")


def outcomes(likelihood, z):
    """Scalars whose gradients' outer products, weighted, add up to the exact covariance: (weight, scalar)."""
    if likelihood == "gaussian":
        return [(1.0, output) for output in z]
    if likelihood == "categorical":
        every = [torch.tensor(c) for c in range(len(z))]
    else:
        every = [torch.tensor(bits) for bits in itertools.product((0.0, 1.0), repeat=len(z))]
    losses = [loss_of(likelihood, z, y) for y in every]
    return [(torch.exp(-loss).item(), loss) for loss in losses]


class Net:
    def __init__(self, likelihood, widths, activations, biases, generator, single):
        self.likelihood, self.activations = likelihood, activations
        self.weights, self.biases = [], []
        kind = torch.float32 if single else torch.float64
        for d_in, d_out, bias in zip(widths, widths[1:], biases):
            weight = 1.5 * torch.randn(d_out, d_in, generator=generator) / d_in**0.5
            self.weights.append(weight.to(kind).double().requires_grad_())
            offset = 0.3 * torch.randn(d_out, generator=generator)
            self.biases.append(offset.to(kind).double().requires_grad_() if bias else None)
        self.kind = kind

    def forward(self, x):
        a_list, s_list, h = [], [], x
        for weight, bias, activation in zip(self.weights, self.biases, self.activations):
            a_list.append(h if bias is None else torch.cat([h, torch.ones(1)]))
            s = weight @ h if bias is None else weight @ h + bias
            s.retain_grad()
            s_list.append(s)
            h = ACTIVATIONS[activation](s)
        return a_list, s_list

    def gradients(self, scalar, s_list):
        """Per layer: gradient in s, and in [W b] as a vector in the order of the blocks."""
        parameters = [p for pair in zip(self.weights, self.biases) for p in pair if p is not None]
        found = torch.autograd.grad(scalar, s_list + parameters, retain_graph=True)
        in_s, rest, in_w = found[: len(s_list)], iter(found[len(s_list) :]), []
        for bias in self.biases:
            whole = next(rest)
            if bias is not None:
                whole = torch.cat([whole, next(rest)[:, None]], dim=1)
            in_w.append(whole)
        return in_s, in_w


def write(path, net, x, targets, labels, seed):
    n, n_layers = len(x), len(net.weights)
    y = labels if labels is not None else targets if targets is not None else x
    layers = [dict(a=[], s=[], G=[], fisher=0, empirical=0, gradient=0) for _ in range(n_layers)]
    mean_loss = 0
    vec = lambda w: w.T.reshape(-1)
    for r in range(n):
        a_list, s_list = net.forward(x[r])
        loss = loss_of(net.likelihood, s_list[-1], y[r])
        mean_loss += loss.item() / n
        _, in_w = net.gradients(loss, s_list)
        for l, layer in enumerate(layers):
            layer["a"].append(a_list[l].detach())
            layer["s"].append(s_list[l].detach())
            layer["gradient"] += in_w[l] / n
            layer["empirical"] += torch.outer(vec(in_w[l]), vec(in_w[l])) / n
            layer["G"].append(torch.zeros(len(s_list[l]), len(s_list[l])))
        for weight, scalar in outcomes(net.likelihood, s_list[-1]):
            in_s, in_w = net.gradients(scalar, s_list)
            for l, layer in enumerate(layers):
                layer["G"][r] += weight * torch.outer(in_s[l], in_s[l])
                layer["fisher"] += weight * torch.outer(vec(in_w[l]), vec(in_w[l])) / n

    with h5py.File(path, "w") as file:
        file.attrs.update(format="fim-checkpoint", version=1, likelihood=net.likelihood)
        for l in range(n_layers):
            group = file.create_group(f"layers/{l}")
            group.attrs.update(kind="linear", activation=net.activations[l])
            group["weight"] = net.weights[l].detach().to(net.kind).numpy()
            if net.biases[l] is not None:
                group["bias"] = net.biases[l].detach().to(net.kind).numpy()
        reference = file.create_group("reference")
        reference.attrs.update(loss=mean_loss, seed=seed, torch=str(torch.__version__), numpy=numpy.__version__,
                               h5py=h5py.__version__, python=sys.version.split()[0])
        reference["x"] = x.numpy()
        if targets is not None:
            reference["y"] = targets.numpy()
        if labels is not None:
            reference["labels"] = labels.numpy().astype("u4")
        for l, layer in enumerate(layers):
            group = reference.create_group(f"layers/{l}")
            for name in ("a", "s", "G"):
                group[name] = torch.stack(layer[name]).numpy()
            for name in ("fisher", "empirical", "gradient"):
                group[name] = layer[name].detach().numpy()
    print(f"{path}: {os.path.getsize(path)} bytes, mean loss {mean_loss:.6f}")


def main(folder):
    print(f"torch {torch.__version__}, numpy {numpy.__version__}, h5py {h5py.__version__}, "
          f"HDF5 {h5py.version.hdf5_version}, python {sys.version.split()[0]}")

    seed = 1
    generator = torch.Generator().manual_seed(seed)
    net = Net("categorical", [5, 4, 3], ["tanh", "identity"], [True, True], generator, single=True)
    x = torch.randn(20, 5, generator=generator)
    labels = torch.randint(3, (20,), generator=generator)
    write(f"{folder}/reference-classifier.h5", net, x, None, labels, seed)

    seed = 7
    generator = torch.Generator().manual_seed(seed)
    net = Net("bernoulli", [6, 4, 3, 4, 6], ["relu", "relu", "relu", "identity"], [True] * 4, generator, single=False)
    x = torch.rand(16, 6, generator=generator)
    write(f"{folder}/reference-autoencoder.h5", net, x, None, None, seed)

    seed = 10
    generator = torch.Generator().manual_seed(seed)
    net = Net("gaussian", [4, 5, 3, 2], ["softplus", "gelu", "identity"], [True, False, True], generator, single=False)
    x = torch.randn(12, 4, generator=generator)
    y = torch.randn(12, 2, generator=generator)
    write(f"{folder}/reference-regression.h5", net, x, y, None, seed)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
