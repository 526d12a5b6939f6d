"""Scores of untrained networks that cost a batch of images: they order networks a little, and need no training.

NASWOT (Mellor et al., arXiv:2006.04647), synflow (Tanaka et al., arXiv:2006.05467), SNIP, gradient norm and the
correlation of Jacobians as Abdelfattah et al. (arXiv:2101.08134) compare them. Higher is better for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import cells, spaces
from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.network import AnyNetwork, build
from colonnade.nas.space import Architecture
from colonnade.nas.spaces import Design
from colonnade.threads import one_thread


def naswot(network: AnyNetwork, x: Tensor, y: Tensor) -> float:
    """Log determinant of the kernel of common activation patterns of a batch."""
    kernel = torch.zeros(len(x), len(x), dtype=torch.float64)

    def count(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        active = (inputs[0].flatten(1) > 0).float()
        both = active @ active.T
        one = active.sum(1)
        kernel.add_(both + (active.shape[1] - one[:, None] - one[None] + both))

    # A convolution after the stem reads what its rectifier lets through: its input holds the activation pattern.
    rectified = [m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and _rectifies(name)]
    hooks = [module.register_forward_hook(count) for module in rectified]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    sign, value = np.linalg.slogdet(kernel.numpy())
    return float(value) if sign > 0 else -np.inf


def _rectifies(name: str) -> bool:
    return "stem" not in name and "shortcut" not in name and "head" not in name


def synflow(network: AnyNetwork, x: Tensor, y: Tensor) -> float:
    """Logarithm of the sum over the weights of weight times gradient of the linearised network's output."""
    signs = {name: value.sign() for name, value in network.state_dict().items() if value.is_floating_point()}
    with torch.no_grad():
        for value in network.parameters():
            value.abs_()
    network.eval()
    network.zero_grad()
    network(torch.ones_like(x[:1])).sum().backward()
    # In double precision: sums over many layers overflow single.
    total = sum(
        float((p.detach().double() * p.grad.double()).abs().sum()) for p in network.parameters() if p.grad is not None
    )
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.mul_(signs[name])
    network.train()
    return float(np.log(total)) if total > 0 else -np.inf


def grad_norm(network: AnyNetwork, x: Tensor, y: Tensor) -> float:
    """Logarithm of the Euclidean norm of the loss's gradient."""
    grads = _gradients(network, x, y)
    return float(torch.stack([g.norm() for _, g in grads]).norm().log())


def snip(network: AnyNetwork, x: Tensor, y: Tensor) -> float:
    """Logarithm of the sum of |weight times gradient of the loss|."""
    return float(torch.stack([(p * g).abs().sum() for p, g in _gradients(network, x, y)]).sum().log())


def _gradients(network: AnyNetwork, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    network.zero_grad()
    F.cross_entropy(network(x), y).backward()
    return [(p.detach(), p.grad) for p in network.parameters() if p.grad is not None]


def jacov(network: AnyNetwork, x: Tensor, y: Tensor) -> float:
    """How little the gradients of different images with respect to their pixels correlate."""
    inputs = x.clone().requires_grad_()
    network(inputs).sum().backward()
    assert inputs.grad is not None
    rows = inputs.grad.flatten(1).double()
    values = torch.linalg.eigvalsh(torch.corrcoef(rows)).clamp(min=0) + 1e-5
    return -float((values.log() + 1 / values).sum())


PROXIES: dict[str, Callable[[AnyNetwork, Tensor, Tensor], float]] = {
    "naswot": naswot,
    "synflow": synflow,
    "grad_norm": grad_norm,
    "snip": snip,
    "jacov": jacov,
}
SIZES = ("params", "macs")


def batch(data: Images, resolution: int, n: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A batch of training images for the proxies."""
    training = np.flatnonzero(~data.test)
    chosen = np.random.default_rng(seed).choice(training, min(n, len(training)), replace=False)
    return data.prepare(data.x[chosen], resolution), torch.from_numpy(data.y[chosen])


def scores(architectures: Sequence[Design], data: Images, name: str, seed: int = 0) -> np.ndarray:
    """A proxy of freshly initialised networks on a batch of a data set, float64 [n]; -inf for a disconnected cell.

    Raises:
        NasError: no such proxy.
    """
    if name in SIZES:
        sizes = spaces.of(architectures[0]).sizes(architectures, data.channels, data.classes) if architectures else ()
        return np.asarray(sizes[SIZES.index(name)] if sizes else [], dtype=np.float64)
    if name not in PROXIES:
        raise NasError(f"proxy must be one of {', '.join([*SIZES, *PROXIES])}, but is {name!r}.")
    batches = {r: batch(data, r, seed=seed) for r in {a.resolution for a in architectures}}
    found = []
    for architecture in architectures:
        if isinstance(architecture, Architecture) and not cells.connected(cells.from_index(architecture.cell)):
            found.append(-np.inf)
            continue
        # Patterns of activation change with the last digit, so that the order of sums must not.
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(seed)
            network = build(architecture, data.channels, data.classes)
            network.train()
            value = PROXIES[name](network, *batches[architecture.resolution])
        found.append(value if np.isfinite(value) else -np.inf)
    return np.array(found)
