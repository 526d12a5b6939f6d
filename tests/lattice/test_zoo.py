"""The weights that ship with the package do what their notes say."""

from __future__ import annotations

import numpy as np
import pytest

from colonnade.lattice import flow_verdict, hotrg, load_weights, log_z, reference_fields, torus, zoo

COLLAPSED = "broken-4x4-collapsed"


@pytest.mark.parametrize("name", sorted(zoo()))
def test_weights_of_the_zoo(name: str) -> None:
    loaded, rng = load_weights(zoo()[name]), np.random.default_rng(7)
    action, shape, proposal = loaded.action, tuple(loaded.config.shape), loaded.proposal()
    _, own = proposal.propose(8192, rng)
    fields = reference_fields(action, shape, 2048, rng)
    mode = fields.reshape(len(fields), -1).mean(1) if action.components == 1 else None
    verdict = flow_verdict(own, proposal.weigh(fields), mode)
    assert verdict.status == loaded.notes["verdict"]
    assert verdict.numbers["reverse_ess"] == pytest.approx(loaded.notes["reverse_ess"], abs=0.15)
    value, error = log_z(own)
    if action.components == 1:
        exact = torus(action, shape) if min(shape) <= 4 else hotrg(action, shape, 16)
        missing = np.log(2) if name == COLLAPSED else 0.0  # of one vacuum
        assert abs(value - (exact.log_z - missing)) < 4 * error + 2 * exact.log_z_error
    if name != COLLAPSED:
        assert min(verdict.numbers["reverse_ess"], verdict.numbers["forward_ess"]) > 0.3
        assert error < 0.02


def test_the_zoo_is_small_and_has_both_phases() -> None:
    files = zoo()
    assert sum(path.stat().st_size for path in files.values()) < 1_000_000
    assert {"symmetric-8x8-equivariant", "broken-8x8-equivariant", COLLAPSED} <= set(files)
