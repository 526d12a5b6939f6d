"""The services of this column: `jump`, `jump_map`, `plan`, `navigate`, `walk_bench`."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table, Video
from colonnade.service import Resources, service

if TYPE_CHECKING:
    import numpy as np

    from colonnade.job import Job
    from colonnade.quadruped.mission import MissionResult

PAPER = "arXiv:2107.00773"
SOFTWARE = ("casadi", "mujoco", "quadprog", "numba", "scipy")


def _missing() -> str | None:
    """Which engine is not installed, in one sentence."""
    from importlib.util import find_spec

    absent = [name for name in ("casadi", "mujoco", "quadprog", "numba", "scipy") if find_spec(name) is None]
    return f"The extra 'quadruped' is not installed ({', '.join(absent)} missing)." if absent else None


def _describe(title: str, summary: str, **options: Any) -> dict[str, Any]:
    return {
        "title": title, "summary": summary, "paper": PAPER, "software": SOFTWARE, "unavailable": _missing, **options
    }  # fmt: skip


# --- one jump -------------------------------------------------------------------------------------


class JumpInput(Inputs):
    """A window, a start, and what the robot can do."""

    sill: float = Param(0.13, title="Sill", unit="m", ge=0, le=0.45, help="Height of the lower edge.")
    lintel: float = Param(0.75, title="Lintel", unit="m", ge=0.2, le=2.0, help="Height of the upper edge.")
    distance: float = Param(
        0.12, title="Distance", unit="m", ge=0.08, le=0.5, help="From the front feet to the wall at the start."
    )
    depth: float = Param(0.05, title="Depth", unit="m", ge=0.01, le=0.2, help="Thickness of the wall.")
    length: float | None = Param(
        None, title="Length", unit="m", ge=0.2, le=1.5, level="expert", help="How far the trunk travels; empty: free."
    )
    friction: float = Param(0.45, title="Friction", ge=0.2, le=1.2, level="expert", help="What the forces may use.")
    margin: float = Param(0.045, title="Margin", unit="m", ge=0.0, le=0.1, level="expert", help="Kept to the wall.")
    payload: float = Param(0.0, title="Payload", unit="kg", ge=0, le=3, level="expert")
    torque_scale: float = Param(1.0, title="Torque scale", ge=0.5, le=1.2, level="expert")
    reserve: float = Param(
        0.2, title="Torque reserve", ge=0.0, le=0.5, level="guru", help="Share of the motors kept for feedback."
    )
    trials: int = Param(
        5, title="Simulated trials", ge=0, le=200, help="Disturbed runs in MuJoCo: mass, friction and start vary."
    )
    film: bool = Param(False, title="Film", level="expert", help="Draw a film where off-screen graphics exist.")
    max_seconds: float = Param(60.0, title="Solver time", unit="s", ge=1, le=600, level="guru")


class JumpOutput(Outputs):
    """The verdict; the plan and its certificate when there is one."""

    verdict: str = Field(title="Verdict")
    feasible: bool = Field(title="Feasible")
    source: str = Field(title="Found by")
    largest_sill: Estimate | None = Field(None, title="Largest sill found feasible")
    certificate: Table | None = Field(None, title="Certificate")
    success: Table | None = Field(None, title="Simulated trials")
    strip: Figure | None = Field(None, title="Jump")
    forces: Figure | None = Field(None, title="Planned forces")
    torques: Figure | None = Field(None, title="Torque against speed, simulated")
    run: Figure | None = Field(None, title="Simulated run")
    plan_npz: Artifact | None = Field(None, title="Plan (npz)")
    plan_csv: Artifact | None = Field(None, title="Plan at 1 kHz (CSV)")
    plan_mit: Artifact | None = Field(None, title="Plan, 22 columns (MIT Cheetah-Software)")
    video: Video | None = Field(None, title="Film")
    remark: str = Field("", title="Remark")


def _spec(inputs: JumpInput) -> Any:
    from colonnade.quadruped import MINI_CHEETAH, JumpSpec, Window
    from colonnade.quadruped.robot import with_payload

    return JumpSpec(
        Window(inputs.sill, inputs.lintel, inputs.depth), inputs.length, inputs.distance, inputs.friction,
        inputs.margin, with_payload(MINI_CHEETAH, inputs.payload, inputs.torque_scale), torque_reserve=inputs.reserve,
    )  # fmt: skip


@service(
    "quadruped.jump",
    **_describe(
        "Jump through a window",
        "Optimises a jump of a Mini Cheetah through a window, certifies it and runs it in simulation.",
        resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=30)),
        examples={
            "the paper's 13 cm": {"sill": 0.13, "lintel": 0.75},
            "a high sill": {"sill": 0.3, "lintel": 1.1},
            "too high": {"sill": 0.45, "lintel": 1.3, "trials": 0},
        },
    ),
)
def jump(inputs: JumpInput, job: Job) -> JumpOutput:
    """Can the robot jump this, and how.

    Direct collocation over all feet, rear feet, flight and landing with free durations; torque-speed envelope, friction
    and clearance are hard constraints. The plan is checked by another integrator and run in MuJoCo with disturbances.
    An infeasible window is answered with the violated constraint and the largest sill found feasible.
    """
    from colonnade.quadruped import find_jump

    answer = find_jump(_spec(inputs), max_seconds=inputs.max_seconds)
    job.log(answer.sentence)
    if not answer.feasible or answer.plan is None:
        largest = None if answer.largest_sill is None else Estimate(value=answer.largest_sill, unit="m")
        return JumpOutput(verdict=answer.sentence, feasible=False, source=answer.source, largest_sill=largest)
    return _jump_output(inputs, job, answer)


def _jump_output(inputs: JumpInput, job: Job, answer: Any) -> JumpOutput:
    from colonnade.quadruped import Window, certify, plots, simulate_jump
    from colonnade.quadruped.planfile import to_csv, to_mit, to_npz

    plan, window = answer.plan, Window(inputs.sill, inputs.lintel, inputs.depth)
    nominal = simulate_jump(plan, window=window)
    found = certify(plan, simulate=lambda _: nominal.success)
    trials = _trials(inputs, job, plan, window)
    robot = plan.spec.robot
    video, remark = None, "" if found.valid else "Not certified: " + "; ".join(found.reasons) + "."
    if inputs.film:
        from colonnade.quadruped.trial import window_boxes

        video, said = _film(job, robot, window_boxes(window, plan.spec.near), nominal.t, nominal.qpos)
        remark = f"{remark} {said}".strip()
    from colonnade.quadruped.trial import window_boxes

    return JumpOutput(
        verdict=answer.sentence,
        feasible=True,
        source=answer.source,
        certificate=_certificate(found),
        success=trials,
        strip=Figure.of(plots.jump_strip(plan, window)),
        forces=Figure.of(plots.jump_forces(plan)),
        torques=Figure.of(plots.torque_envelope(robot, nominal.torque, nominal.rate)),
        run=Figure.of(plots.run_3d(robot, nominal.t, nominal.qpos, window_boxes(window, plan.spec.near), 60)),
        plan_npz=job.artifact("jump.npz", to_npz(plan), title="jump.npz"),
        plan_csv=job.artifact("jump.csv", to_csv(plan), title="jump.csv", media_type="text/csv"),
        plan_mit=job.artifact("jump.dat", to_mit(plan), title="jump.dat"),
        video=video,
        remark=remark,
    )


def _certificate(found: Any) -> Table:
    rows = {
        "largest defect against Runge-Kutta in one interval (m, rad)": found.defect,
        "impulse against momentum (share)": found.momentum,
        "smallest clearance between nodes and at them (m)": found.clearance,
        "motor envelope left free (share)": found.torque_margin,
        "friction used": found.friction_used,
        "simulated run ended well": float(bool(found.simulated)),
        "valid": float(found.valid),
    }
    return Table.of({"check": list(rows), "value": [round(float(value), 6) for value in rows.values()]})


def _trials(inputs: JumpInput, job: Job, plan: Any, window: Any) -> Table | None:
    import numpy as np

    from colonnade.quadruped import Disturbance, simulate_jump, wilson

    if not inputs.trials:
        return None
    cases = [Disturbance.draw(np.random.default_rng(seed)) for seed in job.seeds(inputs.trials)]
    runs = [simulate_jump(plan, case, window=window) for case in job.track(cases, "Simulated trials")]
    good = sum(run.success for run in runs)
    low, high = wilson(good, len(runs))
    return Table.of(
        {
            "mass factor": [round(case.mass, 4) for case in cases],
            "friction": [round(case.friction, 3) for case in cases],
            "success": [run.success for run in runs],
            "cause of failure": [run.cause for run in runs],
            "speed at the end": [round(run.speed, 4) for run in runs],
        },
        units={"speed at the end": "m/s"},
        caption=f"{good} of {len(runs)} succeeded; 95 % Wilson interval {low:.2f} to {high:.2f}.",
    )


def _film(job: Job, robot: Any, boxes: Any, t: Any, qpos: Any) -> tuple[Video | None, str]:
    from colonnade.quadruped.film import film

    made = film(robot, boxes, t, qpos, job.files / "run")
    if made.path is None:
        return None, made.reason
    kind = "video/mp4" if made.path.suffix == ".mp4" else "image/gif"
    return Video(file=made.path.name, media_type=kind), ""


# --- the map of jumps -----------------------------------------------------------------------------


class JumpMapInput(Inputs):
    """A grid of sills and lengths."""

    highest: float = Param(0.4, title="Highest sill", unit="m", ge=0.05, le=0.45)
    sills: int = Param(5, title="Sills", ge=2, le=20, help="From zero to the highest.")
    shortest: float = Param(0.7, title="Shortest length", unit="m", ge=0.5, le=1.2)
    longest: float = Param(1.0, title="Longest length", unit="m", ge=0.6, le=1.5)
    lengths: int = Param(3, title="Lengths", ge=2, le=20)
    distance: float = Param(0.12, title="Distance", unit="m", ge=0.08, le=0.5)
    margin: float = Param(0.03, title="Margin", unit="m", ge=0.0, le=0.1, level="expert")
    payload: float = Param(0.0, title="Payload", unit="kg", ge=0, le=3, level="expert")
    max_seconds: float = Param(20.0, title="Solver time a jump", unit="s", ge=1, le=120, level="guru")


class JumpMapOutput(Outputs):
    """Which jumps were found."""

    share: Estimate = Field(title="Share of jumps found")
    map: Figure = Field(title="Cost by sill and length")
    table: Table = Field(title="All jumps")


def _solve_one(task: tuple[dict[str, float], float]) -> tuple[str, float, float, float]:
    """Status, cost, seconds and clearance of one jump of the map."""
    from colonnade.quadruped import MINI_CHEETAH, InfeasibleJump, JumpSpec, Window, certify, optimise_jump
    from colonnade.quadruped.library import standard_library
    from colonnade.quadruped.robot import with_payload

    values, seconds = task
    spec = JumpSpec(
        Window(values["sill"], values["sill"] + 1.0, 0.05), values["length"], values["distance"],
        margin=values["margin"], robot=with_payload(MINI_CHEETAH, values["payload"]),
    )  # fmt: skip
    guess = standard_library().interpolated(replace(spec, robot=MINI_CHEETAH))
    try:
        plan = optimise_jump(spec, guess=guess, max_iterations=300, max_seconds=seconds)
    except InfeasibleJump:
        return "geometry", math.nan, 0.0, math.nan
    if not plan.solved:
        return plan.status, math.nan, plan.seconds, math.nan
    found = certify(plan)
    return ("solved" if found.valid else "not certified"), plan.cost, plan.seconds, found.clearance


@service(
    "quadruped.jump_map",
    **_describe(
        "Map of possible jumps",
        "Solves jumps over a grid of sill heights and lengths and shows which exist and what they cost.",
        resources=Resources(cores=2, memory="3 GiB", walltime=timedelta(hours=2)),
        examples={"small": {"sills": 3, "lengths": 2, "highest": 0.3}},
    ),
)
def jump_map(inputs: JumpMapInput, job: Job) -> JumpMapOutput:
    """One optimisation for each sill and length, in parallel where there are processors."""
    import numpy as np

    from colonnade.quadruped import plots

    sills = np.linspace(0, inputs.highest, inputs.sills).round(4)
    lengths = np.linspace(min(inputs.shortest, inputs.longest), inputs.longest, inputs.lengths).round(4)
    shared = {"distance": inputs.distance, "margin": inputs.margin, "payload": inputs.payload}
    grid = [{"sill": float(sill), "length": float(length), **shared} for sill in sills for length in lengths]
    found = job.map(_solve_one, [(values, inputs.max_seconds) for values in grid], "Jumps")
    status, cost, _, room = zip(*found, strict=True)
    solved = [name == "solved" for name in status]
    costs = np.array([value if good else math.nan for value, good in zip(cost, solved, strict=True)])
    return JumpMapOutput(
        share=Estimate(value=sum(solved) / len(solved), caption="of the grid; no claim about what was not found"),
        map=Figure.of(plots.feasibility_map(sills.tolist(), lengths.tolist(), costs.reshape(len(sills), -1))),
        table=Table.of(
            {
                "sill": [values["sill"] for values in grid],
                "length": [values["length"] for values in grid],
                "outcome": list(status),
                "cost": [None if math.isnan(value) else round(value, 5) for value in costs.tolist()],
                "clearance": [None if math.isnan(value) else round(value, 4) for value in room],
            },
            units={"sill": "m", "length": "m", "clearance": "m"},
        ),
    )


# --- worlds ---------------------------------------------------------------------------------------


def _check_world(path: Path) -> object:
    from colonnade.quadruped.world import World

    return World.from_json(path.read_text(encoding="utf-8", errors="replace"))


WorldFile = Annotated[InputFile, Accept(".json", limit="1 MB", check=_check_world)]


class WorldInput(Inputs):
    """A world from a file, or a random one from the job's seed."""

    world: WorldFile | None = Param(
        None, title="World", help="JSON: bounds, obstacles, walls with windows, start, goal."
    )
    kind: Literal["any", "window", "detour", "clutter", "two windows"] = Param(
        "any", title="Random world", help="Used when no file is given: what stands in the way."
    )
    jumps: bool = Param(True, title="Allow jumps", help="Off: walk round or not at all.")


