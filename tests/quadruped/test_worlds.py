"""Worlds, the depth sensor, the map and the windows found in it."""

import json
import math

import numpy as np
import pytest

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.mapping import LAYER, ElevationMap, facing
from colonnade.quadruped.passage import jump_for, passages, price
from colonnade.quadruped.plan import NoPath
from colonnade.quadruped.sensing import DepthSensor, Scanner
from colonnade.quadruped.simulation import Simulation
from colonnade.quadruped.survey import draw, known_windows, plan_in_world
from colonnade.quadruped.world import KINDS, Obstacle, Wall, World, random_world

BOUNDS = (0.0, -2.0, 7.0, 2.0)


def seen(world, places):
    """The map after a look from each place (x, y, yaw)."""
    grid = ElevationMap(world.bounds)
    for x, y, yaw in places:
        sim = Simulation(boxes=world.boxes, position=(x, y), yaw=yaw)
        grid.add(Scanner(sim).scan())
    return grid


def test_rays_hit_a_known_wall():
    sim = Simulation(boxes=World(BOUNDS, walls=(Wall(2.0, 0.0, 0.0, 4.0),)).boxes)
    scan = Scanner(sim).scan()
    face = scan.points[scan.steep]
    assert len(face) > 500
    np.testing.assert_allclose(face[:, 0], 1.975, atol=1e-6)
    floor = scan.points[~scan.steep & (scan.points[:, 2] < 0.5)]
    np.testing.assert_allclose(floor[:, 2], 0.0, atol=1e-6)


def test_noise_comes_from_the_generator_only():
    sim = Simulation(boxes=World(BOUNDS, walls=(Wall(2.0, 0.0, 0.0, 4.0),)).boxes)
    one, two = (Scanner(sim, DepthSensor(noise=0.01), np.random.default_rng(3)).scan() for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)
    face = one.points[one.steep]
    assert 0.005 < face[:, 0].std() < 0.2


def test_map_of_known_boxes():
    world = World(BOUNDS, (Obstacle(2.0, 0.4, 0.3, 0.3, 0.2), Obstacle(2.5, -0.6, 0.4, 0.2, 0.5)))
    grid = seen(world, [(0.8, 0.0, 0.0), (0.8, 0.8, -0.3), (0.8, -0.8, 0.1)])
    for box in world.obstacles:
        row, column = grid.index(box.x - box.length / 2 + 0.01, box.y)
        assert grid.floor[row, column] == pytest.approx(box.height, abs=LAYER)
    rows, columns = np.nonzero(grid.blocked)
    for row, column in zip(rows, columns, strict=True):
        assert world.distance(*grid.point(row, column)) < grid.cell  # nothing is seen where nothing is
    assert grid.seen.sum() > 200


def test_a_window_is_found_where_it_is():
    wall = Wall(2.2, 0.2, 0.1, 5.0, 0.05, 0.3, 0.7, 0.13, 0.75)
    grid = seen(World(BOUNDS, walls=(wall,)), [(0.8, 0.3, 0.0), (1.1, 0.5, 0.1), (1.0, 0.2, 0.2)])
    found = [facing(window, 0.8, 0.3) for window in grid.windows()]
    assert len(found) == 1
    x, y = wall.place(-wall.depth / 2, wall.offset)
    assert math.hypot(found[0].x - x, found[0].y - y) < 0.04
    assert found[0].yaw == pytest.approx(wall.yaw, abs=0.05)
    assert found[0].width == pytest.approx(wall.width, abs=0.12)
    assert 0 <= found[0].sill - wall.sill <= LAYER + 1e-9
    assert -LAYER - 1e-9 <= found[0].lintel - wall.lintel <= 1e-9


def test_plain_walls_and_boxes_hold_no_window():
    world = World(BOUNDS, (Obstacle(2.0, 0.9, 0.3, 0.3, 0.2),), (Wall(3.0, 0.0, 0.0, 4.0),))
    assert seen(world, [(0.8, 0.0, 0.0)]).windows() == []


