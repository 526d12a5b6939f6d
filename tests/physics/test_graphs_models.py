"""Graphs against oracles, networks against plain NumPy, metrics against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from colonnade.physics import PhysicsError, fourvectors, graphs, metrics
from colonnade.physics.features import Builder, jet_features
from colonnade.physics.graphs import Graph
from colonnade.physics.layers import EdgeConv, edge_mean
from colonnade.physics.models import MODELS, GraphNet, build, parameters

from .conftest import random_jets


def test_knn_equals_a_masked_argsort(rng) -> None:
    points, mask = rng.random((60, 25, 2)), rng.random((60, 25)) < 0.7
    found = graphs.knn(points, mask, 7)
    distance = ((points[:, :, None] - points[:, None]) ** 2).sum(axis=-1)
    distance[~(mask[:, :, None] & mask[:, None])] = np.inf
    distance[:, np.arange(25), np.arange(25)] = np.inf
    oracle = np.argsort(distance, axis=-1, kind="stable")[..., :7]
    oracle[np.isinf(np.take_along_axis(distance, oracle, -1))] = -1
    assert np.array_equal(found, oracle)


def test_no_node_loses_neighbours_to_padding(rng) -> None:
    mask = np.arange(40) < rng.integers(0, 41, 50)[:, None]
    points = rng.normal(size=(50, 40, 2)) * mask[..., None]
    degree = (graphs.knn(points, mask, 7) >= 0).sum(axis=-1)
    assert np.array_equal(degree, np.where(mask, np.minimum(7, mask.sum(axis=1, keepdims=True) - 1), 0))
    longer = graphs.knn(np.pad(points, ((0, 0), (0, 9), (0, 0))), np.pad(mask, ((0, 0), (0, 9))), 7)
    assert np.array_equal(longer[:, :40], graphs.knn(points, mask, 7))
    assert (longer[:, 40:] == -1).all()


@pytest.mark.parametrize(("side", "edges"), [(24, 2162), (20, 1482), (9, 272)])
def test_grid_edges(side: int, edges: int) -> None:
    near = graphs.grid(side)
    assert (near >= 0).sum() == 2 * edges
    assert (graphs.grid(side, diagonal=False) >= 0).sum() == 4 * side * (side - 1)
    links = {(i, int(j)) for i, row in enumerate(near) for j in row if j >= 0}
    assert links == {(j, i) for i, j in links}


def test_tree_radius_and_full() -> None:
    mother, present = np.array([[-1, 0, 0, 1, -1]]), np.array([[True, True, True, True, False]])
    near = graphs.tree(mother, present)[0]
    assert [sorted(int(j) for j in row if j >= 0) for row in near] == [[0, 1, 2], [0, 1, 3], [0, 2], [1, 3], []]
    points = np.array([[[0.0], [1.0], [3.0], [0.0], [0.0]]])
    close = graphs.radius(points, present, 1.5)[0]
    assert [sorted(int(j) for j in row if j >= 0) for row in close] == [[1, 3], [0, 3], [], [0, 1], []]
    assert (graphs.full(present) >= 0).sum() == 12


def test_dense_and_sparse_views_agree(rng) -> None:
    graph = Builder("top", nodes=30)({"p4": random_jets(rng)})
    index = graph.edge_index
    assert index.shape[1] == int(graph.adjacency.sum())
    assert torch.equal(graph.event[index[0]], graph.event[index[1]])


def test_graphnet_forward_is_its_numpy_transcription(rng) -> None:
    graph = Builder("top", nodes=30)({"p4": random_jets(rng)})
    net = GraphNet(7, width=16).double().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    w = {name: value.numpy() for name, value in net.state_dict().items()}
    graph = Graph(graph.x.double(), graph.mask, graph.neighbours)
    a, mask = graph.adjacency.numpy().astype(float), graph.mask.numpy()

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def prelu(x, weight):
        return np.where(x > 0, x, weight * x)

    def after(x, name):
        spread = np.sqrt(w[f"{name}.0.running_var"] + 1e-5)
        x = (x - w[f"{name}.0.running_mean"]) / spread * w[f"{name}.0.weight"] + w[f"{name}.0.bias"]
        return prelu(x, w[f"{name}.1.weight"])

    x = graph.x.numpy()
    for i in range(3):
        x = prelu(np.maximum(dense(x, f"node.{i}"), 0), w[f"node_act.{i}.weight"])
    for i in range(3):
        x = after(np.maximum(a @ dense(x, f"convolution.{i}.dense"), 0), f"convolution_after.{i}")
    x = (x * mask[..., None]).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    for i in range(7):
        x = after(np.maximum(dense(x, f"head.{i}"), 0), f"head_after.{i}")
    expected = dense(x, "out")[:, 0]
    assert np.abs(net(graph).detach().numpy() - expected).max() < 1e-10


def test_graphnet_of_the_paper_has_these_parameters() -> None:
    c = 256
    node = (7 * c + c) + 2 * (c * c + c) + 3
    blocks = 10 * ((c * c + c) + 2 * c + c)  # weights and biases, batch norm, PReLU
    assert parameters(build("graphnet-paper", "top")) == node + blocks + c + 1


def test_edge_convolution_equals_the_naive_one(rng) -> None:
    graph = Builder("top", nodes=30)({"p4": random_jets(rng)})
    layer = EdgeConv(7, 12, norm=False)
    x, near = graph.flat, graph.sparse
    rows = []
    for i in range(len(x)):
        others = x[near[i][near[i] < len(x)]]
        pairs = torch.cat([x[i].expand_as(others), others - x[i]], dim=1)
        mean = torch.relu(layer.message(pairs)).mean(dim=0)
        rows.append(torch.relu(layer.second(mean) + layer.shortcut(x[i])))
    assert torch.allclose(layer(x, near), torch.stack(rows), atol=1e-5)


def test_gradient_of_the_edge_mean(rng) -> None:
    x = torch.from_numpy(rng.normal(size=(9, 4))).requires_grad_()
    near = torch.from_numpy(rng.integers(0, 10, (9, 3)))  # 9 stands for none
    dense = torch.nn.Linear(8, 5).double()
    assert torch.autograd.gradcheck(lambda x, w, b: edge_mean_of(x, near, w, b), (x, dense.weight, dense.bias))


def edge_mean_of(x, near, weight, bias) -> torch.Tensor:
    dense = torch.nn.Linear(8, 5).double()
    del dense.weight, dense.bias
    dense.weight, dense.bias = weight, bias
    return edge_mean(x, near, dense)


@pytest.mark.parametrize("model", ["graphnet", "pfn", "particlenet-lite", "part-lite", "invariant"])
def test_scores_do_not_depend_on_order_padding_or_rotation(model: str, rng) -> None:
    p4 = random_jets(rng)
    net = build(model, "top").double().eval()

    def score(momenta: np.ndarray) -> np.ndarray:
        graph = Builder("top", nodes=momenta.shape[1])({"p4": momenta})
        x, _, _ = jet_features(graph.p4.numpy())  # in double precision
        return net(Graph(torch.from_numpy(x), graph.mask, graph.neighbours, graph.p4)).detach().numpy()

    base = score(p4)
    assert np.isfinite(base).all()  # also for jets without a constituent
    c, s = math.cos(0.7), math.sin(0.7)
    turned = p4.copy()
    turned[..., 1], turned[..., 2] = c * p4[..., 1] - s * p4[..., 2], s * p4[..., 1] + c * p4[..., 2]
    order = rng.permutation(p4.shape[1])
    for other in (p4[:, order], np.pad(p4, ((0, 0), (0, 5), (0, 0))), turned):
        assert np.abs(score(other) - base).max() < 1e-5


def test_invariant_network_under_boosts(rng) -> None:
    p4 = random_jets(rng)[5:15]
    net = build("invariant", "top").double().eval()
    make = Builder("top", nodes=30)
    boosted = fourvectors.boost(p4, np.array([0.2, -0.1, 0.3])) * (p4[..., :1] > 0)
    with torch.no_grad():
        assert torch.allclose(net(make({"p4": p4})), net(make({"p4": boosted})), atol=1e-4)


def test_every_model_takes_its_data_and_refuses_others() -> None:
    with pytest.raises(PhysicsError, match="is for spinodal, eos, not for top"):
        build("cnn", "top")
    with pytest.raises(PhysicsError, match="model must be one of"):
        build("resnet", "top")
    assert "graphnet" in MODELS


def test_metrics_equal_scikit_learn(rng) -> None:
    label = rng.integers(0, 2, 3000)
    score = np.round(rng.normal(label, 1), 1)  # many ties
    assert abs(metrics.auc(label, score) - roc_auc_score(label, score)) < 1e-12


def test_auc_and_interval_of_two_gaussians(rng) -> None:
    label = np.arange(4000) % 2
    found = metrics.bootstrap(metrics.auc, label, rng.normal(label, 1), rng=rng, level=0.99)
    assert found.low < 0.7602 < found.high
    assert metrics.rejection(np.array([0, 0, 1, 1]), np.array([0.1, 0.7, 0.5, 0.9]), 0.75) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("label", "score", "words"),
    [
        (np.ones(5), np.ones(5), "both classes"),
        (np.array([0, 2]), np.ones(2), "label must be 0 or 1, but is 2"),
        (np.array([0, 1]), np.array([0.0, np.nan]), "finite"),
    ],
)
def test_what_has_no_roc_curve(label, score, words: str) -> None:
    with pytest.raises(PhysicsError, match=words):
        metrics.roc(label, score)


def test_four_vectors_of_the_wrong_kind_are_recognised(rng) -> None:
    p4 = random_jets(rng)
    assert fourvectors.check_four_vectors(p4) >= 0
    with pytest.raises(PhysicsError, match="ordered px, py, pz, E"):
        fourvectors.check_four_vectors(np.roll(p4, -1, axis=2))
    with pytest.raises(PhysicsError, match="seems to be in MeV"):
        fourvectors.check_four_vectors(p4 * 1000)
    with pytest.raises(PhysicsError, match="finite"):
        fourvectors.check_four_vectors(np.where(p4 > 50, np.inf, p4))
