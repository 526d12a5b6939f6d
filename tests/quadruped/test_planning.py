"""The planner against brute force and scikit-image, and its refusals."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.graph import route_through_array

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.local import LocalPlanner, carrot
from colonnade.quadruped.plan import JumpEdge, NoPath, plan_path, straighten, travel_cost


def dijkstra(cost, start, goal, jumps):
    """Plain Dijkstra on the augmented graph."""
    best, heap = {start: 0.0}, [(0.0, start)]
    while heap:
        value, here = heapq.heappop(heap)
        if here == goal:
            return value
        if value > best[here]:
            continue
        steps = [(edge.end, edge.cost) for edge in jumps if edge.start == here]
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                there = (here[0] + dr, here[1] + dc)
                if (dr or dc) and 0 <= there[0] < cost.shape[0] and 0 <= there[1] < cost.shape[1]:
                    steps.append((there, 0.5 * (cost[here] + cost[there]) * np.hypot(dr, dc)))
        for there, step in steps:
            if np.isfinite(cost[there]) and value + step < best.get(there, np.inf):
                best[there] = value + step
                heapq.heappush(heap, (value + step, there))
    return np.inf


def world(seed, size=24, walls=0.25, jumps=6, decades=0.6):
    rng = np.random.default_rng(seed)
    cost = 10 ** rng.uniform(0, decades, (size, size))
    cost[rng.uniform(size=cost.shape) < walls] = np.inf
    start, goal = (0, 0), (size - 1, size - 1)
    cost[start] = cost[goal] = 1.0
    edges = [
        JumpEdge(
            tuple(rng.integers(0, size, 2).tolist()), tuple(rng.integers(0, size, 2).tolist()), rng.uniform(0.5, 20)
        )
        for _ in range(jumps)
    ]
    return cost, start, goal, edges


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), walls=st.sampled_from([0.0, 0.2, 0.45]), decades=st.sampled_from([0.0, 0.6, 8.0]))
def test_cost_equals_brute_force(seed, walls, decades):
    cost, start, goal, edges = world(seed, walls=walls, decades=decades)
    expected = dijkstra(cost, start, goal, edges)
    if not np.isfinite(expected):
        with pytest.raises(NoPath, match="cannot be reached"):
            plan_path(cost, start, goal, edges)
        return
    path = plan_path(cost, start, goal, edges)
    assert path.cost == pytest.approx(expected, rel=1e-12)
    assert tuple(path.cells[0]) == start and tuple(path.cells[-1]) == goal
    total = 0.0
    for segment in path.segments:
        if segment.jump is not None:
            total += segment.jump.cost
            assert tuple(segment.cells[0]) == segment.jump.start and tuple(segment.cells[-1]) == segment.jump.end
            continue
        for one, two in zip(segment.cells[:-1], segment.cells[1:], strict=True):
            total += 0.5 * (cost[tuple(one)] + cost[tuple(two)]) * np.hypot(*(two - one))
    assert total == pytest.approx(path.cost)


def test_cost_equals_scikit_image_without_jumps():
    cost, start, goal, _ = world(3, size=80, walls=0.15)
    _, expected = route_through_array(np.where(np.isfinite(cost), cost, -1), start, goal, geometric=True)
    assert plan_path(cost, start, goal).cost == pytest.approx(expected)


def test_walks_round_when_that_is_cheaper_and_jumps_when_not():
    cost = np.ones((30, 30))
    cost[:25, 15] = np.inf
    start, goal = (5, 5), (5, 25)
    round_trip = plan_path(cost, start, goal).cost
    dear = plan_path(cost, start, goal, [JumpEdge((5, 12), (5, 18), round_trip)])
    cheap = plan_path(cost, start, goal, [JumpEdge((5, 12), (5, 18), 8.0)])
    assert not dear.jumps and dear.cost == pytest.approx(round_trip)
    assert len(cheap.jumps) == 1 and cheap.cost == pytest.approx(14.0 + 8.0)


def test_jumps_are_one_way_and_blocked_ends_are_not_used():
    cost = np.ones((5, 20))
    cost[:, 10] = np.inf
    back = JumpEdge((2, 13), (2, 7), 3.0)
    with pytest.raises(NoPath):
        plan_path(cost, (2, 0), (2, 19), [back])
    cost[2, 13] = np.inf
    with pytest.raises(NoPath):
        plan_path(cost, (2, 0), (2, 19), [JumpEdge((2, 7), (2, 13), 3.0)])


def test_a_single_cell_is_a_path():
    path = plan_path(np.ones((1, 1)), (0, 0), (0, 0))
    assert path.cost == 0 and len(path.cells) == 1


@pytest.mark.parametrize(
    ("cost", "start", "words"),
    [
        (np.ones(5), (0, 0), "grid of rows"),
        (np.ones((3, 3)), (3, 0), "start must lie on the grid"),
        (np.zeros((3, 3)), (0, 0), "positive"),
        (np.full((3, 3), np.nan), (0, 0), "positive"),
        (np.empty((0, 3)), (0, 0), "grid of rows"),
    ],
)
def test_refusals(cost, start, words):
    with pytest.raises(InputError, match=words):
        plan_path(cost, start, (0, 0))


def test_blocked_start_is_said_plainly():
    cost = np.ones((4, 4))
    cost[0, 0] = np.inf
    with pytest.raises(NoPath, match=r"start .* inside an obstacle"):
        plan_path(cost, (0, 0), (3, 3))


def test_inflation_keeps_the_footprint_clear():
    blocked = np.zeros((40, 40), bool)
    blocked[20, 20] = True
    cost, room = travel_cost(blocked, 0.05, radius=0.25)
    rows, columns = np.indices(blocked.shape)
    distance = 0.05 * np.hypot(rows - 20, columns - 20)
    assert np.isinf(cost[distance < 0.249]).all() and np.isfinite(cost[distance > 0.26]).all()
    np.testing.assert_allclose(room, distance, atol=1e-9)


def test_straightened_walks_keep_their_ends_and_cost_no_more():
    cost = np.ones((30, 30))
    cost[10, :20] = np.inf
    path = plan_path(cost, (0, 0), (29, 3))
    corners = straighten(path.segments[0].cells, cost)
    assert tuple(corners[0]) == (0, 0) and tuple(corners[-1]) == (29, 3)
    length = np.hypot(*np.diff(corners, axis=0).T).sum()
    assert length <= path.cost + 1e-9 and len(corners) < len(path.cells)


def test_local_planner_goes_ahead_turns_and_stops():
    room = np.full((100, 100), 2.0)
    planner = LocalPlanner()
    ahead = planner.command(np.array([2.0, 2.0, 0.0]), np.array([[2.0, 2.0], [3.5, 2.0]]), room, (0, 0), 0.04)
    assert ahead is not None and ahead.vx > 0.5 and abs(ahead.yaw_rate) < 0.3
    left = planner.command(np.array([2.0, 2.0, 0.0]), np.array([[2.0, 2.0], [2.0, 3.5]]), room, (0, 0), 0.04)
    assert left is not None and left.yaw_rate > 0.5
    wall = room.copy()
    wall[:, 55:] = 0.0
    stop = planner.command(np.array([2.15, 2.0, 0.0]), np.array([[2.15, 2.0], [3.5, 2.0]]), wall, (0, 0), 0.04)
    assert stop is None or stop.vx < 0.1
    np.testing.assert_allclose(carrot(np.array([0.0, 0.3]), np.array([[0, 0], [1, 0], [1, 1]]), 1.5), [1.0, 0.5])


def test_local_planner_keeps_its_rear_off_what_it_passes():
    """Beside a post, a turn on the spot would swing the rear into it: no arc taken lets a disc come too near."""
    blocked = np.zeros((100, 100), bool)
    blocked[54:60, 40:44] = True  # to the left of the rear
    room = ndimage.distance_transform_edt(~blocked) * 0.04
    planner = LocalPlanner()
    pose = np.array([1.95, 1.93, 0.0])
    for _ in range(40):
        command = planner.command(pose, np.array([pose[:2], [1.95, 0.4]]), room, (0, 0), 0.04)
        assert command is not None
        pose = pose + 0.1 * np.array([command.vx * np.cos(pose[2]), command.vx * np.sin(pose[2]), command.yaw_rate])
        for along, least in planner.discs:
            x, y = pose[0] + along * np.cos(pose[2]), pose[1] + along * np.sin(pose[2])
            assert room[int(y / 0.04), int(x / 0.04)] > least - 0.03
    assert pose[1] < 1.2  # and it gets away
