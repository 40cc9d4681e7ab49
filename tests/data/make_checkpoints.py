#!/usr/bin/python3
"""Writes one and the same trained classifier in every format that is read, into classifier.* .

    tests/data/make_checkpoints.py [FOLDER]      (Debian: python3-torch, python3-h5py, python3-onnx)

The network, 6 -> 8 -> 5 -> 3 with tanh, is trained by PyTorch in float32 on three clusters. Files of PyTorch and NumPy
are written by PyTorch and NumPy; safetensors and Keras' formats by hand, as their libraries write them; ONNX by the
package onnx. classifier-data.h5 holds the data (x, y). norm.pt is a trained network with batch normalisation before
and after activations, norm-data.h5 inputs and the logits that PyTorch computes in inference mode (x, y);
exported.onnx and exported-data.h5 are the same of a network that PyTorch wrote as ONNX itself.
"""
import io
import json
import os
import struct
import sys
import zipfile

import h5py
import numpy
import torch

torch.set_num_threads(1)
torch.manual_seed(7)
folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(folder, name)


def train(net, x, y):
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.eval()
    return optimizer


def write_data(name, x, y):
    with h5py.File(path(name), "w") as f:
        f["x"], f["y"] = x.numpy(), y.numpy()


x = torch.randn(60, 6)
y = torch.arange(60) % 3
x[torch.arange(60), y] += 2
write_data("classifier-data.h5", x, y)

net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5), torch.nn.Tanh(),
                          torch.nn.Linear(5, 3))
optimizer = train(net, x, y)
state = net.state_dict()
arrays = {name: tensor.numpy() for name, tensor in state.items()}
linear = [(arrays[f"{i}.weight"], arrays[f"{i}.bias"]) for i in (0, 2, 4)]

# ---- PyTorch and NumPy ----

torch.save(state, path("classifier.pt"))
torch.save({"epoch": 60, "model_state_dict": {"module." + name: t for name, t in state.items()},
            "optimizer_state_dict": optimizer.state_dict(), "loss": 0.1}, path("classifier-training.pt"))
numpy.savez(path("classifier.npz"), **arrays)
numpy.save(path("classifier.npy"), arrays, allow_pickle=True)

# ---- safetensors ----


