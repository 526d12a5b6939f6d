"""Train the weights that ship in src/colonnade/lattice/zoo, from fixed seeds on one thread.

    python scripts/train_lattice_zoo.py [name ...]

Prints for every entry the CPU-seconds of training, both effective sample sizes (16384 fresh fields; 4096 HMC fields
started in each vacuum) and log Z beside its exact value.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from colonnade.lattice import (
    FlowConfig,
    ScalarAction,
    TrainConfig,
    Trainer,
    build,
    flow_verdict,
    log_z,
    reference_fields,
    save_weights,
)
from colonnade.lattice.advise import exact_for

SEED = 2107
FOLDER = Path(__file__).parents[1] / "src/colonnade/lattice/zoo"
ZOO: dict[str, tuple[ScalarAction, FlowConfig, TrainConfig]] = {
    "symmetric-8x8-equivariant": (
        ScalarAction.from_albergo(-4, 6.008),
        FlowConfig((8, 8)),
        TrainConfig(steps=400, seed=SEED),
    ),
    "broken-8x8-equivariant": (
        ScalarAction.from_albergo(-4, 4.0),
        FlowConfig((8, 8)),
        TrainConfig("symmetric_kl", steps=500, seed=SEED),
    ),
    "broken-8x8-symmetrised": (
        ScalarAction.from_albergo(-4, 4.0),
        FlowConfig((8, 8), "symmetrised"),
        TrainConfig("forward_kl", steps=500, seed=SEED),
    ),
    "broken-4x4-collapsed": (
        ScalarAction.from_albergo(-4, 2.0),
        FlowConfig((4, 4), "plain", couplings=4, hidden=8, shift=0.9),
        TrainConfig(steps=200, batch=128, seed=SEED),
    ),
    "broken-4x4-equivariant": (
        ScalarAction.from_albergo(-4, 2.0),
        FlowConfig((4, 4), couplings=4, hidden=8),
        TrainConfig("forward_kl", steps=300, batch=128, seed=SEED),
    ),
    "complex-8x8-equivariant": (
        ScalarAction.from_albergo(-4, 5.0, components=2),
        FlowConfig((8, 8), components=2, couplings=4),
        TrainConfig(steps=250, batch=128, seed=SEED),
    ),
}


def make(name: str) -> None:
    action, config, how = ZOO[name]
    start = time.process_time()
    trainer = Trainer(build(config, SEED), action, how)
    trainer.run()
    seconds = time.process_time() - start
    rng = np.random.default_rng(SEED + 1)
    _, own = trainer.proposal.propose(16384, rng)
    fields = reference_fields(action, config.shape, 4096, rng)
    mode = fields.reshape(len(fields), -1).mean(1) if action.components == 1 else None
    verdict = flow_verdict(own, trainer.proposal.weigh(fields), mode)
    numbers = {k: round(v, 5) for k, v in verdict.numbers.items()}
    notes = {"seed": SEED, "loss": how.loss, "steps": trainer.step, "verdict": verdict.status, **numbers}
    path = FOLDER / f"{name}.safetensors"
    save_weights(path, trainer.flow, config, action, notes)
    path.chmod(0o644)
    value, error = log_z(own)
    exact = exact_for(action, config.shape)
    against = f"exact {exact.log_z:.4f}" if exact else "no exact value"
    print(
        f"{name}: {seconds:.0f} CPU-s, reverse ESS {numbers['reverse_ess']:.3f}, "
        f"forward ESS {numbers['forward_ess']:.3f}, log Z {value:.4f} +- {error:.4f} ({against}), {verdict.status}",
        flush=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or list(ZOO):
        make(wanted)
