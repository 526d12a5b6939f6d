"""Honest numbers about a sampler: effective sample sizes both ways, log Z, errors by the Gamma method, verdicts.

The reverse effective sample size (fields drawn from the flow) is blind to what the flow never draws; the forward one
(fields drawn from the target) is not. Reading only the first is how a collapsed flow passes for a good one.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.errors import LatticeError

Status = Literal["ok", "not converged", "mode missed"]

MAX_REPLICAS = 16
SAMPLES_PER_TAU = 50


class Estimate(NamedTuple):
    """A mean with its error; `status` is "not converged" when the run is too short for the error to be believed."""

    value: float
    error: float
    tau_int: float
    tau_error: float
    samples: int
    status: Status

    def __str__(self) -> str:
        mark = "" if self.status == "ok" else f" [{self.status}]"
        return f"{self.value:.6g} +- {self.error:.2g}{mark}"


class Verdict(NamedTuple):
    """One of ok, not converged, mode missed, with the reason in a sentence and the numbers behind it."""

    status: Status
    reason: str
    numbers: dict[str, float]


def _lse(x: FloatArray) -> float:
    top = float(np.max(x))
    return top + math.log(float(np.exp(x - top).sum())) if math.isfinite(top) else top


def reverse_ess(log_w: FloatArray) -> float:
    """(sum w)^2 / (N sum w^2) for fields drawn from the flow; 1 for a perfect flow, 1/N at worst."""
    log_w = _finite(log_w)
    return math.exp(2 * _lse(log_w) - _lse(2 * log_w)) / len(log_w)


def forward_ess(log_w: FloatArray) -> float:
    """N^2 / (sum w  sum 1/w) for fields drawn from the target: its normalised form, 1 when w is constant.

    It estimates the same number as `reverse_ess` but sees the fields that the flow misses (their 1/w is near 0).
    """
    log_w = _finite(log_w)
    return math.exp(2 * math.log(len(log_w)) - _lse(log_w) - _lse(-log_w))


def _finite(log_w: FloatArray) -> FloatArray:
    values = np.asarray(log_w, dtype=np.float64).ravel()
    if values.size == 0 or np.isnan(values).any():
        raise LatticeError(f"log_w has {values.size} values, some of them not numbers; give at least one finite one")
    return values


def log_z(log_w: FloatArray) -> tuple[float, float]:
    """log Z = log <w> over fields drawn from the flow, and its standard error (delta method)."""
    log_w = _finite(log_w)
    n = len(log_w)
    ess = reverse_ess(log_w)
    return _lse(log_w) - math.log(n), math.sqrt(max(1 / ess - 1, 0.0) / n)


def forward_log_z(log_w: FloatArray) -> tuple[float, float]:
    """log Z = -log <1/w> over fields drawn from the target, and its standard error if they are independent."""
    value, error = log_z(-_finite(log_w))
    return -value, error


def flow_verdict(log_w: FloatArray, log_w_target: FloatArray, mode: FloatArray | None = None) -> Verdict:
    """Judge a flow from log w of its own fields and of fields of the target.

    Parameters
    ----------
    log_w : fields drawn from the flow
    log_w_target : fields drawn from the target, as many from every vacuum (HMC started in each)
    mode : label of the vacuum of each of them, e.g. the sign of the magnetisation

    Notes
    -----
    With Z from the flow's own fields, the mean of Z/w over the target's fields of one vacuum is the fraction of that
    vacuum's weight that the flow covers, relative to what it covers overall.
    """
    reverse, forward = reverse_ess(log_w), forward_ess(log_w_target)
    own, own_error = log_z(log_w)
    other, _ = forward_log_z(log_w_target)
    labels = np.zeros(len(log_w_target)) if mode is None else np.sign(np.asarray(mode))
    median = float(np.median(log_w))
    shares = {
        float(m): _lse(-log_w_target[labels == m]) - math.log(int((labels == m).sum())) for m in np.unique(labels)
    }
    top = max(shares.values())
    coverage = {m: math.exp(share - top) for m, share in shares.items()}
    numbers = {
        "reverse_ess": reverse,
        "forward_ess": forward,
        "log_z": own,
        "log_z_error": own_error,
        "forward_log_z": other,
        "least_coverage": min(coverage.values()),
        "median_gap": float(np.median(log_w_target)) - median,
    }
    # the share of the target's fields that the flow draws 20 times too rarely
    missed = float((log_w_target > own + math.log(20)).mean())
    numbers["missed"] = missed
    if min(coverage.values()) < 0.05 or missed > 0.05:
        reason = (
            f"the flow hardly draws {100 * missed:.0f} % of the target's fields (the least covered vacuum gets "
            f"{min(coverage.values()):.1e} of the best one); forward ESS {forward:.1e} against reverse {reverse:.2f}"
        )
        return Verdict("mode missed", reason, numbers)
    if reverse < 0.05 or forward < 0.05:
        return Verdict("not converged", f"ESS is small: reverse {reverse:.3f}, forward {forward:.3f}", numbers)
    if forward < 0.5 * reverse:
        reason = (
            f"forward ESS {forward:.2f} is below half of the reverse one, {reverse:.2f}: {100 * missed:.1f} % of the "
            "target's fields lie in thin tails of the flow (train on the forward KL, or compose with HMC)"
        )
        return Verdict("not converged", reason, numbers)
    return Verdict("ok", f"reverse ESS {reverse:.2f} and forward ESS {forward:.2f} agree", numbers)


def grouped(series: FloatArray) -> FloatArray:
    """(n, chains) -> (n, at most MAX_REPLICAS): average chains in groups, so that the Gamma method stays fast."""
    chains = series.shape[1]
    if chains <= MAX_REPLICAS:
        return series
    groups = np.array_split(np.arange(chains), MAX_REPLICAS)
    sizes = {len(g) for g in groups}
    if len(sizes) > 1:  # equal groups only: replicas are weighted by their length, not their size
        keep = chains - chains % MAX_REPLICAS
        groups = np.array_split(np.arange(keep), MAX_REPLICAS)
    return np.stack([series[:, g].mean(1) for g in groups], axis=1)


def observable(series: FloatArray, name: str = "ensemble") -> Any:
    """pyerrors.Obs of a primary observable measured as (n, chains); every chain is a replica of one ensemble."""
    import pyerrors

    data = grouped(np.asarray(series, dtype=np.float64))
    return pyerrors.Obs(list(data.T), [f"{name}|r{k:03d}" for k in range(data.shape[1])])


def estimate(obs: Any) -> Estimate:
    """Error and integrated autocorrelation time of a (derived) observable by the Gamma method.

    Wolff, Comput. Phys. Commun. 156, 143 (2004), through pyerrors. A run with fewer than 50 tau_int samples is
    marked "not converged".
    """
    obs.gamma_method()
    names = list(obs.e_names)
    tau = max((float(obs.e_tauint[n]) for n in names), default=0.5)
    tau_error = max((float(obs.e_dtauint[n]) for n in names), default=0.0)
    samples = int(obs.N)
    trusted = math.isfinite(float(obs.dvalue)) and samples >= SAMPLES_PER_TAU * max(tau, 0.5)
    return Estimate(float(obs.value), float(obs.dvalue), tau, tau_error, samples, "ok" if trusted else "not converged")


def tau_int(series: FloatArray, window: float = 5.0) -> float:
    """Integrated autocorrelation time of (n, chains), averaged over chains, with Sokal's window, by FFT.

    A quick number for live monitoring and step-size choices; reports use `estimate`.
    """
    x = np.asarray(series, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    n = len(x)
    if n < 10:
        raise LatticeError(f"series has {n} entries; at least 10 are needed for an autocorrelation time")
    x = x - x.mean()
    spectrum = np.fft.rfft(x, 2 * n, axis=0)
    gamma = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:n].mean(1) / np.arange(n, 0, -1)
    if gamma[0] <= 0:
        return 0.5
    running = 0.5 + np.cumsum(gamma[1:] / gamma[0])
    stop = np.nonzero(np.arange(1, n) >= window * np.maximum(running, 0.5))[0]
    return float(max(running[stop[0]] if len(stop) else running[-1], 0.5))


def tunnelling_rate(magnetisation: FloatArray) -> float:
    """Sign changes of the magnetisation (n, chains) per step and chain."""
    signs = np.sign(magnetisation)
    return float((signs[1:] != signs[:-1]).mean()) if len(signs) > 1 else 0.0


def mode_weights(magnetisation: FloatArray, weights: FloatArray | None = None) -> tuple[float, float]:
    """Weights of negative and positive magnetisation, (minus, plus), summing to 1."""
    m = np.asarray(magnetisation).ravel()
    w = np.ones_like(m) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    plus = float(w[m > 0].sum() / w.sum())
    return 1 - plus, plus
