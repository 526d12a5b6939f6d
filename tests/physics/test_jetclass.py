"""Published JetClass weights: the layout of the file, and the network against a dense transcription."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from colonnade.physics import PhysicsError
from colonnade.physics.jetclass import CLASSES, JetClassParticleNet, classify, load_jetclass, published_graph

from .conftest import random_jets


def as_published(net: JetClassParticleNet) -> dict[str, torch.Tensor]:
    """The weights under the names and shapes of the published files: 1 x 1 convolutions."""
    stored = {}
    for key, value in net.state_dict().items():
        kernel = (1, 1) if ".convs." in key else (1,) if key.endswith(".sc.weight") else ()
        stored[f"mod.{key}"] = value.reshape((*value.shape, *kernel))
    return stored


@pytest.fixture
def net() -> JetClassParticleNet:
    torch.manual_seed(0)
    made = JetClassParticleNet().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return made


def test_published_layout_is_read(net, tmp_path: Path, rng) -> None:
    torch.save(as_published(net), tmp_path / "ParticleNet_kin.pt")
    p4 = random_jets(rng)
    p4 = p4[(p4[..., 0] > 0).any(axis=1)]
    found = classify(load_jetclass(tmp_path / "ParticleNet_kin.pt"), p4)
    assert found.shape == (len(p4), len(CLASSES))
    assert np.allclose(found.sum(axis=1), 1)
    assert np.array_equal(found, classify(net, p4))


def dense(net: JetClassParticleNet, p4: np.ndarray) -> torch.Tensor:
    """One jet without padding, written out: every layer over all (particle, neighbour) pairs."""
    graph = published_graph(p4[None])
    x = net.bn_fts(graph.x[0])
    near = graph.neighbours[0]
    for index, layer in enumerate(net.edge_convs):
        if index:
            near = (torch.cdist(x, x) + torch.diag(torch.full((len(x),), 1e9))).topk(16, largest=False).indices
        e = torch.cat([x[:, None].expand(-1, 16, -1), x[near] - x[:, None]], dim=2)
        for linear, norm in zip(layer.convs, layer.bns, strict=True):
            e = torch.relu(norm(linear(e).transpose(1, 2)).transpose(1, 2))
        x = torch.relu(layer.sc_bn(layer.sc(x)) + e.mean(dim=1))
    return net.fc(x.mean(dim=0))


def test_forward_is_its_transcription(net, rng) -> None:
    pt = np.sort(rng.exponential(20, 24))[::-1]
    eta, phi = rng.normal(0.3, 0.3, 24), rng.normal(1, 0.3, 24)
    p4 = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    with torch.no_grad():
        expected = dense(net, p4)
        assert torch.allclose(net(published_graph(p4[None]))[0], expected, atol=1e-5)


def test_other_files_are_refused(tmp_path: Path, net) -> None:
    with pytest.raises(PhysicsError, match="there is no"):
        load_jetclass(tmp_path / "absent.pt")
    (tmp_path / "page.pt").write_text("<html>")
    with pytest.raises(PhysicsError, match="holds no PyTorch weights"):
        load_jetclass(tmp_path / "page.pt")
    stored = as_published(net)
    stored["mod.bn_fts.weight"] = torch.ones(13)
    torch.save(stored, tmp_path / "kinpid.pt")
    with pytest.raises(PhysicsError, match="its weights differ"):
        load_jetclass(tmp_path / "kinpid.pt")
