"""Run a kernel and keep what was measured: `sample` returns an `Ensemble` with errors on everything."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from colonnade.lattice import _measure, observe
from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.diagnostics import (
    Estimate,
    Verdict,
    estimate,
    mode_weights,
    observable,
    tunnelling_rate,
)
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import Shape, neighbours
from colonnade.lattice.mcmc import Kernel, State, initial_state

Track = Callable[[Iterable[int]], Iterable[int]]

MAX_SERIES_BYTES = 4 << 30
MIN_SIGN_CHANGES = 100  # fewer do not give the relative weight of two vacua to 20 %


@dataclass(frozen=True)
class Ensemble:
    """Elementary observables of every chain after every kernel call, and what follows from them.

    Series have shape (n, chains); `magnetisation` is (n, components, chains) and `correlator` (n, L_1 // 2 + 1,
    chains). `fields` are the configurations kept on request, (kept, chains, ...); `seconds` is the CPU time of the
    measured calls.
    """

    action: ScalarAction
    shape: Shape
    kernel: Kernel
    magnetisation: FloatArray
    phi2: FloatArray
    phi4: FloatArray
    link: FloatArray
    correlator: FloatArray
    acceptance: dict[str, float]
    seconds: float
    burn_in: int
    state: State
    fields: FloatArray | None = None
    name: str = field(default="ensemble")

    @property
    def volume(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def m2(self) -> FloatArray:
        """|M|^2 of the mean field, (n, chains)."""
        return np.asarray((self.magnetisation**2).sum(1))

    def obs(self, series: FloatArray) -> Any:
        """pyerrors.Obs of a series (n, chains) of this ensemble."""
        return observable(series, self.name)

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Estimates of `observe.standard`: phi2, phi4, link, energy, chi2, abs_m, binder, xi2, mass."""
        return {key: estimate(value) for key, value in observe.standard(self).items()}

    @cached_property
    def two_point(self) -> list[Estimate]:
        """C(t) = sum over the slice of <phi_0 phi_x>, t = 0 .. L_1/2; no disconnected part subtracted."""
        return [estimate(self.obs(self.correlator[:, t])) for t in range(self.correlator.shape[1])]

    def connected(self) -> list[Estimate]:
        """G_c(t): C(t) minus V_slice <|M|>^2, meaningful where one vacuum is occupied at a time."""
        return [estimate(o) for o in observe.connected(self)]

    def effective_mass(self) -> list[Estimate | None]:
        """m_eff(t) = arcosh[(C(t-1) + C(t+1)) / (2 C(t))] for 0 < t < L_1/2; None where it is not defined."""
        return [None if o is None else estimate(o) for o in observe.effective_mass(self)]

    @cached_property
    def tunnelling(self) -> float:
        """Sign changes of the magnetisation per kernel call and chain."""
        return tunnelling_rate(self.magnetisation[:, 0])

    @cached_property
    def verdict(self) -> Verdict:
        """ok, not converged (fewer than 50 tau_int samples) or mode missed (all chains stayed in one vacuum)."""
        signs = self.magnetisation[:, 0]
        minus, plus = mode_weights(signs)
        chi2 = self.estimates["chi2"]
        numbers = {
            "plus": plus,
            "tunnelling": self.tunnelling,
            "tau_int": chi2.tau_int,
            "samples": chi2.samples,
        }
        if self.action.components == 1 and self.action.h == 0:
            spread = float(np.abs(signs).std() / np.abs(signs).mean())
            if min(minus, plus) == 0.0 and spread < 0.5:
                reason = "all chains stayed in one of two equivalent vacua: only |M| and even observables are valid"
                return Verdict("mode missed", reason, numbers)
            sign = estimate(self.obs(np.sign(signs)))
            numbers["sign"], numbers["sign_error"], numbers["sign_tau"] = sign.value, sign.error, sign.tau_int
            events = self.tunnelling * (len(signs) - 1) * signs.shape[1]
            numbers["sign_changes"] = events
            if spread < 0.75 and abs(sign.value) > max(5 * sign.error, 0.2):
                reason = f"<sign M> is {sign.value:.2f} where the symmetry of the action makes it 0"
                return Verdict("mode missed", reason, numbers)
            if spread < 0.75 and (sign.status != "ok" or events < MIN_SIGN_CHANGES):
                reason = (
                    f"the sign of M changes {self.tunnelling:.1e} times a call: too rarely to weigh the two vacua; "
                    "even observables may still be right"
                )
                return Verdict("not converged", reason, numbers)
        if any(e.status != "ok" for e in self.estimates.values()):
            reason = f"{chi2.samples} samples are fewer than 50 autocorrelation times (tau_int {chi2.tau_int:.1f})"
            return Verdict("not converged", reason, numbers)
        return Verdict("ok", f"{chi2.samples} samples, tau_int of M^2 {chi2.tau_int:.2f}", numbers)

    def advice(self) -> str | None:
        """A sentence when the acceptance is out of the useful range, else None."""
        for label, value in self.acceptance.items():
            if "hmc" in label or label == "accepted":
                if value < 0.1:
                    return f"acceptance {label} is {value:.2f}, below 0.1: make dt smaller"
                if value > 0.99 and self.kernel.name == "hmc":
                    return f"acceptance {label} is {value:.3f}, above 0.99: make dt larger"
        return None


