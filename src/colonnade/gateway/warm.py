"""What the fork server of a worker imports before the first job: the keeper, the runner, and every service's module."""

from __future__ import annotations

import gc

from colonnade import service
from colonnade.gateway import keeper

service.services()
gc.collect()
gc.freeze()  # what is loaded now stays for good: no collection in a child touches, and so copies, its pages

__all__ = ["keeper"]