def safetensors(name, tensors, metadata=None):
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for key in sorted(tensors):
        raw = tensors[key].tobytes()
        header[key] = {"dtype": "F32", "shape": list(tensors[key].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path(name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


safetensors("classifier.safetensors", arrays, {"format": "pt"})
safetensors("classifier-described.safetensors", arrays,
            {"fim": json.dumps({"likelihood": "categorical", "activation": "tanh"})})

# ---- Native, with h5py ----

with h5py.File(path("classifier.h5"), "w") as f:
    f.attrs.update(format="fim-checkpoint", version=1, likelihood="categorical")
    for l, (w, b) in enumerate(linear):
        group = f.create_group(f"layers/{l}")
        group.attrs.update(kind="linear", activation="tanh" if l < 2 else "identity")
        group["weight"], group["bias"] = w, b

# ---- Keras ----

names = ["dense", "dense_1", "dense_2"]


def dense(name, units, activation):
    return {"class_name": "Dense", "config": {"name": name, "trainable": True, "dtype": "float32", "units": units,
                                              "activation": activation, "use_bias": True}}


layers = [{"class_name": "InputLayer", "config": {"batch_input_shape": [None, 6], "name": "input_1"}},
          dense("dense", 8, "tanh"), dense("dense_1", 5, "linear"),
          {"class_name": "Activation", "config": {"name": "activation", "activation": "tanh"}},
          {"class_name": "Dropout", "config": {"name": "dropout", "rate": 0.1}}, dense("dense_2", 3, "softmax")]
model = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}

with h5py.File(path("classifier-keras.h5"), "w") as f:
    f.attrs["keras_version"], f.attrs["backend"] = "2.11.0", "tensorflow"
    f.attrs["model_config"] = json.dumps(model)
    f.attrs["training_config"] = json.dumps({"loss": "sparse_categorical_crossentropy", "metrics": None})
    top = f.create_group("model_weights")
    top.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in layers]
    for layer in layers:
        name = layer["config"]["name"]
        group = top.create_group(name)
        if layer["class_name"] != "Dense":
            group.attrs["weight_names"] = numpy.zeros(0)
            continue
        w, b = linear[names.index(name)]
        group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
        group[f"{name}/kernel:0"], group[f"{name}/bias:0"] = w.T.copy(), b


def weights(f):
    for name, (w, b) in zip(names, linear):
        f[f"layers/{name}/vars/0"], f[f"layers/{name}/vars/1"] = w.T.copy(), b
    f.create_group("layers/dropout/vars")


with h5py.File(path("classifier.weights.h5"), "w") as f:
    weights(f)
image = io.BytesIO()
with h5py.File(image, "w") as f:
    weights(f)
keras3 = {"module": "keras", "class_name": "Sequential", "config": {"name": "sequential", "layers": [
    {"module": "keras.layers", "class_name": layer["class_name"], "config": layer["config"],
     "registered_name": None} for layer in layers]},
    "compile_config": {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}}
with zipfile.ZipFile(path("classifier.keras"), "w") as archive:
    archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
    archive.writestr("config.json", json.dumps(keras3))
    archive.writestr("model.weights.h5", image.getvalue())

# ---- ONNX ----

try:
    import onnx
    from onnx import helper, numpy_helper
    nodes, initializers, current = [], [], "x"
    for l, (w, b) in enumerate(linear):
        if l == 1:  # MatMul and Add, with the matrix the other way round
            initializers += [numpy_helper.from_array(w.T.copy(), f"w{l}"), numpy_helper.from_array(b, f"b{l}")]
            nodes += [helper.make_node("MatMul", [current, f"w{l}"], [f"m{l}"]),
                      helper.make_node("Add", [f"m{l}", f"b{l}"], [f"s{l}"])]
        else:
            initializers += [numpy_helper.from_array(w, f"w{l}"), numpy_helper.from_array(b, f"b{l}")]
            nodes.append(helper.make_node("Gemm", [current, f"w{l}", f"b{l}"], [f"s{l}"], transB=1))
        current = f"a{l}"
        nodes.append(helper.make_node("Tanh" if l < 2 else "Softmax", [f"s{l}"], [current]))
    graph = helper.make_graph(nodes, "classifier", [helper.make_tensor_value_info("x", 1, ["n", 6])],
                              [helper.make_tensor_value_info(current, 1, ["n", 3])], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path("classifier.onnx"))
except ImportError:
    print("no package onnx: classifier.onnx was not written", file=sys.stderr)

# ---- Batch normalisation ----

norm = torch.nn.Sequential(torch.nn.Linear(6, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU(),
                           torch.nn.Linear(7, 5, bias=False), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
train(norm, x, y)
torch.save(norm.state_dict(), path("norm.pt"))
with torch.no_grad():
    write_data("norm-data.h5", x[:20], norm.double()(x[:20].double()))

# ---- ONNX as PyTorch exports it ----

exported = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 7), torch.nn.BatchNorm1d(7), torch.nn.ELU(),
                               torch.nn.Linear(7, 5, bias=False), torch.nn.BatchNorm1d(5), torch.nn.GELU(), torch.nn.Dropout(),
                               torch.nn.Linear(5, 4), torch.nn.LeakyReLU(), torch.nn.Linear(4, 3))
train(exported, x, y)
for layer in exported:
    if hasattr(layer, "eps"):
        layer.eps = float(numpy.float32(layer.eps))  # as the file keeps it
torch.onnx.export(torch.nn.Sequential(*exported, torch.nn.LogSoftmax(1)).eval(), x[:1], path("exported.onnx"), opset_version=14,
                  input_names=["x"], dynamic_axes={"x": {0: "n"}})
with torch.no_grad():
    write_data("exported-data.h5", x[:20], exported.double()(x[:20].double()))
