#!/usr/bin/python3
"""Captures the samples of a PyTorch model's linear layers, for fim-analyze: per layer the inputs a_n and the columns g_nc of G_n.

    from capture_pytorch import capture
    capture(model, x, "capture.h5", likelihood="categorical")            # then: fim-analyze capture.h5

`model(x)` gives logits (categorical, bernoulli) or means (gaussian); the loss is the negative log-likelihood of one sample, summed
over outputs. Models in which samples of a batch meet (BatchNorm while training) have no Fisher block per sample: call model.eval().

The exact Fisher takes ONE BACKWARD PER COLUMN of the output factor B, B Bᵀ being the covariance of the loss's gradient in the outputs
z over y ~ p(y|z). It is known in closed form, and what goes backward is z against a column of B, not a loss:

    categorical   column c is √p_c (e_c − p)       since Σ_c p_c (e_c − p)(e_c − p)ᵀ = diag(p) − p pᵀ
    bernoulli     column c is √(p_c (1 − p_c)) e_c
    gaussian      column c is e_c                  (unit variance)

Rows of a batch do not meet, so that one backward serves all samples of the batch at once.

Labels instead (fisher="empirical") have one column: the gradient of the loss. A loss that is AVERAGED over N samples leaves a 1/N in
every g_n, one averaged over d outputs a 1/d: `scale` (attribute of the layer) takes them out, scale = N or N·d, since G_n = scale² g gᵀ.
"""
import argparse

import h5py
import numpy
import torch


def exact_columns(z, likelihood):
    """The columns of B, (C, N, C): entry [c, n] is column c of sample n."""
    eye = torch.eye(z.shape[1], dtype=z.dtype)
    if likelihood == "categorical":
        p = torch.softmax(z, dim=1)
        return p.T.sqrt()[:, :, None] * (eye[:, None, :] - p[None])
    if likelihood == "bernoulli":
        p = torch.sigmoid(z)
        return (p * (1 - p)).sqrt()[None] * eye[:, None, :]
    if likelihood == "gaussian":
        return eye[:, None, :].expand(-1, len(z), -1)
    raise ValueError(f"likelihood {likelihood!r} is none of categorical, bernoulli, gaussian")


def drawn_columns(z, likelihood, draws, generator):
    """Gradients at `draws` labels drawn from the model, (draws, N, C), divided by √draws: G_n is their average."""
    p = torch.softmax(z, 1) if likelihood == "categorical" else torch.sigmoid(z)
    columns = []
    for _ in range(draws):
        if likelihood == "categorical":
            y = torch.nn.functional.one_hot(torch.multinomial(p, 1, generator=generator)[:, 0], z.shape[1])
            columns.append(p - y)
        elif likelihood == "bernoulli":
            columns.append(p - torch.bernoulli(p, generator=generator))
        else:
            columns.append(torch.randn(z.shape, dtype=z.dtype, generator=generator))
    return torch.stack(columns) / draws**0.5


class Hooks:
    """Inputs and outputs of every torch.nn.Linear of the model, in the order in which they are used."""

    def __init__(self, model):
        self.used = []
        names = {module: name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}

        def keep(module, inputs, output):
            if any(module is other for _, other, _, _ in self.used):
                raise ValueError(f"layer {names[module]} is used twice: its block is no sum of single Kronecker products")
            if output.dim() != 2:
                raise ValueError(f"layer {names[module]} has outputs of shape {tuple(output.shape)}, expected (N, d_g)")
            self.used.append((names[module], module, inputs[0].detach(), output))

        self.handles = [module.register_forward_hook(keep) for module in names]

    def remove(self):
        for handle in self.handles:
            handle.remove()


def capture(model, x, path, likelihood, fisher="exact", y=None, loss=None, scale=1.0, batch=256, seed=1):
    """Writes the capture of `model` at the rows of x to the HDF5 file `path`. fisher is "exact", "mc:K", or "empirical" with labels y
    and `loss(z, y)`; for the latter, `scale` undoes its averages (and every batch must be whole)."""
    generator = torch.Generator().manual_seed(seed)
    layers = {}
    for first in range(0, len(x), batch):
        hooks = Hooks(model)
        try:
            with torch.enable_grad():
                z = model(x[first:first + batch].detach().requires_grad_()) # frozen layers have gradients, too
        finally:
            hooks.remove()
        outputs = [output for _, _, _, output in hooks.used]
        with torch.no_grad():
            if fisher == "exact":
                columns = exact_columns(z, likelihood)
            elif fisher.startswith("mc:"):
                columns = drawn_columns(z, likelihood, int(fisher[3:]), generator)
        if fisher == "empirical":
            found = [torch.autograd.grad(loss(z, y[first:first + batch]), outputs)]
        else:
            found = [torch.autograd.grad(z, outputs, grad_outputs=column, retain_graph=True) for column in columns]
        for k, (name, module, a, _) in enumerate(hooks.used):
            layer = layers.setdefault(name, {"bias": module.bias is not None, "a": [], "g": []})
            layer["a"].append(a.numpy())
            layer["g"].append(torch.stack([g[k] for g in found], dim=1).numpy()) # (N, C, d_g)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="fim-capture", version=1)
        for index, (name, layer) in enumerate(layers.items()):
            group = file.create_group("layers/" + (name or "linear"))
            group.attrs.update(index=index, fisher=fisher, bias=int(layer["bias"]), scale=float(scale))
            group["a"] = numpy.concatenate(layer["a"])
            group["g"] = numpy.concatenate(layer["g"])


ACTIVATIONS = {"identity": torch.nn.Identity, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid,
               "softplus": torch.nn.Softplus, "gelu": torch.nn.GELU, "elu": torch.nn.ELU}


def load(path):
    """A native checkpoint as a PyTorch model in float64, and its likelihood."""
    modules = []
    with h5py.File(path) as file:
        likelihood = file.attrs["likelihood"]
        for index in sorted(file["layers"], key=int):
            group = file["layers/" + index]
            linear = torch.nn.Linear(*group["weight"].shape[::-1], bias="bias" in group, dtype=torch.float64)
            with torch.no_grad():
                linear.weight[:] = torch.from_numpy(group["weight"][:])
                if "bias" in group:
                    linear.bias[:] = torch.from_numpy(group["bias"][:])
            activation = group.attrs["activation"]
            modules += [linear, ACTIVATIONS[activation.decode() if isinstance(activation, bytes) else activation]()]
    return torch.nn.Sequential(*modules), likelihood.decode() if isinstance(likelihood, bytes) else likelihood


def main():
    parser = argparse.ArgumentParser(description="Capture a native checkpoint of fim-train by PyTorch.")
    parser.add_argument("checkpoint")
    parser.add_argument("data", help=".npz or HDF5 with x")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--fisher", default="exact", help="exact or mc:K (default: exact)")
    parser.add_argument("--samples", type=int, default=512, help="the first of the data (default: 512)")
    options = parser.parse_args()
    model, likelihood = load(options.checkpoint)
    data = numpy.load(options.data) if options.data.endswith(".npz") else h5py.File(options.data)
    x = torch.from_numpy(numpy.asarray(data["x"][:options.samples], dtype="f8")).flatten(1)
    capture(model, x, options.output, likelihood, options.fisher)


if __name__ == "__main__":
    main()
