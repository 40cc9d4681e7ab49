#!/usr/bin/python3
"""Writes capture-*.h5: the networks of reference-*.h5 captured by notebooks/capture_pytorch.py.

    tests/data/make_captures.py [FOLDER]      (Debian: python3-torch, python3-h5py)

Beside the exact ones, capture-empirical.h5: the classifier at its labels, by a loss averaged over the samples, with the scale that
undoes it.
"""
import os
import sys

import h5py
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "notebooks"))
sys.dont_write_bytecode = True
from capture_pytorch import capture, load  # noqa: E402

torch.set_num_threads(1)
folder = sys.argv[1] if len(sys.argv) > 1 else here
for name in ("classifier", "autoencoder", "regression"):
    source = os.path.join(here, f"reference-{name}.h5")
    model, likelihood = load(source)
    with h5py.File(source) as file:
        x = torch.from_numpy(file["reference/x"][:])
        labels = torch.from_numpy(file["reference/labels"][:].astype("i8")) if name == "classifier" else None
    capture(model, x, os.path.join(folder, f"capture-{name}.h5"), likelihood, batch=7)  # batches that do not divide N
    if labels is not None:
        capture(model, x, os.path.join(folder, "capture-empirical.h5"), likelihood, "empirical", labels,
                torch.nn.functional.cross_entropy, scale=len(x))
