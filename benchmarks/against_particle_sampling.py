"""Air showers against the sampling of every particle's arrival time, same law: events per CPU-second, one run."""

from __future__ import annotations

import time

import numpy as np

from colonnade.physics import showers

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for low, high in ((18.5, 20.0), (18.5, 18.6), (19.9, 20.0)):
        settings = showers.ShowerSettings(lge_min=low, lge_max=high)
        begin = time.process_time()
        made = showers.air_showers(1000, rng, settings)
        ours = 1000 / (time.process_time() - begin)
        place, axis, n = showers.stations(), made["axis"].astype(float), 10
        core = np.tile([0.0, 0.0, showers.HEIGHT], (n, 1))
        far, _ = showers.distances(place, core, axis[:n])
        drop = (showers.height_at(made["xmax"][:n].astype(float), axis[:n, 2]) - showers.HEIGHT) / axis[:n, 2]
        behind = showers.depth_behind(place, core + axis[:n] * drop[:, None])
        begin = time.process_time()
        for event in range(n):
            for station in range(81):
                where = far[event, station], behind[event, station]
                showers.oracle_trace(*where, float(made["lgE"][event]), float(made["mass"][event]), rng)
        theirs = n / (time.process_time() - begin)
        print(f"lgE {low} to {high}: {ours:,.0f}/s   particle by particle {theirs:.2f}/s   ratio {ours / theirs:.0f}")
