"""The library of plans and plan files: coverage, blending, round-trips, hostile content."""

import time
from dataclasses import replace

import numpy as np
import pytest

from colonnade.quadruped.answer import find_jump
from colonnade.quadruped.certificate import clearance
from colonnade.quadruped.errors import InputError
from colonnade.quadruped.jump import optimise_jump
from colonnade.quadruped.jump_spec import JumpSpec, Window
from colonnade.quadruped.library import JumpLibrary, blend, resampled
from colonnade.quadruped.planfile import MAX_BYTES, PlanRows, from_mit, read_mit, rows_of, to_csv, to_mit, to_npz
from colonnade.quadruped.robot import MINI_CHEETAH, with_payload


def test_a_covered_window_is_answered_at_once(library):
    spec = JumpSpec(Window(0.12, 0.75), distance=0.12, margin=0.04, torque_reserve=0.15)
    library.covering(spec)
    began = time.perf_counter()
    plan = library.covering(spec)
    assert time.perf_counter() - began < 0.05
    assert plan is not None and plan.solved
    assert clearance(plan, spec.window) >= spec.margin - 0.002
    answer = find_jump(spec)
    assert answer.feasible and answer.source == "library"


def test_what_is_not_covered_is_not_claimed(library):
    assert library.covering(JumpSpec(Window(0.4, 1.5), distance=0.12, margin=0.04)) is None
    assert library.covering(JumpSpec(Window(0.13, 0.4), distance=0.12, margin=0.04)) is None
    assert library.covering(JumpSpec(Window(0.13, 0.9), distance=0.137, margin=0.04)) is None


def test_blends_are_good_guesses(library):
    spec = JumpSpec(Window(0.145, 1.2, 0.05), distance=0.15, margin=0.045, torque_reserve=0.2)
    guess = library.interpolated(spec)
    assert guess is not None and not guess.solved
    plan = optimise_jump(spec, guess=guess, max_iterations=150)
    assert plan.solved
    assert plan.iterations < 120
    near = [p for p in library.plans if p.spec.distance == 0.15]
    assert blend(near[3], near[4], 0.0).cost == near[3].cost


def test_a_plan_on_other_intervals(library, stored):
    finer = resampled(stored, (20, 9, 20, 12))
    assert not finer.solved and len(finer.t) == 62 and len(finer.tau) == 61
    np.testing.assert_allclose(finer.ends, stored.ends)
    np.testing.assert_allclose(finer.q[[0, -1]], stored.q[[0, -1]])
    assert resampled(stored, stored.spec.intervals) is stored
    heavier = JumpSpec(Window(0.1), distance=0.12, robot=with_payload(MINI_CHEETAH, 1.0), intervals=(20, 9, 20, 12))
    assert library.interpolated(heavier).spec.intervals == (20, 9, 20, 12)
    giant = replace(heavier, robot=MINI_CHEETAH.scaled(2.0), start_height=0.4, end_height=0.5)
    assert library.interpolated(giant) is None and library.nearest(giant) is None


def test_library_file_round_trip(library, tmp_path):
    path = tmp_path / "library.npz"
    library.save(path)
    again = JumpLibrary.load(path)
    assert len(again) == len(library) >= 25
    np.testing.assert_array_equal(again.plans[3].q.astype(np.float32), library.plans[3].q.astype(np.float32))
    path.write_bytes(b"not a library")
    with pytest.raises(InputError, match="library"):
        JumpLibrary.load(path)


def test_mit_round_trip_is_bit_equal(stored):
    content = to_mit(stored)
    assert len(content) % 88 == 0
    assert to_mit(from_mit(content)) == content
    rows = from_mit(content)
    assert rows.q[0, 3:] == pytest.approx(stored.q[0, 3:], abs=1e-6)
    pressing = rows.f[rows.f[:, 1] != 0, 1]
    assert (pressing > 0).all()  # of the ground, upwards
    assert (np.frombuffer(content, "<f4").reshape(-1, 22)[: len(pressing) // 2, 19] <= 0).all()  # theirs: of the robot


def test_flight_rows_fall_freely(stored):
    from colonnade.quadruped.planar import planar_model

    rows = rows_of(stored)
    flight = np.flatnonzero(rows.flight)[10:-10]
    com = np.array([np.array(planar_model(stored.spec.robot).com(rows.q[k])).ravel()[1] for k in flight])
    assert 2 * np.polyfit(rows.t[flight], com, 2)[0] == pytest.approx(-9.81, rel=0.02)


def test_csv_and_npz_hold_the_plan(stored):
    import io

    table = np.genfromtxt(io.StringIO(to_csv(stored)), delimiter=",", names=True)
    assert table["x"][-1] == pytest.approx(stored.q[-1, 0], abs=5e-3)
    with np.load(io.BytesIO(to_npz(stored))) as kept:
        np.testing.assert_array_equal(kept["q"], stored.q)


@pytest.mark.parametrize("content", [b"", b"x" * 87, b"x" * (MAX_BYTES + 88), np.full(22, np.nan, "<f4").tobytes()])
def test_hostile_plan_files_are_refused(content, tmp_path):
    with pytest.raises(InputError, match="plan must"):
        from_mit(content)
    path = tmp_path / "plan.dat"
    path.write_bytes(content)
    with pytest.raises(InputError, match="plan must"):
        read_mit(path)


def test_rows_know_their_flight():
    rows = PlanRows(np.zeros((3, 7)), np.zeros((3, 7)), np.zeros((3, 4)), np.array([[0, 1, 0, 0], [0] * 4, [0] * 4]))
    assert rows.flight.tolist() == [False, True, True]