def _world(inputs: WorldInput, job: Job) -> Any:
    from colonnade.quadruped import World, random_world

    if inputs.world is not None:
        return World.from_json(inputs.world.path.read_text(encoding="utf-8"))
    return random_world(job.rng(), None if inputs.kind == "any" else inputs.kind)


class PlanInput(WorldInput):
    """Planning with the whole world known."""

    radius: float = Param(0.24, title="Footprint radius", unit="m", ge=0.1, le=0.6, level="expert")
    cell: float = Param(0.04, title="Cell", unit="m", ge=0.01, le=0.2, level="expert")


class PlanOutput(Outputs):
    """The cheapest way."""

    cost: Estimate = Field(title="Cost of the way")
    jumps: int = Field(title="Jumps")
    map: Figure = Field(title="Way")
    way: Table = Field(title="Corners")


@service(
    "quadruped.plan",
    **_describe(
        "Plan a way with jumps",
        "A* over a grid whose windows are edges priced by the time and risk of a jump.",
        resources=Resources(cores=1, memory="1 GiB", walltime=timedelta(minutes=10)),
        examples={"a wall with a window": {"kind": "window"}, "round or through": {"kind": "detour"}},
    ),
)
def plan(inputs: PlanInput, job: Job) -> PlanOutput:
    """The cheapest mixture of walking and jumping through a world that is known in full."""
    from colonnade.quadruped import plots
    from colonnade.quadruped.survey import plan_in_world

    world = _world(inputs, job)
    way = plan_in_world(world, radius=inputs.radius, cell=inputs.cell, jumps=inputs.jumps)
    points = way.points
    figure = plots.mission_map(way.floor, world.bounds, inputs.cell, world.boxes, points, points.tolist(), world.goal)
    return PlanOutput(
        cost=Estimate(value=way.path.cost * inputs.cell, unit="m", caption="metres of free walking"),
        jumps=len(way.path.jumps),
        map=Figure.of(figure),
        way=Table.of(
            {"x": points[:, 0].round(4), "y": points[:, 1].round(4), "by": way.kinds}, units={"x": "m", "y": "m"}
        ),
    )


