"""Services that behave well or badly on purpose; a folder on the path with its metadata is an installed package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Outputs, Table
from colonnade.service import Resources, service

SMALL = Resources(cores=1, memory="300 MiB", walltime=timedelta(seconds=60))


class Number(Inputs):
    n: int = Param(1, title="Number", ge=0, le=10_000_000)


class Seconds(Inputs):
    seconds: float = Param(1.0, title="Seconds", ge=0, le=1000)


class Nothing(Inputs):
    pass


class Value(Outputs):
    value: Estimate


def _value(number: float) -> Value:
    return Value(value=Estimate(value=number))


@service("testing.double", title="Double", summary="Doubles a number.", paper="none", resources=SMALL)
def double(inputs: Number, job: Job) -> Value:
    return _value(2 * inputs.n)


@service("testing.fail", title="Fail", summary="Fails.", paper="none", resources=SMALL)
def fail(inputs: Nothing, job: Job) -> Value:
    raise ValueError("The sample is empty.")


class Text(Inputs):
    file: Annotated[InputFile, Accept(".txt", limit="1 MB")] = Param(title="Text")


class Count(Outputs):
    characters: Estimate
    copy_: Artifact


@service("testing.characters", title="Count", summary="Counts characters.", paper="none", resources=SMALL)
def characters(inputs: Text, job: Job) -> Count:
    content = inputs.file.path.read_text()
    return Count(characters=Estimate(value=len(content)), copy_=job.artifact("copy.txt", content))


@service("testing.sleep", title="Sleep", summary="Waits, with progress.", paper="none", resources=SMALL)
def sleep(inputs: Seconds, job: Job) -> Value:
    for _ in job.track(range(10), "Sleeping"):
        time.sleep(inputs.seconds / 10)
    return _value(job.seed + inputs.seconds)


TWO = Resources(cores=2, memory="300 MiB", walltime=timedelta(seconds=60))


@service("testing.wide", title="Wide", summary="Waits on two cores.", paper="none", resources=TWO)
def wide(inputs: Seconds, job: Job) -> Value:
    time.sleep(inputs.seconds)
    return _value(job.cores)


class Steps(Inputs):
    steps: int = Param(10, title="Steps", ge=1)
    pause: float = Param(0.1, title="Pause", ge=0)
    mark: int = Param(0, title="Only tells runs apart")


@service("testing.steps", title="Steps", summary="Sums with checkpoints.", paper="none", resources=SMALL)
def steps(inputs: Steps, job: Job) -> Value:
    state = job.resume() or {"next": 0, "sum": 0}
    job.log(f"from step {state['next']}")
    for step in range(state["next"], inputs.steps):
        time.sleep(inputs.pause)
        state = {"next": step + 1, "sum": state["sum"] + step * (job.seed + 1)}
        job.checkpoint(state)
    return _value(state["sum"])


COMPILER = Resources(cores=1, memory="1 GiB", walltime=timedelta(seconds=120))


@service("testing.compiled", title="Compiled", summary="Calls a function of numba.", paper="none", resources=COMPILER)
def compiled(inputs: Number, job: Job) -> Value:
    from colonnade_compiled import twice

    return _value(twice(inputs.n))


PATIENT = Resources(cores=1, memory="300 MiB", walltime=timedelta(minutes=4))


@service("testing.patient", title="Patient", summary="Waits for minutes.", paper="none", resources=PATIENT)
def patient(inputs: Seconds, job: Job) -> Value:
    time.sleep(inputs.seconds)
    return _value(inputs.seconds)


@service("testing.long_steps", title="Long", summary="The same for minutes.", paper="none", resources=PATIENT)
def long_steps(inputs: Steps, job: Job) -> Value:
    return steps(inputs, job)


class Walk(Outputs):
    path: Table
    final: Estimate


@service("testing.walk", title="Walk", summary="Walks at random, with checkpoints.", paper="none", resources=SMALL)
def walk(inputs: Steps, job: Job) -> Walk:
    generator = job.rng()
    state = job.resume() or {"path": [0.0], "generator": generator.bit_generator.state}
    generator.bit_generator.state = state["generator"]
    path: list[float] = list(state["path"])
    for _ in range(len(path), inputs.steps + 1):
        time.sleep(inputs.pause)
        path.append(path[-1] + generator.normal())
        job.checkpoint({"path": path, "generator": generator.bit_generator.state})
    return Walk(path=Table.of({"position": path}), final=Estimate(value=path[-1]))


@service("testing.chatty", title="Chatty", summary="Prints megabytes.", paper="none", resources=SMALL)
def chatty(inputs: Number, job: Job) -> Value:
    print("the first line", flush=True)
    block = b"0123456789abcde\n" * 65536
    for _ in range(inputs.n):
        os.write(1, block)
    print("the last line", flush=True)
    return _value(inputs.n)


@service("testing.hungry", title="Hungry", summary="Takes more and more memory.", paper="none", resources=SMALL)
def hungry(inputs: Number, job: Job) -> Value:
    kept = []
    for _ in range(inputs.n):
        kept.append(bytearray(os.urandom(1024) * 20 * 1024))
        time.sleep(0.01)
    return _value(len(kept))


@service("testing.greedy", title="Greedy", summary="Asks for much memory at once.", paper="none", resources=SMALL)
def greedy(inputs: Nothing, job: Job) -> Value:
    return _value(len(bytearray(200 * 1024**3)))


class Signal(Inputs):
    signal: int = Param(9, title="Signal", ge=1, le=64)


@service("testing.killed", title="Killed", summary="Is killed by a signal.", paper="none", resources=SMALL)
def killed(inputs: Signal, job: Job) -> Value:
    os.kill(os.getpid(), inputs.signal)
    time.sleep(30)
    return _value(0)


@service("testing.exits", title="Exits", summary="Ends without a result.", paper="none", resources=SMALL)
def exits(inputs: Nothing, job: Job) -> Value:
    os._exit(3)


@service("testing.stubborn", title="Stubborn", summary="Ignores SIGTERM, has children.", paper="none", resources=SMALL)
def stubborn(inputs: Seconds, job: Job) -> Value:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(999)"
    )
    children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    _tell(job, [os.getpid(), *(child.pid for child in children)])
    time.sleep(inputs.seconds)
    return _value(0)


@service("testing.daemon", title="Daemon", summary="Leaves a daemon behind.", paper="none", resources=SMALL)
def daemon(inputs: Seconds, job: Job) -> Value:
    """Forks twice with a new session, as daemons do, and clears the daemon's environment."""
    code = """
import os, sys, time
os.fork() and os._exit(0)
os.setsid()
os.fork() and os._exit(0)
with open(sys.argv[1] + ".draft", "w") as stream:
    stream.write(str(os.getpid()))
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(999)
"""
    told = job.directory / "pids"
    told.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-c", code, str(told)], env={}, check=True)
    while not told.exists():
        time.sleep(0.01)
    time.sleep(inputs.seconds)
    return _value(0)


