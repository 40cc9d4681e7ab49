#!/usr/bin/env python3
"""Captures the samples of a JAX network's dense layers, for fim-analyze: per layer the inputs a_n and the columns g_nc of G_n.

    from capture_jax import capture
    capture(forward, params, x, "capture.h5", likelihood="categorical")        # then: fim-analyze capture.h5

JAX has no hooks. `forward(params, x, probes)` says where the layers are: it adds probes[name], zeros of the shape of the layer's
pre-activation, to each of them, and returns the outputs z and a dictionary of the layers' inputs,

    def forward(params, x, probes):
        inputs = {"fc1": x}
        h = jnp.tanh(x @ params["fc1"]["w"] + params["fc1"]["b"] + probes["fc1"])
        inputs["fc2"] = h
        return h @ params["fc2"]["w"] + params["fc2"]["b"] + probes["fc2"], inputs

so that the gradient with respect to a probe is the gradient with respect to the pre-activation. The exact Fisher takes one backward
per column of the output factor (see capture_pytorch.py for the columns, for labels, and for the scale of averaged losses).

Debian 12 has no package of JAX: this script was checked for its syntax alone, and its formulas are those of capture_pytorch.py,
which is tested.
"""
import h5py
import jax
import jax.numpy as jnp
import numpy


def exact_columns(z, likelihood):
    """The columns of B, (C, N, C): entry [c, n] is column c of sample n."""
    eye = jnp.eye(z.shape[1], dtype=z.dtype)
    if likelihood == "categorical":
        p = jax.nn.softmax(z, axis=1)
        return jnp.sqrt(p.T)[:, :, None] * (eye[:, None, :] - p[None])
    if likelihood == "bernoulli":
        p = jax.nn.sigmoid(z)
        return jnp.sqrt(p * (1 - p))[None] * eye[:, None, :]
    if likelihood == "gaussian":
        return jnp.broadcast_to(eye[:, None, :], (z.shape[1],) + z.shape)
    raise ValueError(f"likelihood {likelihood!r} is none of categorical, bernoulli, gaussian")


def capture(forward, params, x, path, likelihood, widths, bias=True, batch=256):
    """`widths`: the outputs of every layer, {"fc1": 100, "fc2": 10}, in the order of the network."""
    layers = {name: {"a": [], "g": []} for name in widths}
    for first in range(0, len(x), batch):
        rows = x[first:first + batch]
        probes = {name: jnp.zeros((len(rows), width)) for name, width in widths.items()}
        z, backward, inputs = jax.vjp(lambda p: forward(params, rows, p), probes, has_aux=True)
        found = [backward(column)[0] for column in exact_columns(z, likelihood)]
        for name, layer in layers.items():
            layer["a"].append(numpy.asarray(inputs[name]))
            layer["g"].append(numpy.stack([numpy.asarray(g[name]) for g in found], axis=1))  # (N, C, d_g)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="fim-capture", version=1)
        for index, (name, layer) in enumerate(layers.items()):
            group = file.create_group("layers/" + name)
            group.attrs.update(index=index, fisher="exact", bias=int(bias), scale=1.0)
            group["a"] = numpy.concatenate(layer["a"])
            group["g"] = numpy.concatenate(layer["g"])