def test_only_windows_that_fit_become_passages(library):
    world = World(BOUNDS, walls=(Wall(3.0, 0.0, 0.0, 4.0, 0.05, 0.0, 0.6, 0.13, 0.8),))
    (window,) = known_windows(world)
    two = passages([window], library, 0.3)
    assert len(two) == 2 and {way.key[1] for way in two} == {1, -1}
    ahead = two[0]
    assert ahead.takeoff[0] < ahead.plan.spec.near + ahead.takeoff[0] == pytest.approx(2.975)
    assert ahead.landing[0] == pytest.approx(ahead.takeoff[0] + ahead.plan.length)
    from dataclasses import replace

    assert jump_for(replace(window, width=0.36), library) is None
    assert jump_for(replace(window, sill=0.5), library) is None
    assert jump_for(replace(window, lintel=0.5), library) is None
    high = jump_for(replace(window, sill=0.3, lintel=1.2), library)
    assert high is not None and price(high) > price(ahead.plan)


def test_planning_in_a_known_world_goes_round_or_through():
    through = World(
        BOUNDS, walls=(Wall(3.4, 0.0, 0.0, 4.8, 0.05, 0.2, 0.6, 0.13, 0.8),), start=(0.6, 0, 0), goal=(6.0, 0)
    )
    way = plan_in_world(through)
    assert len(way.path.jumps) == 1 and "jump" in way.kinds
    with pytest.raises(NoPath, match="cannot be reached"):
        plan_in_world(through, jumps=False)
    short = World(
        BOUNDS, walls=(Wall(3.4, 1.2, 0.0, 2.0, 0.05, 0.0, 0.6, 0.13, 0.8),), start=(0.6, 0, 0), goal=(6.0, 0)
    )
    assert not plan_in_world(short).path.jumps
    assert draw(through, 0.04).max() > 1.0


def test_json_round_trip():
    for kind in KINDS:
        world = random_world(np.random.default_rng(4), kind)
        assert World.from_json(world.to_json()) == world


def test_random_worlds_follow_their_seed():
    one, two, other = (random_world(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one == two != other


GOOD = {"bounds": [0, -2, 5, 5]}
BOX = {"x": 2, "y": 2, "length": 1, "width": 1}
WALL = {"x": 2, "y": 1, "yaw": 0, "span": 3}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([1, 2], "could not be read"),
        ({"bounds": [0, 0, 5, 5], "start": [9, 9, 0]}, "start must lie within"),
        ({"bounds": [0, 0, 5, 5], "goal": [2, 2], "obstacles": [BOX]}, "goal must be free"),
        ({"bounds": [0, 0, 5]}, "bounds holds 3"),
        ({"bounds": [0, 0, 1e9, 5]}, "bounds must span"),
        (GOOD | {"walls": [WALL | {"width": 0.2}]}, "width must be at least 0.35"),
        (GOOD | {"walls": [WALL | {"width": 0.6, "sill": 0.5, "lintel": 0.4}]}, "lintel must be above"),
        (GOOD | {"obstacles": [BOX | {"x": "no"}]}, "finite number"),
        (GOOD | {"unknown": 3}, "could not be read"),
    ],
)
def test_bad_worlds_are_refused_in_one_sentence(data, words):
    with pytest.raises(InputError, match=words):
        World.from_json(json.dumps(data))


def test_what_is_not_json_is_refused():
    for text in ("{", "", "NaN", "[" * 100_000):
        with pytest.raises(InputError, match="could not be read"):
            World.from_json(text)


def test_overlapping_windows_and_crowds_are_refused():
    wall = Wall(3.0, 0.0, 0.0, 4.0, 0.05, 0.0, 0.6, 0.1, 0.8)
    with pytest.raises(InputError, match="overlap"):
        World(BOUNDS, walls=(wall, Wall(3.0, 0.1, 0.0, 4.0, 0.05, 0.0, 0.6, 0.1, 0.8)))
    with pytest.raises(InputError, match="at most"):
        World(BOUNDS, tuple(Obstacle(5, 1.5, 0.1, 0.1) for _ in range(201)))
    with pytest.raises(InputError, match="cells"):
        ElevationMap((0, 0, 60, 60), cell=0.01)