def _tell(job: Job, pids: list[int]) -> None:
    """Let the test know the processes."""
    draft = job.directory / "pids.draft"
    draft.write_text(" ".join(map(str, pids)))
    draft.replace(job.directory / "pids")


@service("testing.spin", title="Spin", summary="Burns CPU time.", paper="none", resources=SMALL)
def spin(inputs: Seconds, job: Job) -> Value:
    end = time.monotonic() + inputs.seconds
    turns = 0
    while time.monotonic() < end:
        turns += 1
    return _value(turns)


SHORT = Resources(cores=1, memory="300 MiB", walltime=timedelta(seconds=1))


@service("testing.overtime", title="Overtime", summary="Takes too long.", paper="none", resources=SHORT)
def overtime(inputs: Nothing, job: Job) -> Value:
    time.sleep(60)
    return _value(0)


@service("testing.fill", title="Fill", summary="Writes megabytes.", paper="none", resources=SMALL)
def fill(inputs: Number, job: Job) -> Value:
    with (job.files / "big").open("wb") as stream:
        for _ in range(inputs.n):
            stream.write(os.urandom(1024) * 1024)
    return _value(inputs.n)


class Environment(Outputs):
    names: list[str]
    initial: list[str]
    cores: str


@service("testing.environment", title="Environment", summary="Tells what it sees.", paper="none", resources=SMALL)
def environment(inputs: Nothing, job: Job) -> Environment:
    initial = Path("/proc/self/environ").read_bytes().decode(errors="replace").split("\0")
    names = sorted({item.partition("=")[0] for item in initial if item})
    return Environment(names=sorted(os.environ), initial=names, cores=os.environ.get("OMP_NUM_THREADS", ""))


class Snoop(Inputs):
    paths: list[str] = Param(default_factory=list, title="Files to read")
    port: int = Param(0, title="A port of this machine")
    parent: int = Param(0, title="A process to look for")


class Seen(Outputs):
    read: list[str]
    written: list[str]
    connected: bool
    processes: bool


def _snoop(inputs: Snoop) -> Seen:
    import socket

    read, written = [], []
    for path in map(Path, inputs.paths):
        try:
            found = bool(list(path.iterdir()) if path.is_dir() else path.read_bytes())
        except OSError:
            found = False
        if found:
            read.append(str(path))
        try:
            (path.parent / "written").write_text("here")
            written.append(str(path.parent))
        except OSError:
            pass
    try:
        socket.create_connection(("127.0.0.1", inputs.port), timeout=2).close()
        connected = True
    except OSError:
        connected = False
    return Seen(
        read=read,
        written=written,
        connected=connected,
        processes=inputs.parent > 0 and Path(f"/proc/{inputs.parent}/environ").exists(),
    )


@service("testing.snoop", title="Snoop", summary="Looks around.", paper="none", resources=SMALL)
def snoop(inputs: Snoop, job: Job) -> Seen:
    return _snoop(inputs)


ONLINE = Resources(cores=1, memory="300 MiB", walltime=timedelta(seconds=60), network=True)


@service("testing.online", title="Online", summary="Looks around, with a network.", paper="none", resources=ONLINE)
def online(inputs: Snoop, job: Job) -> Seen:
    return _snoop(inputs)