def sample(
    action: ScalarAction,
    shape: Sequence[int],
    kernel: Kernel,
    n: int,
    *,
    chains: int = 16,
    seed: int | np.random.Generator = 0,
    burn_in: int | None = None,
    start: str = "vacua",
    tune: bool = True,
    keep: int = 0,
    track: Track | None = None,
    state: State | None = None,
) -> Ensemble:
    """Run `chains` chains for `n` kernel calls after burn-in and measure after every call.

    Parameters
    ----------
    action, shape, kernel : what to sample and how
    n : kernel calls kept, at least 10
    seed : an integer or a generator; the same seed gives the same chains on any number of threads
    burn_in : discarded calls after step-size tuning (default max(100, n // 10))
    start : see `initial_state`; `state` overrides it
    tune : adapt step sizes before the burn-in (never after)
    keep : store the configurations every `keep` calls (0: none)
    track : wraps the loop, e.g. `rich.progress.track`

    Raises
    ------
    LatticeError
        For a shape that does not fit the action, or sizes out of range.
    """
    if n < 10:
        raise LatticeError(f"n is {n}; at least 10 measurements are needed")
    if not 1 <= chains <= 65536:
        raise LatticeError(f"chains is {chains}; it must be 1 to 65536")
    series_bytes = 8.0 * n * chains * (action.components + 3 + shape[0] // 2 + 1)
    if series_bytes > MAX_SERIES_BYTES:
        raise LatticeError(
            f"n = {n} with {chains} chains would record {series_bytes / 2**30:.1f} GiB of measurements; "
            f"at most {MAX_SERIES_BYTES >> 30} GiB are allowed"
        )
    rng = np.random.default_rng(seed)
    state = initial_state(action, shape, chains, rng, start) if state is None else state
    if tune:
        kernel, state = kernel.tuned(state, rng)
    burn_in = max(100, n // 10) if burn_in is None else burn_in
    for _ in range(burn_in):
        state, _ = kernel(state, rng)
    nbr = neighbours(state.shape)
    chains = state.phi.shape[2]
    magnetisation = np.empty((n, action.components, chains))
    local = np.empty((n, 3, chains))
    correlator = np.empty((n, state.shape[0] // 2 + 1, chains))
    sums: dict[str, float] = {}
    kept = []
    began = time.process_time()
    for i in track(range(n)) if track else range(n):
        state, info = kernel(state, rng)
        _measure.elementary(state.phi, nbr, state.shape[0], magnetisation[i], local[i], correlator[i])
        for key, value in info.items():
            if "accepted" in key or "cluster" in key:
                sums[key] = sums.get(key, 0.0) + float(value.mean()) / n
        if keep and (i + 1) % keep == 0:
            kept.append(state.fields.copy())
    seconds = time.process_time() - began
    fields = np.stack(kept) if kept else None
    columns = (local[:, 0], local[:, 1], local[:, 2])
    return Ensemble(
        action,
        state.shape,
        kernel,
        magnetisation,
        *columns,
        correlator,
        sums,
        seconds,
        burn_in,
        state,
        fields,
    )
