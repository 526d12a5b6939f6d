"""A real SLURM of one node for tests: munge, a controller and a node daemon, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness import until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
NODE = "node1"
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
SlurmdParameters=config_overrides
KillWait=2
InactiveLimit=0
SlurmdTimeout=300
SlurmUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=20000 State=UNKNOWN
PartitionName=short Nodes={node} Default=YES MaxTime=60 State=UP
PartitionName=long Nodes={node} MaxTime=INFINITE State=UP
"""


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"SLURM is not installed: {name} is missing (Debian packages slurm-wlm and munge)")
    return found


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Slurm:
    """One controller and one node with four cores, in the partitions `short` and `long`."""

    def __init__(self, folder: Path) -> None:
        if os.getuid() != 0:
            pytest.skip("a test SLURM takes root")
        self.programs = {name: _program(name) for name in PROGRAMS}
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("spool", "state"):
            (folder / name).mkdir()
        self.conf = folder / "slurm.conf"
        names = {"host": socket.gethostname().partition(".")[0], "node": NODE, "folder": folder}
        self.conf.write_text(CONFIGURATION.format(controller=_port(), daemon=_port(), **names))
        self.environment = os.environ | {"SLURM_CONF": str(self.conf), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        folder.chmod(0o755)
        local = [f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed", f"--log-file={folder}/munge.log"]
        self.start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket", *local)
        until((folder / "munge.socket").exists, "munge")
        self.start("slurmctld", "-D", "-f", str(self.conf))
        self.start("slurmd", "-D", "-f", str(self.conf), "-N", NODE)
        until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%t"), "the node", 120)

    def start(self, name: str, *options: str) -> None:
        self.processes[name] = subprocess.Popen(
            [self.programs[name], *options],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints; nothing while the controller is away."""
        time.sleep(0.2)  # who asks in a loop leaves the processor to the others
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout

    def jobs(self, states: str = "PENDING,RUNNING,CONFIGURING,COMPLETING") -> list[str]:
        """Ids of the batch jobs in some states."""
        return self.ask("squeue", "-h", "-o", "%i", "-t", states).split()

    def told(self, id: str) -> dict[str, str]:
        """What the controller knows of a batch job."""
        words = self.ask("scontrol", "show", "job", id).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def lose_power(self, id: str) -> None:
        """Kill every process of a batch job at once, as the end of its node does; SLURM hears of it from nobody."""
        mark = f"SLURM_JOB_ID={id}".encode()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)

    def node(self, state: str) -> None:
        reason = ["reason=test"] if state in ("down", "drain") else []
        command = ["scontrol", "update", f"nodename={NODE}", f"state={state}", *reason]
        # A node that has come back by itself has nothing to resume.
        subprocess.run(command, env=self.environment, check=state != "resume", timeout=60, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        with suppress(Exception):
            self.ask("scancel", "--full", "-u", "root")
            until(lambda: not self.jobs(), "the end of all batch jobs", 20)
        for name in list(self.processes)[::-1]:
            self.kill(name)
        for path in (self.folder / "spool").glob("job*"):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def slurm() -> Iterator[Slurm]:
    """A SLURM that is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        found: Slurm | None = None
        try:
            found = Slurm(Path(folder))
            yield found
        finally:
            if found is not None:
                found.stop()
