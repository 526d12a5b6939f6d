"""Decay trees of B mesons from the decay table against Pythia 8's event loop: events per CPU-second, one run."""

from __future__ import annotations

import time

import numpy as np

from colonnade.physics.decays import DecaySettings, PythiaDecays, table_trees


def speed(make, events: int) -> float:
    begin = time.process_time()
    make(events)
    return events / (time.process_time() - begin)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    settings = DecaySettings()
    table_trees(10, rng, settings)  # compiles
    pythia = PythiaDecays(1, rng, settings)
    ours, theirs = speed(lambda n: table_trees(n, rng, settings), 10_000), speed(pythia, 1000)
    print(f"decay table {ours:,.0f}/s   Pythia {theirs:,.0f}/s   ratio {ours / theirs:.1f} (bar: 5)")
