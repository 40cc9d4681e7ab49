#!/usr/bin/python3
"""Makes the seeds of the fuzz targets, tests/fuzz/corpus/<target>/: small files of the kinds that programs write.

Run from anywhere with Debian's python3-h5py; python3-torch adds PyTorch's files. Reproducers of findings (found-*) are left alone.
"""
import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import h5py
import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
rng = np.random.default_rng(1)


def put(target, name, data):
    os.makedirs(os.path.join(here, target), exist_ok=True)
    with open(os.path.join(here, target, name), "wb") as f:
        f.write(data)


def hdf5(fill, **how):
    memory = io.BytesIO()
    with h5py.File(memory, "w", **how) as f:
        fill(f)
    return memory.getvalue()


# ---- Data sets ----

def npy(array, version=None):
    memory = io.BytesIO()
    np.lib.format.write_array(memory, array, version=version)
    return memory.getvalue()


small = rng.random((3, 4))
put("npy", "f8", npy(small))
put("npy", "f4-fortran", npy(np.asfortranarray(small.astype("f4"))))
put("npy", "i2-big-endian", npy(np.arange(12, dtype=">i2").reshape(3, 4)))
put("npy", "version-2", npy(small[:1], (2, 0)))
put("npy", "bool", npy(small > 0.5))
put("npy", "gzip", gzip.compress(npy(small), mtime=0))
for name, save in (("plain", np.savez), ("deflated", np.savez_compressed)):
    memory = io.BytesIO()
    save(memory, x=small, y=np.arange(3, dtype="u1"))
    put("npz", name, memory.getvalue())


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(">%dI" % array.ndim, *array.shape) + array.astype("u1").tobytes()


images = rng.integers(0, 255, (2, 3, 3))
put("idx", "images", idx(images))
put("idx", "labels", idx(images[:, 0, 0]))
put("idx", "gzip", gzip.compress(idx(images), mtime=0))


def element(kind, data, order):
    """One of MATLAB's, padded to eight bytes."""
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def mat(order="<", deflated=False, **arrays):
    """A .mat of version 5."""
    out = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack(order + "HH", 0x0100, 0x4d49)
    for name, array in arrays.items():
        kind, number = {"f8": (6, 9), "f4": (7, 7), "u1": (9, 2)}[array.dtype.str[1:]]
        matrix = element(14, element(6, struct.pack(order + "II", kind, 0), order)
                         + element(5, struct.pack(order + "ii", *array.shape), order) + element(1, name.encode(), order)
                         + element(number, array.astype(array.dtype.newbyteorder(order)).tobytes("F"), order), order)
        packed = zlib.compress(matrix)
        out += struct.pack(order + "II", 15, len(packed)) + packed if deflated else matrix
    return out


put("mat", "x-y", mat(x=small, y=np.arange(3.0)[None]))
put("mat", "only", mat(newfaces=small.astype("f4")))
put("mat", "big-endian", mat(">", x=images[:, 0].astype("u1")))
put("mat", "deflated", mat("<", True, x=small, y=np.arange(3.0)[:, None]))


def data_set(f):
    f["x"] = small
    f["y"] = np.arange(3)


def chunked(f):
    f.create_dataset("x", data=small.astype("f4"), chunks=(2, 2), compression="gzip", shuffle=True, fletcher32=True)
    f["y"] = small[:, :2]


put("hdf5", "plain", hdf5(data_set))
put("hdf5", "chunked", hdf5(chunked))
put("hdf5", "new", hdf5(data_set, libver="latest"))


# ---- Checkpoints ----

def native(f):
    f.attrs["format"], f.attrs["version"], f.attrs["likelihood"] = "fim-checkpoint", 1, "categorical"
    for layer, (rows, columns) in enumerate(((3, 2), (2, 3))):
        g = f.create_group("layers/%d" % layer)
        g.attrs["kind"], g.attrs["activation"] = "linear", "tanh" if layer == 0 else "identity"
        g["weight"] = rng.random((rows, columns)).astype("f4")
        g["bias"] = rng.random(rows)


put("native", "old", hdf5(native))
put("native", "new", hdf5(native, libver="latest"))


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, array) in tensors.items():
        bytes_ = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def linear(dtype, kind, prefix="fc"):
    return {prefix + "1.weight": (kind, rng.random((3, 2)).astype(dtype)), prefix + "1.bias": (kind, rng.random(3).astype(dtype)),
            prefix + "2.weight": (kind, rng.random((2, 3)).astype(dtype)), prefix + "2.bias": (kind, rng.random(2).astype(dtype))}


put("safetensors", "f32", safetensors(linear("f4", "F32")))
put("safetensors", "f16", safetensors(linear("f2", "F16", "module.encoder.")))
put("safetensors", "f64-arch", safetensors(linear("f8", "F64"), {"fim": json.dumps({"activation": "tanh", "likelihood": "gaussian"})}))
batch = linear("f4", "F32")
batch.update({"bn1." + part: ("F32", rng.random(3).astype("f4")) for part in ("weight", "bias", "running_mean", "running_var")})
batch["bn1.num_batches_tracked"] = ("I64", np.array(7))
put("safetensors", "batch-norm", safetensors(batch))
put("arch", "short", b'{"activation": "relu", "likelihood": "bernoulli"}')
put("arch", "layers", json.dumps({"likelihood": "categorical", "layers": [
    {"name": "0", "weight": "a.w", "bias": "a.b", "activation": "tanh"}, {"weight": "b.w", "activation": "identity"}],
    "ignore": ["ema.*"], "layout": "out_in"}).encode())


