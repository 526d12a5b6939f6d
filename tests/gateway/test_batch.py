"""Services through a real SLURM of one node: how they run, every way in which they end, and what is given back."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness import ended, settings, submit, until, value
from slurm import Slurm, slurm

from colonnade.errors import ColonnadeError
from colonnade.gateway import batch
from colonnade.gateway.core import Gateway
from colonnade.gateway.settings import BatchQueue, Settings, load_settings
from colonnade.service import Resources

if importlib.util.find_spec("dask_jobqueue") is None:  # importing it would take the signals of this process
    pytest.skip("dask-jobqueue is not installed (extra cluster)", allow_module_level=True)

LONG = 150.0  # seconds to wait for what SLURM does in its own time
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Slurm]:
    with slurm() as found:
        os.environ["SLURM_CONF"] = str(found.conf)
        yield found
        del os.environ["SLURM_CONF"]


def on_slurm(folder: Path, **given: Any) -> Settings:
    queues = {
        "cpu-short": BatchQueue(partition="short", cores=2, memory=1 << 30, walltime=timedelta(minutes=5)),
        "cpu-long": BatchQueue(partition="long", cores=2),
    }
    common = {"scheduler": "slurm", "queues": queues, "batch_host": "127.0.0.1", "batch_idle": 3.0}
    return settings(folder, **(common | given))


@pytest.fixture
def gateway(server: Slurm, tmp_path: Path) -> Iterator[Gateway]:
    found = Gateway(on_slurm(tmp_path / "data"))
    found.start()
    until(lambda: found.health()["engine"] == "ready", "the engine")
    yield found
    found.stop()
    until(lambda: not server.jobs(), "all allocations given back")


def held(server: Slurm) -> str:
    """The one batch job that runs."""
    found: list[str] = until(lambda: server.jobs("RUNNING"), "an allocation", LONG)
    assert len(found) == 1
    return found[0]


def past_step(gateway: Gateway, id: str) -> None:
    until((gateway.directory(id) / "checkpoint.npz").exists, "the first checkpoint")


def assert_resumed(gateway: Gateway, id: str, steps: int) -> None:
    row = ended(gateway, id)
    assert (row.state, row.attempt, row.lost) == ("succeeded", 2, 1), row.error
    starts = [line for line in (gateway.directory(id) / "events.jsonl").read_text().splitlines() if "from step" in line]
    assert len(starts) == 2 and "from step 0" not in starts[1]
    assert value(gateway, id) == sum(range(steps))


# --- short ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_job_runs_in_an_allocation_and_a_cancelled_one_gives_it_back(gateway: Gateway, server: Slurm) -> None:
    done = ended(gateway, submit(gateway, "testing.environment").id)
    assert done.state == "succeeded", done.error
    row = submit(gateway, "testing.patient", seconds=500)
    until((gateway.directory(row.id) / ".attempt.json").exists, "the start", LONG)
    told = server.told(max(server.jobs("RUNNING"), key=int))
    assert (told["Partition"], told["NumCPUs"], told["TimeLimit"]) == ("short", "1", "00:07:00")
    assert told["MinMemoryNode"] == "812M" and told["Requeue"] == "0"
    gateway.cancel(row.id)
    assert ended(gateway, row.id).state == "cancelled"
    until(lambda: not server.jobs(), "the allocation given back")


# --- longer --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_more_jobs_than_cores(gateway: Gateway, server: Slurm) -> None:
    rows = [submit(gateway, "testing.sleep", seed=n, seconds=0.2) for n in range(12)]
    wide = submit(gateway, "testing.wide", seconds=0.2)
    most = 0
    while not all(gateway.job(row.id).final for row in [*rows, wide]):
        most = max(most, len(server.jobs()))
    assert {gateway.job(row.id).state for row in [*rows, wide]} == {"succeeded"}
    assert value(gateway, wide.id) == 2
    assert 1 <= most <= 2


@pytest.mark.slow
def test_cancel_before_the_node_is_given(gateway: Gateway, server: Slurm) -> None:
    server.node("drain")
    try:
        row = submit(gateway, "testing.double", n=3)
        until(server.jobs, "the request for an allocation")
        gateway.cancel(row.id)
        assert ended(gateway, row.id).state == "cancelled"
        until(lambda: not server.jobs(), "the request taken back")
    finally:
        server.node("resume")


@pytest.mark.slow
def test_walltime_of_the_service(gateway: Gateway, server: Slurm) -> None:
    row = ended(gateway, submit(gateway, "testing.overtime").id)
    assert (row.state, row.error) == ("failed", "The job took longer than its 1 second.")
    until(lambda: not server.jobs(), "the allocation given back")


@pytest.mark.slow
def test_walltime_of_the_allocation(gateway: Gateway, server: Slurm) -> None:
    """SLURM takes the allocation away in mid-job, as at its time limit; the job goes on in another."""
    steps = 1000  # the least limit is a minute, and SLURM looks at its clock twice a minute
    row = submit(gateway, "testing.long_steps", steps=steps, pause=0.1)
    past_step(gateway, row.id)
    allocation = held(server)
    server.ask("scontrol", "update", f"jobid={allocation}", "TimeLimit=0:01")
    until(lambda: gateway.job(row.id).attempt == 2 or gateway.job(row.id).final, "the second attempt", LONG)
    assert_resumed(gateway, row.id, steps)
    assert server.told(allocation)["JobState"] == "TIMEOUT"


@pytest.mark.slow
def test_a_node_that_goes_down(gateway: Gateway, server: Slurm) -> None:
    row = submit(gateway, "testing.steps", steps=100, pause=0.1)
    past_step(gateway, row.id)
    server.lose_power(held(server))
    server.node("down")
    until(lambda: gateway.job(row.id).attempt == 2, "the job taken up again", LONG)
    server.node("resume")
    assert_resumed(gateway, row.id, 100)


@pytest.mark.slow
def test_a_drained_node_lets_its_job_end(gateway: Gateway, server: Slurm) -> None:
    row = submit(gateway, "testing.steps", steps=30, pause=0.1)
    past_step(gateway, row.id)
    server.node("drain")
    try:
        done = ended(gateway, row.id)
        assert (done.state, done.attempt, done.lost) == ("succeeded", 1, 0)
    finally:
        server.node("resume")


@pytest.mark.slow
def test_a_restarted_controller(gateway: Gateway, server: Slurm) -> None:
    row = submit(gateway, "testing.steps", steps=60, pause=0.1)
    past_step(gateway, row.id)
    server.kill("slurmctld")
    late = submit(gateway, "testing.wide", seconds=0.1)  # of another shape: it needs an allocation of its own
    done = ended(gateway, row.id)
    assert (done.state, done.attempt) == ("succeeded", 1)
    assert not gateway.job(late.id).final
    server.start("slurmctld", "-D", "-f", str(server.conf))
    until(lambda: gateway.job(late.id).final, "the job that waited", LONG)
    assert gateway.job(late.id).state == "succeeded"


@pytest.mark.slow
def test_a_killed_gateway_leaves_no_allocation(server: Slurm, tmp_path: Path) -> None:
    given = on_slurm(tmp_path / "data")
    desk = Gateway(given)  # takes requests, runs none
    given.data.joinpath("c.toml").write_text(
        'scheduler = "slurm"\nbatch_host = "127.0.0.1"\nheartbeat = 0.5\n[queues.cpu-short]\npartition = "short"\n'
    )
    environment = os.environ | {"COLONNADE_DATA": str(given.data), "COLONNADE_CONFIG": str(given.data / "c.toml")}

    def start() -> psutil.Popen:
        command = [sys.executable, "-m", "colonnade.gateway"]
        return psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    members = [start()]
    try:
        row = submit(desk, "testing.steps", steps=300, pause=0.1)
        past_step(desk, row.id)
        members[0].kill()
        members[0].wait()
        until(lambda: not server.jobs(), "the allocation given back", LONG)
        members.append(start())
        assert_resumed(desk, row.id, 300)
        members[1].terminate()
        assert members[1].wait(60) == 0
    finally:
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        desk.store.close()


# --- without SLURM -------------------------------------------------------------------------------

KEYS = batch.Keys("authority", "certificate", "key")


def script(folder: Path, system: str, resources: Resources, queue: BatchQueue) -> str:
    given = settings(folder, scheduler=system, queues={"q": queue})
    shape = batch.shape_of(resources, given.batch_queues)
    assert shape is not None
    told = batch.options(given, shape, KEYS)
    return str(batch.job_class(system)("tls://gateway:8786", name="one", **told).job_script())


@pytest.mark.parametrize(
    ("system", "lines"),
    [
        ("slurm", ["#SBATCH -p big", "--cpus-per-task=4", "--mem=5G", "-t 04:02:00", "--gres=gpu:2", "--no-requeue"]),
        ("pbs", ["#PBS -q big", "select=1:ncpus=4:mem=", "walltime=04:02:00", "-l ngpus=2"]),
        ("lsf", ["#BSUB -q big", "#BSUB -n 4", "#BSUB -W 04:02", "-gpu num=2"]),
        ("sge", ["#$ -q big", "h_rt=04:02:00", "-l gpu=2"]),
        ("htcondor", ["MY.DaskWorkerCores = 4", "+MaxRuntime = 14520", "request_gpus = 2", "RequestDisk"]),
    ],
)
def test_resources_become_directives(tmp_path: Path, system: str, lines: list[str]) -> None:
    queue = BatchQueue(partition="big", gpus=4)
    made = script(tmp_path, system, Resources(cores=4, memory="4 GiB", walltime=2 * HOUR, gpus=2), queue)
    for line in lines:
        assert line in made
    assert "q:4c:4096m:2g:7200s=1" in made and "COLONNADE_ENDS" in made
    assert "certificate" not in made  # as text


def test_services_go_to_the_first_queue_that_holds_them() -> None:
    queues = {
        "short": BatchQueue(cores=8, memory=4 << 30, walltime=HOUR),
        "long": BatchQueue(cores=8),
        "gpu": BatchQueue(gpus=1),
    }

    def queue(**asked: Any) -> str | None:
        found = batch.shape_of(Resources(**asked), queues)
        return found.queue if found else None

    assert queue() == "short"
    assert queue(walltime=2 * HOUR) == "long"
    assert queue(memory="8 GiB") == "long"
    assert queue(gpus=1) == "gpu"
    assert queue(cores=9, gpus=1) == "gpu"
    assert queue(cores=65) is None


def test_a_service_that_no_queue_takes_is_refused(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path, scheduler="slurm", queues={"q": BatchQueue(cores=1)}))
    with pytest.raises(ColonnadeError, match=r"No queue of this gateway takes testing\.wide.* 2 cores"):
        submit(gateway, "testing.wide", seconds=1)
    gateway.store.close()


def test_an_unknown_scheduler_is_named() -> None:
    with pytest.raises(ColonnadeError, match=r"Setting scheduler: .*slurm.*'torque'"):
        load_settings(scheduler="torque")


def test_dask_jobqueue_is_not_given_the_signals_of_the_process() -> None:
    code = (
        "import signal, threading; from colonnade.gateway import batch; kept = signal.getsignal(signal.SIGINT)\n"
        "thread = threading.Thread(target=lambda: print(batch.job_class('slurm').__mro__[1].__name__))\n"
        "thread.start(); thread.join(); assert signal.getsignal(signal.SIGINT) is kept"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "SLURMJob\n"
