"""The official MetaD2A modules and ours on the same work: scoring, training, decoding. One thread, CPU-seconds.

    pip install python-igraph
    python benchmarks/against_metad2a.py MetaD2A/MetaD2A_nas_bench_201

The checkout is of the repository HayeonLee/MetaD2A (commit ef93ccc was used). Both get the same made-up features (10
classes of 20 images, 512 numbers each). Weights are random: only time is measured, and that the official graph encoder
with its weights copied into ours gives the same vectors.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import igraph
import numpy as np
import torch
from torch import nn

from colonnade.nas import cells
from colonnade.nas.generator import Generator
from colonnade.nas.graphs import NODES, TYPES, GraphEncoder, node_types, topology
from colonnade.nas.predictor import MACRO, Predictor
from colonnade.nas.sets import SetEncoder

CLASSES, SAMPLES, FEATURES, LATENT = 10, 20, 512, 56
CONFIG = {"num_vertex_type": TYPES, "max_n": NODES, "START_TYPE": 0, "END_TYPE": 1}


def module(folder: Path, name: str) -> Any:
    """One file of the checkout, without the package around it, which wants a training framework."""
    spec = importlib.util.spec_from_file_location(Path(name).stem + "_official", folder / name)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def graph(cell: np.ndarray) -> igraph.Graph:
    """A cell as the official code holds it."""
    found = igraph.Graph(directed=True)
    found.add_vertices(NODES)
    found.vs["type"] = node_types(cell[None])[0].tolist()
    found.add_edges([(int(a), int(b)) for a, b in np.argwhere(topology())])
    return found


class Equal(nn.Module):
    """Our encoders at the official sizes with the official head: 512 hidden, 56 numbers a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = GraphEncoder(512, LATENT)
        self.sets = SetEncoder(FEATURES, LATENT, LATENT)
        self.head = nn.Sequential(nn.Linear(2 * LATENT, 512), nn.Tanh(), nn.Linear(512, 1))

    @torch.inference_mode()
    def score_all(self, features: torch.Tensor) -> torch.Tensor:
        graphs = self.graph.every_cell()
        described = self.sets(features).expand(len(graphs), -1)
        scores: torch.Tensor = self.head(torch.cat([described, graphs], 1))
        return scores


def timed(run: Callable[[], object], repeats: int = 1) -> float:
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def copy_graph(official: Any, own: GraphEncoder) -> None:
    """The official graph encoder's weights in ours."""
    for ours, theirs in ((own.forwards, "forward"), (own.backwards, "backward")):
        ours.cell.load_state_dict(getattr(official, f"grue_{theirs}").state_dict())
        ours.gate.load_state_dict(getattr(official, f"gate_{theirs}")[0].state_dict())
        ours.map.load_state_dict(getattr(official, f"mapper_{theirs}")[0].state_dict())
    own.unify.load_state_dict(official.hg_unify[0].state_dict())
    own.out.load_state_dict(official.fc1.state_dict())


def official_step(model: Any, optimiser: torch.optim.Optimizer, x: torch.Tensor, graphs: list[igraph.Graph]) -> None:
    """A step of the official training: 32 records, the data set of each encoded."""
    optimiser.zero_grad()
    out = model.predict(model.set_encode(x), model.graph_encode([g.copy() for g in graphs]))
    model.mseloss(out, torch.zeros_like(out)).backward()
    optimiser.step()


def own_step(model: Predictor, optimiser: torch.optim.Optimizer, sets: list[torch.Tensor], types: torch.Tensor) -> None:
    """A step of ours: as many records of each of six data sets, which are encoded once."""
    described = torch.tanh(model.sets(torch.stack(sets))).repeat_interleave(len(types) // len(sets), 0)
    described = torch.cat([described, torch.zeros(len(types), 8)], 1)
    standing = model.standing(model.graph(types), torch.zeros(len(types), MACRO), described)
    optimiser.zero_grad()
    standing.pow(2).mean().backward()
    optimiser.step()


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    args = SimpleNamespace(nvt=TYPES, hs=512, nz=LATENT, num_sample=SAMPLES)
    official = module(folder, "predictor/predictor_model.py").PredictorModel(args, CONFIG).eval()
    decoder = (
        module(folder, "generator/model.py").GeneratorModel(SimpleNamespace(**vars(args) | {"hs": 56}), CONFIG).eval()
    )
    picked = [graph(cell) for cell in cells.every_cell()[rng.choice(cells.COUNT, 32)]]
    features = torch.randn(CLASSES, SAMPLES, FEATURES)

    with torch.no_grad():
        own = GraphEncoder(512, LATENT)
        copy_graph(official, own)
        types = node_types(np.array([[v - 2 for v in g.vs["type"][1:-1]] for g in picked]))
        difference = (official.graph_encode([g.copy() for g in picked]) - own(types)).abs().max()
    print(f"graph vectors with the official weights differ by {float(difference):.1e} at most")

    equal, light = Equal().eval(), Predictor(FEATURES).eval()
    flat = features.flatten(0, 1)

    @torch.inference_mode()
    def one_official() -> None:
        # As shipped: every candidate with the data set drawn and encoded ten times anew.
        official.predict(
            official.set_encode(torch.stack([flat] * 10)), official.graph_encode([picked[0].copy() for _ in range(10)])
        )

    @torch.inference_mode()
    def all_light() -> None:
        graphs = light.graph.every_cell()
        described = torch.cat([torch.tanh(light.sets(features)), torch.zeros(1, 8)], 1).expand(len(graphs), -1)
        light.standing(graphs, torch.zeros(len(graphs), MACRO), described)

    ours = Generator(FEATURES, hidden=56, latent=LATENT).eval()
    z = torch.randn(500, LATENT)
    official_sgd = torch.optim.Adam(official.parameters(), 1e-4)
    own_sgd = torch.optim.Adam(light.parameters(), 1e-3)
    batch = torch.stack([flat] * 32)
    many = node_types(cells.every_cell()[rng.choice(cells.COUNT, 120)])
    work: dict[str, Callable[[], float]] = {
        "official, one cell (ms)": lambda: 1e3 * timed(one_official, 5),
        "ours, hidden 48, all cells (ms)": lambda: 1e3 * timed(all_light),
        "ours, hidden 512, all cells (ms)": lambda: 1e3 * timed(lambda: equal.score_all(features)),
        "official, training, a record (ms)": lambda: (
            1e3 / 32 * timed(lambda: official_step(official.train(), official_sgd, batch, picked))
        ),
        "ours, training, a record (ms)": lambda: (
            1e3 / 120 * timed(lambda: own_step(light.train(), own_sgd, [features] * 6, many))
        ),
        "official, decoding 500 (ms)": lambda: 1e3 * timed(lambda: decoder.graph_decode(z)),
        "ours, decoding 500 (ms)": lambda: (
            1e3 * timed(lambda: ours.draw(z, torch.Generator().manual_seed(0), masked=False))
        ),
    }
    rounds = [{name: run() for name, run in work.items()} for _ in range(3)]
    best = {name: min(r[name] for r in rounds[1:]) for name in work}
    for name, value in best.items():
        print(f"{name}: {value:.2f}")
    one, light_all, equal_all, *rest = best.values()
    print(f"scoring, per cell: {one / (light_all / cells.COUNT):,.0f} times", end="; ")
    print(f"at equal hidden size: {one / (equal_all / cells.COUNT):,.0f}", end="; ")
    print(f"training an epoch: {rest[0] / rest[1]:.0f}; decoding: {rest[2] / rest[3]:.0f}")


if __name__ == "__main__":
    main()
