"""Fit a model within a budget of processor time, and say how good it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from colonnade.physics import metrics
from colonnade.physics.errors import PhysicsError, between, one_of
from colonnade.physics.features import NEEDED, Builder
from colonnade.physics.metrics import Interval
from colonnade.physics.models import build, parameters
from colonnade.physics.schema import spec
from colonnade.physics.shards import Dataset

FITTED = 2000  # events that means and spreads are fitted on
Progress = Callable[[float, float], None]
Watch = Callable[["Trained", float, int], None]


@dataclass
class Trained:
    """A fitted model with all that is needed to use it.

    Attributes:
        net: the network.
        builder: makes its graphs.
        model, options: what `build` was called with.
        curve: (CPU-seconds, events seen, mean training loss) along the fit.
    """

    net: nn.Module
    builder: Builder
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    curve: list[tuple[float, int, float]] = field(default_factory=list)

    @property
    def dataset(self) -> str:
        return self.builder.name

    def predict(self, data: Dataset | dict[str, NDArray[Any]], start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Probabilities, or the regressed quantity in its unit, of all events, in their order."""
        if isinstance(data, Dataset):
            batches = data.batches(512, columns=NEEDED[self.dataset], start=start, stop=stop)
        else:
            size = len(next(iter(data.values())))
            batches = ({k: v[i : i + 512] for k, v in data.items()} for i in range(start, stop or size, 512))
        self.net.eval()
        with torch.no_grad():
            found = [self.net(self.builder(batch)).numpy() for batch in batches]
        raw = np.concatenate(found) if found else np.zeros(0, np.float32)
        if spec(self.dataset).task == "classification":
            return np.asarray(1 / (1 + np.exp(-raw.astype(float))))
        mean, spread = self.builder.scale["target"]
        return np.asarray(raw * spread + mean)

    def save(self, file: Path) -> None:
        """Write weights and settings as safetensors."""
        from safetensors.torch import save_file

        scale = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.builder.scale.items()}
        told: dict[str, Any] = {"dataset": self.dataset, "model": self.model, "options": self.options, "scale": scale}
        told |= {"nodes": self.builder.nodes, "k": self.builder.k}
        save_file(self.net.state_dict(), file, metadata={"colonnade.physics": json.dumps(told, sort_keys=True)})


