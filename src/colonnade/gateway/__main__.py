"""`python -m colonnade.gateway`: run what is queued, without the web pages; ends on SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from colonnade.errors import ColonnadeError
from colonnade.gateway.core import Gateway
from colonnade.gateway.settings import load_settings


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        gateway = Gateway(load_settings())
    except ColonnadeError as error:
        print(error, file=sys.stderr)
        return 2
    gateway.start()
    print(f"Running jobs from {gateway.settings.data}", flush=True)
    ended.wait()
    gateway.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
