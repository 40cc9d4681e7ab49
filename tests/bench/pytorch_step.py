#!/usr/bin/env python3
"""One SGD step of the paper's three auto-encoders: fim-train beside PyTorch on the same cores.

    tests/bench/pytorch_step.py build/fim-train        (Debian: python3-torch, python3-numpy)

PyTorch runs with its own loops on one thread and the BLAS on all cores, its best setting here: two pools of threads
fight otherwise. Both read the same random data, train in float32 with momentum, and print the median time of a step
in milliseconds (of an epoch's mean, for fim-train) and the ratio.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

if "OPENBLAS_NUM_THREADS" not in os.environ:  # before the libraries start their threads
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS=str(os.cpu_count()))
    os.execv(sys.executable, [sys.executable] + sys.argv)

import numpy
import torch

NETWORKS = {
    "curves": ([784, 400, 200, 100, 50, 25, 6, 25, 50, 100, 200, 400, 784], 256, torch.nn.BCEWithLogitsLoss()),
    "mnist": ([784, 1000, 500, 250, 30, 250, 500, 1000, 784], 512, torch.nn.BCEWithLogitsLoss()),
    "faces": ([625, 2000, 1000, 500, 30, 500, 1000, 2000, 625], 1024, torch.nn.MSELoss()),
}
STEPS = 20


def median(times):
    return sorted(times)[len(times) // 2]


def pytorch_step(widths, batch, loss, x):
    layers = []
    for i in range(len(widths) - 1):
        layers.append(torch.nn.Linear(widths[i], widths[i + 1]))
        if i + 2 < len(widths):
            layers.append(torch.nn.ReLU())
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    x = torch.from_numpy(x)
    times = []
    for _ in range(STEPS + 5):
        rows = torch.randint(0, len(x), (batch,))
        began = time.perf_counter()
        inputs = x[rows]
        optimizer.zero_grad()
        value = loss(net(inputs), inputs)
        value.backward()
        optimizer.step()
        value.item()
        times.append(time.perf_counter() - began)
    return median(times[5:])


def fim_step(program, name, batch, x, folder):
    data = os.path.join(folder, name + ".npy")
    numpy.save(data, x)
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [program, "--net", name, "--data", data, "--split", "0", "--optimizer", "sgd", "--learning-rate", "0.01",
               "--epochs", "4", "--quiet", "--force", "--format", "json", "-o", os.path.join(folder, name)]
    report = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    return median([e["seconds"] / e["iterations"] for e in report["epochs"][1:]])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("PyTorch %s, %d cores; milliseconds a step" % (torch.__version__, os.cpu_count()))
    print("%-8s %8s %10s %6s" % ("network", "PyTorch", "fim-train", "ratio"))
    with tempfile.TemporaryDirectory() as folder:
        for name, (widths, batch, loss) in NETWORKS.items():
            x = numpy.random.default_rng(1).random((STEPS // 2 * batch, widths[0]), dtype=numpy.float32)
            theirs = pytorch_step(widths, batch, loss, x)
            ours = fim_step(sys.argv[1], name, batch, x, folder)
            print("%-8s %8.1f %10.1f %6.2f" % (name, 1e3 * theirs, 1e3 * ours, ours / theirs))


if __name__ == "__main__":
    main()
