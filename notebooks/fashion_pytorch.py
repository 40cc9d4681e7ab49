#!/usr/bin/python3
"""Trains a small classifier of Fashion-MNIST (Debian: dataset-fashion-mnist) and saves its state dict."""
import gzip
import numpy
import torch

folder = "/usr/share/datasets/fashion-mnist/"


def read(name, offset, shape):
    with gzip.open(folder + name) as f:
        return torch.from_numpy(numpy.frombuffer(f.read(), numpy.uint8, offset=offset).reshape(shape).copy())


x, y = read("train-images-idx3-ubyte.gz", 16, (-1, 784)) / 255, read("train-labels-idx1-ubyte.gz", 8, -1).long()
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for epoch in range(3):
    for batch in torch.randperm(len(x)).split(256):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
torch.save(net.state_dict(), "fashion.pt")
