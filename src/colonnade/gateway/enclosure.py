"""A job's process inside bubblewrap: it reads programs, writes its own folder, and reaches no network unless it asks.

Also the program that runs in there: `python -m colonnade.gateway.enclosure DIRECTORY VERDICT`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import NoReturn

from colonnade.gateway import caches
from colonnade.gateway.order import Order

MISSING = "This machine cannot isolate jobs, as the gateway asks: bubblewrap is not installed or not allowed to work."
# What every job gets: the machine's files to read, processes and a temporary folder of its own.
BASE = (
    *("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL"),
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run", "--ro-bind-try", "/run/systemd/resolve"),
    "/run/systemd/resolve",
)
DEVICES = ("nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "kfd", "dri")


@cache
def available() -> bool:
    """Whether bubblewrap is installed and the kernel lets it do its work."""
    program = shutil.which("bwrap")
    if program is None:
        return False
    trial = [program, *BASE, "--unshare-net", "true"]
    try:
        return subprocess.run(trial, capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def command(order: Order, scratch: Path, verdict: int) -> list[str]:
    """The command line that runs an order's service in there."""
    hidden = [path for path in order.hidden if path.exists()]
    parts = ["bwrap", *BASE]
    for path in hidden:
        if not path.is_dir():
            parts += ["--ro-bind", "/dev/null", str(path)]
            continue
        engines = str(path / "engines")  # programs that were installed apart lie in the default data folder
        parts += ["--tmpfs", str(path), "--ro-bind-try", engines, engines]
    for folder in _programs():  # whatever was hidden above them
        parts += ["--ro-bind-try", folder, folder]
    for path in (order.directory, scratch):
        parts += ["--bind", str(path), str(path)]
    for name in DEVICES if order.gpus else ():
        parts += ["--dev-bind-try", f"/dev/{name}", f"/dev/{name}"]
    if not order.network:
        parts.append("--unshare-net")
    parts += ["--chdir", str(scratch)]
    return [*parts, sys.executable, "-m", "colonnade.gateway.enclosure", str(order.directory), str(verdict)]


def _programs() -> list[str]:
    """Where Python and what it imports are; only folders of programs, not the root or a home."""
    paths = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path}
    return sorted(path for path in paths if path.startswith(("/tmp/", "/var/tmp/", "/run/")) and Path(path).is_dir())


def enter(order: Order, scratch: Path, verdict: int) -> NoReturn:
    """Become that program.

    Raises:
        OSError: it cannot be started.
    """
    os.set_inheritable(verdict, True)
    os.environ.update(caches.own(scratch))
    parts = command(order, scratch, verdict)
    os.execvp(parts[0], parts)


def main() -> None:
    """Run the service of a run directory, as `service_process.serve` does outside."""
    from colonnade.gateway.service_process import perform

    perform(Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