class NavigateInput(WorldInput):
    """A mission with sensing."""

    friction: float = Param(0.7, title="Friction of the floor", ge=0.3, le=1.2, level="expert")
    noise: float = Param(0.0, title="Depth noise at 1 m", unit="m", ge=0, le=0.02, level="expert")
    speed: float = Param(0.8, title="Walking speed", unit="m/s", ge=0.2, le=1.0, level="expert")
    film: bool = Param(True, title="Film", help="Draw a film where off-screen graphics exist.")


class NavigateOutput(Outputs):
    """What happened."""

    outcome: str = Field(title="Outcome")
    success: bool = Field(title="At the goal, nothing touched")
    metrics: Table = Field(title="Metrics")
    map: Figure = Field(title="Map and way")
    run: Figure = Field(title="Run")
    states: Table = Field(title="States")
    world: Artifact = Field(title="World (JSON)")
    record: Artifact = Field(title="Recorded run (npz)")
    video: Video | None = Field(None, title="Film")
    remark: str = Field("", title="Remark")


@service(
    "quadruped.navigate",
    **_describe(
        "Navigate by walking and jumping",
        "A whole simulated mission: depth sensing, mapping, planning, walking under MPC, and jumps through windows.",
        resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(hours=1)),
        examples={"through a window": {"kind": "window"}, "round or through": {"kind": "detour"}},
    ),
)
def navigate(inputs: NavigateInput, job: Job) -> NavigateOutput:
    """Cross a world that the robot sees only through its depth sensor, walking where it can, jumping where it must."""
    from colonnade.quadruped import MissionConfig
    from colonnade.quadruped import navigate as run_mission

    world = _world(inputs, job)
    config = MissionConfig(
        allow_jumps=inputs.jumps, friction=inputs.friction, depth_noise=inputs.noise, speed=inputs.speed
    )
    report = job.bar("Simulated seconds")
    seen = [""]

    def watch(time: float, state: str) -> bool:
        report(int(time))
        if state != seen[0]:
            job.log(f"{time:.1f} s: {state}")
            seen[0] = state
        return False

    return _navigate_output(inputs, job, run_mission(world, config=config, rng=job.rng(), watch=watch))


