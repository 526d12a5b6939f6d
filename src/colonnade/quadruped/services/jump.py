"""`quadruped.jump`: can the robot jump this, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from colonnade.inputs import Inputs, Param
from colonnade.quadruped.services.common import COLUMN, RobotName, filmed
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table, Video
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.job import Job
    from colonnade.quadruped import Answer, Certificate, JumpPlan, JumpSpec, Learned, Window
    from colonnade.quadruped.robot import Array


class JumpInput(Inputs):
    """A window, a start, and what the robot can do."""

    sill: float = Param(0.13, title="Sill", unit="m", ge=0, le=0.45, help="Height of the lower edge.")
    lintel: float = Param(0.75, title="Lintel", unit="m", ge=0.2, le=2.0, help="Height of the upper edge.")
    distance: float = Param(
        0.12, title="Distance", unit="m", ge=0.08, le=0.5, help="From the front feet to the wall at the start."
    )
    depth: float = Param(0.05, title="Depth", unit="m", ge=0.01, le=0.2, help="Thickness of the wall.")
    robot: RobotName = Param("Mini Cheetah", title="Robot", help="Stored plans are Mini Cheetah's.")
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
    intervals: int = Param(
        49, title="Intervals", ge=20, le=100, level="guru", help="Of the collocation, over all four phases."
    )
    trials: int = Param(
        5, title="Simulated trials", ge=0, le=200, help="Disturbed runs in MuJoCo: mass, friction and start vary."
    )
    rollouts: int = Param(
        0, title="Learning rollouts", ge=0, le=20, level="expert",
        help="Simulated repetitions from which the tracker learns before it is tried.",
    )  # fmt: skip
    film: bool = Param(False, title="Film", level="expert", help="Also draw the simulated run as a film.")
    max_seconds: float = Param(
        60.0, title="Solver time", unit="s", ge=1, le=600, level="guru", help="For each way of starting the solver."
    )

    @model_validator(mode="after")
    def _opens(self) -> JumpInput:
        if self.lintel <= self.sill:
            raise ValueError(f"lintel: must be above the sill at {self.sill:g} m, but is {self.lintel:g} m.")
        return self

    @property
    def window(self) -> Window:
        from colonnade.quadruped import Window

        return Window(self.sill, self.lintel, self.depth)

    @property
    def spec(self) -> JumpSpec:
        from colonnade.quadruped import MINI_CHEETAH, JumpSpec
        from colonnade.quadruped.jump_spec import shared_out
        from colonnade.quadruped.robot import with_payload
        from colonnade.quadruped.robots import ROBOTS

        robot = with_payload(ROBOTS[self.robot], self.payload, self.torque_scale)
        legs = robot.leg_length / MINI_CHEETAH.leg_length
        return JumpSpec(
            self.window, self.length, self.distance, self.friction, self.margin, robot, JumpSpec.start_height * legs,
            JumpSpec.end_height * legs, self.reserve, shared_out(self.intervals),
        )  # fmt: skip


class JumpOutput(Outputs):
    """The verdict; the plan and its certificate when there is one."""

    verdict: str = Field(title="Verdict")
    feasible: bool = Field(title="Feasible")
    kind: str = Field(title="Kind of verdict")
    source: str = Field(title="Found by")
    largest_sill: Estimate | None = Field(None, title="Largest sill found feasible")
    remark: str | None = Field(None, title="Remark")
    strip: Figure | None = Field(None, title="Jump")
    run: Figure | None = Field(None, title="Simulated run")
    video: Video | None = Field(None, title="Film")
    certificate: Table | None = Field(None, title="Certificate")
    success: Table | None = Field(None, title="Simulated trials")
    learned: Table | None = Field(None, title="Learning")
    torques: Figure | None = Field(None, title="Torque against speed, simulated")
    forces: Figure | None = Field(None, title="Planned forces")
    plan_npz: Artifact | None = Field(None, title="Plan (npz)")
    plan_csv: Artifact | None = Field(None, title="Plan at 1 kHz (CSV)")
    plan_mit: Artifact | None = Field(None, title="Plan, 22 columns (MIT Cheetah-Software)")
    animation: Artifact | None = Field(None, title="Film (GIF)")


@service(
    "quadruped.jump",
    title="Jump through a window",
    summary="Optimises a jump of a quadruped through a window, certifies it and runs it in simulation.",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=30)),
    examples={
        "the paper's 13 cm": {"sill": 0.13, "lintel": 0.75},
        "a high sill": {"sill": 0.3, "lintel": 1.1},
        "with a payload": {"sill": 0.1, "lintel": 0.9, "payload": 1.0},
        "another robot": {"sill": 0.1, "lintel": 1.2, "distance": 0.15, "robot": "Go1"},
        "too low a window": {"sill": 0.2, "lintel": 0.35, "trials": 0},
    },
    **COLUMN,
)
def jump(inputs: JumpInput, job: Job) -> JumpOutput:
    """Can the robot jump this, and how.

    Direct collocation over all feet, rear feet, flight and landing with free durations; torque-speed envelope, friction
    and clearance are hard constraints. The plan is checked by another integrator and run in MuJoCo with disturbances.
    A window for which no jump is found is answered with the violated constraint and the largest sill found feasible.
    """
    from colonnade.quadruped import find_jump

    answer = find_jump(inputs.spec, max_seconds=inputs.max_seconds, said=job.log)
    job.log(answer.sentence)
    if answer.feasible and answer.plan is not None:
        return _found(inputs, job, answer, answer.plan)
    largest = None if answer.largest_sill is None else Estimate(value=answer.largest_sill, unit="m")
    return JumpOutput(
        verdict=answer.sentence, feasible=False, kind=answer.verdict, source=answer.source, largest_sill=largest
    )


def _found(inputs: JumpInput, job: Job, answer: Answer, plan: JumpPlan) -> JumpOutput:
    from colonnade.quadruped import certify, learn, plots, simulate_jump
    from colonnade.quadruped.planfile import to_csv, to_mit, to_npz
    from colonnade.quadruped.trial import window_boxes

    robot, boxes = plan.spec.robot, window_boxes(inputs.window, plan.spec.near)
    learned = learn(plan, inputs.rollouts, window=inputs.window) if inputs.rollouts else None
    correction = learned.correction if learned is not None else None
    nominal = simulate_jump(plan, window=inputs.window, correction=correction)
    found = certify(plan, simulate=lambda _: nominal.success)
    remark = "" if found.valid else "Not certified: " + "; ".join(found.reasons) + "."
    success = _trials(inputs, job, plan, correction)
    video, animation, said = filmed(job, robot, boxes, nominal.t, nominal.qpos) if inputs.film else (None, None, "")
    return JumpOutput(
        verdict=answer.sentence,
        feasible=True,
        kind=answer.verdict,
        source=answer.source,
        remark=f"{remark} {said}".strip() or None,
        strip=Figure.of(plots.jump_strip(plan, inputs.window)),
        run=Figure.of(plots.run_3d(robot, nominal.t, nominal.qpos, boxes, 60)),
        video=video,
        certificate=_certificate(found),
        success=success,
        learned=_learning(learned) if learned is not None else None,
        torques=Figure.of(plots.torque_envelope(robot, nominal.torque, nominal.rate)),
        forces=Figure.of(plots.jump_forces(plan)),
        plan_npz=job.artifact("jump.npz", to_npz(plan), title="jump.npz"),
        plan_csv=job.artifact("jump.csv", to_csv(plan), title="jump.csv", media_type="text/csv"),
        plan_mit=job.artifact("jump.dat", to_mit(plan), title="jump.dat"),
        animation=animation,
    )


def _certificate(found: Certificate) -> Table:
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


def _learning(learned: Learned) -> Table:
    return Table.of(
        {
            "rollout": list(range(1, len(learned.errors) + 1)),
            "error at take-off": [round(e, 4) for e in learned.errors],
        },
        caption="Root mean square of deviations from the plan: 1 is 1 cm, 0.05 rad, 0.1 m/s, 0.5 rad/s. "
        "The run and the trials above use the best rollout's correction.",
    )


def _trials(inputs: JumpInput, job: Job, plan: JumpPlan, correction: Array | None) -> Table | None:
    import numpy as np

    from colonnade.quadruped import Disturbance, simulate_jump, wilson

    if not inputs.trials:
        return None
    cases = [Disturbance.draw(np.random.default_rng(seed)) for seed in job.seeds(inputs.trials)]
    runs = [
        simulate_jump(plan, case, window=inputs.window, correction=correction)
        for case in job.track(cases, "Simulated trials")
    ]
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
