"""A budget of processor time, and what it buys."""

from __future__ import annotations

import re

from colonnade.physics.errors import PhysicsError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# Training events per CPU-second of one core, rounded: what a budget in seconds buys when the result must not depend on
# the machine.
_SPEED = {
    "pfn": 4000, "efn": 4000, "graphnet": 1500, "particlenet-lite": 700, "particlenet": 650, "fcn": 4000,
    "part-lite": 300, "cnn": 600, "stations": 1700, "gcn": 2700,
}  # fmt: skip
_SLOWER = {"top": 1.0, "belle": 0.7, "airshower": 0.5, "spinodal": 0.25, "eos": 0.2}


def seconds(text: str) -> float:
    """A span of time such as "90", "30s", "2m", "1h" in seconds.

    Raises:
        PhysicsError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", text)
    if found is None:
        raise PhysicsError(f"budget must be a time such as 30s, 2m or 1h, but is {text!r}.")
    return float(found[1]) * _UNITS[found[2] or "s"]


def events_for(budget: float, model: str, dataset: str) -> int:
    """How many training events a budget of CPU-seconds stands for, by rounded speeds of one core."""
    slower = 1.0 if model == "cnn" else _SLOWER[dataset]
    return max(int(budget * _SPEED.get(model, 300) * slower), 256)