def _navigate_output(inputs: NavigateInput, job: Job, result: MissionResult) -> NavigateOutput:
    from colonnade.quadruped import MINI_CHEETAH, plots

    world, metrics = result.world, result.metrics
    video, remark = _film(job, MINI_CHEETAH, world.boxes, result.t, result.qpos) if inputs.film else (None, "")
    values = {
        "time (s)": metrics.time, "distance (m)": metrics.distance, "distance to the goal (m)": metrics.error,
        "jumps": metrics.jumps, "obstacle contacts": metrics.contacts, "plans": metrics.replans,
        "energy (J)": metrics.energy, "cost of transport": metrics.cost_of_transport,
    }  # fmt: skip
    track = result.qpos[:, :2]
    last = result.plans[-1] if result.plans else []
    return NavigateOutput(
        outcome=f"{metrics.outcome}. {metrics.cause}".strip(),
        success=metrics.success,
        metrics=Table.of({"metric": list(values), "value": [round(float(value), 4) for value in values.values()]}),
        map=Figure.of(
            plots.mission_map(result.map.floor, world.bounds, result.map.cell, world.boxes, track, last, world.goal)
        ),
        run=Figure.of(plots.run_3d(MINI_CHEETAH, result.t, result.qpos, world.boxes)),
        states=Table.of(
            {"time": [round(time, 3) for time, _ in result.states], "state": [state for _, state in result.states]},
            units={"time": "s"},
        ),
        world=job.artifact("world.json", world.to_json(), title="world.json", media_type="application/json"),
        record=job.artifact("run.npz", _npz(t=result.t, qpos=result.qpos), title="run.npz"),
        video=video,
        remark=remark,
    )