# ---- Checkpoints of other programs: those of tests/data ----

data = os.path.join(os.path.dirname(os.path.dirname(here)), "data")
for target, names in {"torch": ["classifier.pt", "classifier-training.pt"], "numpy": ["classifier.npy", "classifier.npz"],
                      "keras": ["classifier-keras.h5", "classifier.weights.h5", "classifier.keras"],
                      "onnx": ["classifier.onnx", "exported.onnx"]}.items():
    for name in names:
        with open(os.path.join(data, name), "rb") as f:
            put(target, name, f.read())
for name in ("classifier.pt", "classifier-training.pt", "norm.pt"):
    with zipfile.ZipFile(os.path.join(data, name)) as archive:
        put("pickle", name[:-3], next(archive.read(m) for m in archive.namelist() if m.endswith("data.pkl")))
with zipfile.ZipFile(os.path.join(data, "classifier.keras")) as archive:
    put("keras-config", "classifier", archive.read("config.json"))
put("keras-config", "functional", json.dumps({"class_name": "Functional", "config": {"layers": [
    {"class_name": "InputLayer", "config": {"name": "x"}, "inbound_nodes": []},
    {"class_name": "Dense", "config": {"name": "a", "activation": "linear", "use_bias": False}, "inbound_nodes": [[["x", 0, 0, {}]]]},
    {"class_name": "BatchNormalization", "config": {"name": "n", "epsilon": 0.001}, "inbound_nodes": [[["a", 0, 0, {}]]]},
    {"class_name": "LeakyReLU", "config": {"name": "l", "negative_slope": 0.01}, "inbound_nodes": [[["n", 0, 0, {}]]]},
    {"class_name": "Dense", "config": {"name": "b", "activation": "linear"}, "inbound_nodes": [[["l", 0, 0, {}]]]}]},
    "compile_config": {"loss": {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}}}).encode())


# ---- Dumps, captures, reports ----

def blocks(f):
    f.attrs["format"], f.attrs["version"] = "fim-blocks", 1
    for name, packed in (("0", False), ("1", True)):
        g = f.create_group("layers/" + name)
        g.attrs["d_a"], g.attrs["d_g"], g.attrs["samples"], g.attrs["fisher"] = 3, 2, 4, "exact"
        fisher = np.eye(6)
        if packed:
            g["fisher_packed"] = fisher[np.triu_indices(6)]
            g["g_packed"] = rng.random((4, 3))
        else:
            g["fisher"] = fisher
            g["g"] = rng.random((4, 2, 2))
            g["a_factor"], g["g_factor"] = np.eye(3), np.eye(2)
        g["a"] = rng.random((4, 3))


def capture(f):
    f.attrs["format"], f.attrs["version"] = "fim-capture", 1
    for index, name in enumerate(("fc1", "fc2")):
        g = f.create_group("layers/" + name)
        g.attrs["index"], g.attrs["fisher"], g.attrs["bias"], g.attrs["scale"] = index, "exact", 1, 4.0
        g["a"] = rng.random((4, 2)).astype("f4")
        g["g"] = rng.random((4, 3, 2) if index == 0 else (4, 2)).astype("f4")


def report(f):
    f.attrs["format"], f.attrs["version"], f.attrs["tool"] = "fim-report", 1, "fim-analyze 0"
    g = f.create_group("checkpoints/0/layers/0")
    f["checkpoints/0"].attrs["file"] = "net.h5"
    g.attrs["d_a"], g.attrs["d_g"], g.attrs["tail_norm_why"] = 3, 2, "not asked for"
    g["eigenvalues"] = rng.random(6)
    k = g.create_group("kfac")
    k.attrs["frobenius_error"], k.attrs["frobenius_error_route"] = 0.5, "inner products"
    k["factor"] = np.eye(3)
    f["layers"] = f["checkpoints/0/layers"]


for target, fill in (("blocks", blocks), ("blocks", capture), ("report", report)):
    put(target, fill.__name__ + "-old", hdf5(fill))
    put(target, fill.__name__ + "-new", hdf5(fill, libver="latest"))


# ---- Answers of a child ----

def number(*values):
    return b"".join(struct.pack("<Q", v) for v in values)


def text(value):
    return number(len(value)) + value


put("parcel", "record", b"\0" + number(1) + text(b"name") + struct.pack("<d", 1.5) + text(b"note")
    + number(1, 1) + text(b"key") + number(1) + text(b"value")
    + number(1) + text(b"curve") + text(b"") + number(2) + struct.pack("<2d", 1, 2)
    + number(1) + text(b"table") + number(1, 1, 2) + struct.pack("<2d", 1, 2)
    + number(1) + text(b"child") + number(0, 0, 0, 0, 0))
put("parcel", "matrix", b"\1" + number(1, 2, 2) + struct.pack("<4d", 1, 2, 3, 4))
put("parcel", "vector", b"\2" + number(2) + struct.pack("<2d", 1, 2))
put("parcel", "text", b"\3" + number(1) + text(b"one") + number(0) + number(1) + text("µ".encode()))
put("parcel", "array", b"\4" + number(1) + bytes(400))
