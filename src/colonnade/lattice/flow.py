"""Normalizing flows for lattice fields: generative models with exact density.

A `Density` draws fields x (components, sites, n) with their log-density and evaluates the log-density of given ones.
`Flow` is a base followed by layers; `Symmetrised` and `Mixture` combine flows. `build` makes the recipes of
arXiv:2107.00734 (section III): plain, equivariant, bimodal (topology matching), symmetrised and mixture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.layers import Coupling, Layer, ModeBase, SpectralScale, Spline
from colonnade.lattice.support import Support, support_for
from colonnade.lattice.target import Target
from colonnade.threads import one_thread

RECIPES = ("plain", "equivariant", "bimodal", "symmetrised", "mixture")


class Density(nn.Module):
    """A normalised density on fields of a support that can be sampled; `forward` is its log-density."""

    support: Support
    components: int

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw x (components, sites, n) and log q(x) (n,) in float64, differentiable in the parameters."""
        raise NotImplementedError

    def log_prob(self, x: Tensor) -> Tensor:
        """log q(x), shape (n,), in float64."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.log_prob(x)


class Flow(Density):
    """A base density pushed through invertible layers."""

    def __init__(self, support: Support, components: int, base: ModeBase, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.support, self.components, self.base = support, components, base
        self.layers = nn.ModuleList(cast("Sequence[nn.Module]", layers))

    def push(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Through all layers: x and the total log-determinant."""
        total = torch.zeros(z.shape[2], dtype=torch.float64)
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def pull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Back through all layers: z and the total log-determinant of the forward map."""
        total = torch.zeros(x.shape[2], dtype=torch.float64)
        for layer in reversed(list(self.layers)):
            x, log_det = cast(Layer, layer).inverse(x)
            total = total + log_det
        return x, total

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        z, log_q = self.base.sample(n, generator)
        x, log_det = self.push(z)
        return x, log_q - log_det

    def log_prob(self, x: Tensor) -> Tensor:
        z, log_det = self.pull(x)
        return self.base.log_prob(z) - log_det


class Symmetrised(Density):
    """q(x) = [p(x) + p(-x)] / 2 of one flow: the mixture that a known Z2 symmetry suggests."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow, self.support, self.components = flow, flow.support, flow.components

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, log_q = self.flow.sample(n, generator)
        sign = 1 - 2 * torch.randint(0, 2, (n,), generator=generator)
        other = self.flow.log_prob(-x)
        return x * sign, torch.logaddexp(log_q, other) - math.log(2)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.logaddexp(self.flow.log_prob(x), self.flow.log_prob(-x)) - math.log(2)


