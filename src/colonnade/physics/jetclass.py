"""ParticleNet with the weights that were published for the JetClass data set (ten kinds of jets), from a file of yours.

The files `ParticleNet_kin.pt` and its siblings are in the repository jet-universe/particle_transformer (MIT licence)
of Qu, Li & Qian, arXiv:2202.03772; none is carried here. Only the kinematic one can be used, as jets of this package
know no particle types. JetClass jets have pT 500 to 1000 GeV and came through another detector: scores of other jets
are not calibrated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from colonnade.physics import graphs
from colonnade.physics.errors import PhysicsError
from colonnade.physics.features import jet_features
from colonnade.physics.fourvectors import harden
from colonnade.physics.graphs import Graph, dynamic_knn

CLASSES = ("QCD", "H→bb", "H→cc", "H→gg", "H→4q", "H→ℓνqq'", "Z→qq", "W→qq'", "t→bqq'", "t→bℓν")
NODES, NEIGHBOURS = 128, 16
WIDTHS = (64, 128, 256)
# Order of the published features among ours, and the shift and scale of each; then they are cut at ±5.
_ORDER = [0, 1, 4, 5, 6, 2, 3]
_SHIFT = np.array([1.7, 2.0, -4.7, -4.7, 0.2, 0.0, 0.0])
_SCALE = np.array([0.7, 0.7, 0.7, 0.7, 4.0, 1.0, 1.0])
_CUT = np.array([5, 5, 5, 5, 5, np.inf, np.inf])


class JetClassParticleNet(nn.Module):
    """ParticleNet (arXiv:1902.08570) in the form that was trained on JetClass: three edge convolutions of three layers.

    Padding is never a neighbour here; the published code lets it be one in jets of fewer than 17 particles.
    """

    def __init__(self, features: int = 7, classes: int = 10) -> None:
        super().__init__()
        self.bn_fts = nn.BatchNorm1d(features)
        sizes = zip((features, *WIDTHS), WIDTHS, strict=False)
        self.edge_convs = nn.ModuleList([_EdgeConvolution(a, b) for a, b in sizes])
        last = WIDTHS[-1]
        self.fc = nn.Sequential(nn.Sequential(nn.Linear(last, last), nn.ReLU()), nn.Linear(last, classes))

    def forward(self, graph: Graph) -> torch.Tensor:
        """(jets, classes) log odds."""
        x, near = self.bn_fts(graph.flat), graph.sparse
        for index, layer in enumerate(self.edge_convs):
            x = layer(x, near if index == 0 else dynamic_knn(x, graph, NEIGHBOURS))
        found: torch.Tensor = self.fc(graph.pool(x))
        return found


class _EdgeConvolution(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Linear(a, width, bias=False) for a in (2 * inputs, width, width)])
        self.bns = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(3)])
        self.sc, self.sc_bn = nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        node, slot = (near < len(x)).nonzero(as_tuple=True)
        edges = torch.cat([x[node], x[near[node, slot]] - x[node]], dim=1)
        for dense, norm in zip(self.convs, self.bns, strict=True):
            edges = F.relu(norm(dense(edges)))
        total = edges.new_zeros(len(x), edges.shape[1]).index_add_(0, node, edges)
        count = torch.bincount(node, minlength=len(x)).clamp(min=1)[:, None]
        return F.relu(self.sc_bn(self.sc(x)) + total / count)


def load_jetclass(file: Path | str) -> JetClassParticleNet:
    """The network with the weights of a file `ParticleNet_kin.pt`.

    Raises:
        PhysicsError: the file holds no such weights.
    """
    path = Path(file)
    if not path.is_file():
        raise PhysicsError(f"file must be an existing ParticleNet_kin.pt, but there is no {str(path)!r}.")
    try:
        stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no such file fails in many ways; nothing in it is ever executed
        raise PhysicsError(f"file {path.name!r} holds no PyTorch weights ({type(error).__name__}).") from None
    net = JetClassParticleNet()
    shapes = {key: value.shape for key, value in net.state_dict().items()}
    plain = {key.removeprefix("mod."): value for key, value in stored.items() if isinstance(value, torch.Tensor)}
    fitting = {key: value.reshape(shapes[key]) for key, value in plain.items() if _same(value, shapes.get(key))}
    if set(fitting) != set(shapes):
        raise PhysicsError(f"file {path.name!r} must be ParticleNet_kin.pt of JetClass, but its weights differ.")
    net.load_state_dict(fitting)
    return net.eval()


def _same(value: torch.Tensor, shape: torch.Size | None) -> bool:
    """Whether a weight has a shape up to trailing ones: the published layers are 1 x 1 convolutions."""
    return shape is not None and tuple(value.shape[: len(shape)]) == tuple(shape) and value.numel() == shape.numel()


def classify(net: JetClassParticleNet, p4: NDArray[Any], batch: int = 128) -> NDArray[np.float64]:
    """(jets, 10) probabilities of `CLASSES` for jets (jets, nodes, 4) E, px, py, pz in GeV."""
    found = []
    with torch.no_grad():
        for start in range(0, len(p4), batch):
            found.append(net(published_graph(p4[start : start + batch])).softmax(dim=1).double().numpy())
    return np.concatenate(found) if found else np.zeros((0, len(CLASSES)))


def published_graph(p4: NDArray[Any]) -> Graph:
    """Jets as the published network was shown them: 128 particles, seven scaled features, 16 neighbours."""
    p4, _ = harden(p4, min(NODES, p4.shape[1]))
    x, points, mask = jet_features(p4)
    scaled = np.clip((x[..., _ORDER] - _SHIFT) * _SCALE, -_CUT, _CUT) * mask[..., None]
    near = graphs.knn(points, mask, NEIGHBOURS)
    return Graph(torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(mask), torch.from_numpy(near))