def load_model(file: Path | str) -> Trained:
    """Read what `Trained.save` wrote.

    Raises:
        PhysicsError: the file is no such model, or its weights do not fit the model it names.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), "pt") as stored:
            told = json.loads((stored.metadata() or {})["colonnade.physics"])
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, OSError):
        raise PhysicsError(f"{Path(file).name} is no model written by this package.") from None
    net = build(told["model"], told["dataset"], **told["options"])
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise PhysicsError(
            f"The weights in {Path(file).name} are from another schema than {told['model']!r}."
        ) from None
    scale = {k: np.array(v) if isinstance(v, list) and k != "target" else v for k, v in told["scale"].items()}
    return Trained(net, Builder(told["dataset"], told["nodes"], told["k"], scale), told["model"], told["options"])


def carried_tagger(model: str = "particlenet-lite") -> Trained:
    """A network that this package carries, trained on 200,000 generated top and QCD jets.

    Args:
        model: "particlenet-lite" or "pfn".

    Raises:
        PhysicsError: no such network is carried.
    """
    one_of("model", model, ("particlenet-lite", "pfn"))
    return load_model(Path(__file__).parent / "weights" / f"top-{model}.safetensors")


def fit(
    data: Dataset,
    model: str = "graphnet",
    *,
    start: dict[str, torch.Tensor] | None = None,
    budget: float = 60.0,
    seed: int = 0,
    batch: int = 128,
    rate: float = 2e-3,
    stop: int | None = None,
    nodes: int = 100,
    epochs: int = 1000,
    events: int | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
    marks: Sequence[float] = (),
    **options: Any,
) -> Trained:
    """Train a model on a stream of events until the budget is spent.

    Adam with a one-cycle rate: up for a tenth of the budget, then down along a cosine. Memory does not grow with the
    number of events.

    Args:
        data: training events.
        model: one of `models.MODELS` or "reference".
        start: weights to begin with (fine-tuning); fresh ones by default.
        budget: CPU-seconds.
        seed: of weights and order.
        batch: events a step.
        rate: largest learning rate.
        stop: use the first events up to this one only.
        nodes: most constituents of a jet.
        epochs: most passes over the data.
        events: spend the budget on this many events instead of on seconds: the same result on every machine.
        progress: called with the share of the budget that is spent, and 1.
        watch: called with the model, the CPU-seconds and the events seen, at each of `marks`; its time is not counted.
        marks: CPU-seconds.
        options: of the model.

    Raises:
        PhysicsError: a value out of range, a model that does not fit the data, or labels of one class.
    """
    between("budget", budget, 0.1, 1e6, "s")
    rng = np.random.default_rng(seed)
    columns = (*NEEDED[data.spec.name], data.spec.target)
    first = data.arrays(columns, stop=min(FITTED, stop or len(data)))
    if data.spec.task == "classification" and len(np.unique(first[data.spec.target])) < 2:
        raise PhysicsError(f"label must hold both classes, but all of the first events are {first['label'][0]}.")
    builder = Builder(data.spec.name, nodes).fit(first)
    net = build(model, data.spec.name, seed, **options)
    if start is not None:
        net.load_state_dict(start)
    trained = Trained(net, builder, model, options)
    loss_of = nn.BCEWithLogitsLoss() if data.spec.task == "classification" else nn.MSELoss()
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    every = int(np.clip(events // batch // 40, 1, 20)) if events else 20  # batches in a point of the curve
    begin, seen, recent, ahead = time.process_time(), 0, [], sorted(marks)
    torch.manual_seed(seed)
    net.train()
    for _ in range(epochs):
        for some in data.batches(batch, columns=columns, rng=rng, stop=stop):
            spent = time.process_time() - begin
            if watch is not None and ahead and spent >= ahead[0]:
                ahead.pop(0)
                watch(trained, spent, seen)
                net.train()
                begin = time.process_time() - spent
            share = seen / events if events else spent / budget
            if share >= 1:
                return _settled(trained, data, columns, stop) if start is not None else trained
            if len(some[data.spec.target]) < 2:  # batch norm needs two
                continue
            optimiser.param_groups[0]["lr"] = rate * cycle(share)
            loss = loss_of(net(builder(some)), builder.target(some))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            seen += len(some[data.spec.target])
            recent.append(loss.item())
            if len(recent) == every:
                trained.curve.append((round(spent, 3), seen, float(np.mean(recent))))
                recent = []
                if progress is not None:
                    progress(share, 1.0)
    return _settled(trained, data, columns, stop) if start is not None else trained


def _settled(trained: Trained, data: Dataset, columns: Sequence[str], stop: int | None) -> Trained:
    """The same weights with the means and spreads of batch norms measured anew.

    Running averages lag behind weights that a short tuning has moved, and answers go far astray.
    """
    norms = [module for module in trained.net.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain averages
    trained.net.train()
    with torch.no_grad():
        for some in data.batches(128, columns=columns, rng=np.random.default_rng(0), stop=min(stop or FITTED, FITTED)):
            if len(some[data.spec.target]) > 1:
                trained.net(trained.builder(some))
    for norm in norms:
        norm.momentum = 0.1
    return trained


def occlusion(trained: Trained, jet: NDArray[Any]) -> NDArray[np.float64]:
    """What each constituent adds to a jet's score: the log odds with all of them minus those without it.

    Args:
        trained: a model of the set top.
        jet: (nodes, 4) E, px, py, pz in GeV.

    Returns:
        (nodes,), 0 at padding.
    """
    real = np.flatnonzero(jet[:, 0] > 0)
    without = np.repeat(jet[None], len(real) + 1, axis=0)
    without[np.arange(len(real)), real] = 0
    probability = np.clip(trained.predict({"p4": without}), 1e-9, 1 - 1e-9)
    odds = np.log(probability / (1 - probability))
    found = np.zeros(len(jet))
    found[real] = odds[-1] - odds[:-1]
    return found


def cycle(share: float) -> float:
    """Learning rate over its largest value, at a share of the training: a short rise, then a cosine down."""
    if share < 0.1:
        return 0.1 + 9 * share
    return 0.5 * (1 + float(np.cos(np.pi * min((share - 0.1) / 0.9, 1.0)))) + 1e-3


@dataclass(frozen=True)
class Report:
    """What `evaluate` found.

    Attributes:
        dataset, model, parameters, events: of what, on how many test events.
        measures: by name, with intervals.
        truth, predicted: of every test event.
    """

    dataset: str
    model: str
    parameters: int
    events: int
    measures: dict[str, Interval]
    truth: NDArray[Any]
    predicted: NDArray[Any]


def evaluate(trained: Trained, data: Dataset, *, start: int = 0, seed: int = 0, draws: int = 200) -> Report:
    """Measure a model on test events, with 68 % bootstrap intervals.

    Classification: AUC, accuracy, 1/eps_B at eps_S = 0.5 and 0.3. Regression: resolution, bias.

    Raises:
        PhysicsError: another data set than the model's, or test events of one class.
    """
    if data.spec.name != trained.dataset:
        raise PhysicsError(f"The model was trained on {trained.dataset}, but the data are {data.spec.name}.")
    truth = data.arrays([data.spec.target], start=start)[data.spec.target]
    predicted = trained.predict(data, start=start)
    rng = np.random.default_rng(seed)
    measures: dict[str, Callable[..., float]]
    if data.spec.task == "classification":
        measures = {
            "AUC": metrics.auc,
            "accuracy": metrics.accuracy,
            "1/eps_B(0.5)": lambda y, s: metrics.rejection(y, s, 0.5),
            "1/eps_B(0.3)": lambda y, s: metrics.rejection(y, s, 0.3),
        }
    else:
        measures = {"resolution": metrics.resolution, "bias": metrics.bias}
    found = {
        name: metrics.bootstrap(measure, truth, predicted, rng=rng, draws=draws) for name, measure in measures.items()
    }
    return Report(trained.dataset, trained.model, parameters(trained.net), len(truth), found, truth, predicted)