def _npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


# --- walking --------------------------------------------------------------------------------------


class WalkInput(Inputs):
    """What to ask of the trot."""

    speeds: list[float] = Param(
        [0.3, 0.6, 1.0], title="Speeds", unit="m/s", min_length=1, max_length=20, help="Forward commands."
    )
    turns: list[float] = Param([1.0], title="Yaw rates", unit="rad/s", max_length=20)
    pushes: list[float] = Param([5.0], title="Pushes", unit="N s", max_length=20, help="Sideways while trotting.")
    seconds: float = Param(4.0, title="Length of a trial", unit="s", ge=2, le=30, level="expert")
    friction: float = Param(0.7, title="Friction", ge=0.3, le=1.2, level="expert")


class WalkOutput(Outputs):
    """How well it did."""

    table: Table = Field(title="Trials")
    falls: int = Field(title="Falls")


@service(
    "quadruped.walk_bench",
    **_describe(
        "Walking envelope",
        "Trots at given speeds and turns and takes pushes, and says how well the commands were met.",
        resources=Resources(cores=1, memory="1 GiB", walltime=timedelta(hours=1)),
        examples={"short": {"speeds": [0.5], "turns": [], "pushes": [4.0], "seconds": 2.0}},
    ),
)
def walk_bench(inputs: WalkInput, job: Job) -> WalkOutput:
    """Convex model-predictive control in MuJoCo: mean speed over the second half of each trial, and who fell."""
    from colonnade.quadruped.bench import WalkCase, walk_trial

    cases = [WalkCase(vx=speed) for speed in inputs.speeds]
    cases += [WalkCase(yaw_rate=turn) for turn in inputs.turns]
    cases += [WalkCase(vx=0.4, push=push) for push in inputs.pushes]
    done = [walk_trial(case, inputs.seconds, inputs.friction) for case in job.track(cases, "Walking")]
    return WalkOutput(
        table=Table.of(
            {
                "asked speed": [case.vx for case in cases],
                "asked yaw rate": [case.yaw_rate for case in cases],
                "push": [case.push for case in cases],
                "speed": [round(trial.vx, 4) for trial in done],
                "yaw rate": [round(trial.yaw_rate, 4) for trial in done],
                "fell": [trial.fell for trial in done],
            },
            units={"asked speed": "m/s", "asked yaw rate": "rad/s", "push": "N s", "speed": "m/s", "yaw rate": "rad/s"},
        ),
        falls=sum(trial.fell for trial in done),
    )