class Mixture(Density):
    """K independent flows with learned weights: no symmetry needed.

    `sample` draws each component in proportion to its weight; `stratified` draws equal numbers and returns the
    weights, which lets the loss be differentiated in them.
    """

    def __init__(self, flows: Sequence[Density]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.support, self.components = flows[0].support, flows[0].components
        self.logits = nn.Parameter(torch.zeros(len(flows)))

    @property
    def log_weights(self) -> Tensor:
        return torch.log_softmax(self.logits, 0)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        picked = torch.multinomial(self.log_weights.exp().detach(), n, replacement=True, generator=generator)
        counts = torch.bincount(picked, minlength=len(self.flows)).tolist()
        drawn = [cast(Density, f).sample(k, generator)[0] for f, k in zip(self.flows, counts, strict=True) if k]
        x = torch.cat(drawn, 2)[:, :, torch.randperm(n, generator=generator)]
        return x, self.log_prob(x)

    def stratified(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """n fields, their log q and their weights (summing to 1)."""
        each = max(1, n // len(self.flows))
        x = torch.cat([cast(Density, f).sample(each, generator)[0] for f in self.flows], 2)
        return x, self.log_prob(x), self.log_weights.exp().repeat_interleave(each) / each

    def log_prob(self, x: Tensor) -> Tensor:
        parts = torch.stack([cast(Density, f).log_prob(x) for f in self.flows])
        return torch.logsumexp(parts + self.log_weights.double()[:, None], 0)


@dataclass(frozen=True)
class FlowConfig:
    """Everything that fixes the architecture (stored with the weights).

    shape : even sides of at least 4
    recipe : plain, equivariant, bimodal, symmetrised or mixture
    couplings, hidden, reach : affine couplings, channels, extent of their convolution
    decimated : learn one colour only and draw the other from its exact conditional
    shift : displacement of the base of the plain recipe, and of the parts of a mixture
    parts : components of a mixture
    """

    shape: tuple[int, ...]
    recipe: str = "equivariant"
    components: int = 1
    couplings: int = 6
    hidden: int = 16
    reach: int = 3
    decimated: bool = True
    spline_bins: int = 10
    shift: float = 0.0
    parts: int = 2

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"shape": list(self.shape)}


def build(config: FlowConfig, seed: int = 0) -> Density:
    """Make the untrained flow of a recipe; `seed` fixes the initial weights.

    Raises
    ------
    LatticeError
        For an unknown recipe, odd sides, or sizes out of range.
    """
    if config.recipe not in RECIPES:
        raise LatticeError(f"recipe is {config.recipe!r}; it must be one of {', '.join(RECIPES)}")
    if config.recipe == "symmetrised" and config.components > 1:
        raise LatticeError("recipe 'symmetrised' is for a real field; use 'equivariant' for several components")
    for name, low, high in (("couplings", 0, 64), ("hidden", 1, 128), ("reach", 1, 8), ("parts", 2, 8)):
        value = getattr(config, name)
        if not low <= value <= high:
            raise LatticeError(f"{name} is {value}; it must be {low} to {high}")
    generator = torch.Generator().manual_seed(seed)
    odd = config.recipe == "equivariant"
    bimodal = config.recipe in ("equivariant", "bimodal")
    if config.recipe == "mixture":
        spread = np.linspace(-1, 1, config.parts) * (config.shift or 0.5)
        return Mixture([_one(config, generator, odd, False, float(s)) for s in spread])
    shift = config.shift or (0.5 if config.recipe == "symmetrised" else 0.0)
    flow = _one(config, generator, odd, bimodal, 0.0 if odd or bimodal else shift)
    return Symmetrised(flow) if config.recipe == "symmetrised" else flow


def _one(config: FlowConfig, generator: torch.Generator, odd: bool, bimodal: bool, shift: float) -> Flow:
    support = support_for(config.shape, decimated=config.decimated)
    base = ModeBase(support, config.components, bimodal=bimodal, shift=shift)
    layers: list[Layer] = []
    half = config.couplings // 2
    for k in range(config.couplings):
        if k == half:
            layers += [SpectralScale(support)]
        layers.append(Coupling(support, k % 2, config.hidden, config.reach, odd, generator))
    layers.append(SpectralScale(support))
    if config.spline_bins:
        layers.append(Spline(config.spline_bins))
    flow = Flow(support, config.components, base, layers)
    for p in flow.parameters():  # float32 whatever torch's default is; log-weights are summed in float64
        p.data = p.data.float()
    return flow


class FlowProposal:
    """A flow and an action as a source of weighted, independent configurations (see `mcmc.Proposal`)."""

    def __init__(self, flow: Density, action: ScalarAction) -> None:
        if flow.components != action.components:
            raise LatticeError(
                f"the flow has {flow.components} component(s) and the action {action.components}; they must agree"
            )
        self.flow, self.action = flow, action
        self.target = Target(action, flow.support)

    @one_thread()
    @torch.no_grad()
    def propose(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """n configurations (n, [C,] L_1, ...) and log w = -S - log q, both float64."""
        fields, weights = [], []
        for start in range(0, n, 4096):
            x, log_w = self.draw(min(4096, n - start), torch_generator(rng))
            fields.append(self.target.complete(x, rng))
            weights.append(log_w.numpy())
        return np.concatenate(fields), np.concatenate(weights)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fields on the flow's sites (C, S, n) and their log w; differentiable."""
        x, log_q = self.flow.sample(n, generator)
        return x, -self.target.energy(x) - log_q

    @one_thread()
    @torch.no_grad()
    def weigh(self, fields: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """log w of given configurations; `rng` is not used."""
        parts = [self.target.reduce(fields[k : k + 4096]) for k in range(0, len(fields), 4096)]
        weights = [-self.target.energy(x) - self.flow.log_prob(x) for x in parts]
        return np.asarray(torch.cat(weights).numpy(), dtype=np.float64)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator seeded from a numpy one."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
