"""`colonnade serve`."""

from __future__ import annotations

from pathlib import Path

from colonnade.errors import ColonnadeError


def serve(*, host: str | None = None, port: int | None = None, data: Path | None = None) -> int:
    """Serve the gateway until Ctrl-C, and print the address that lets a browser in.

    Every other option is a variable COLONNADE_* or stands in the configuration file.

    Parameters
    ----------
    host
        Address to listen on (default: 127.0.0.1, this machine only).
    port
        Port to listen on, 0 for any free one (default: 8000).
    data
        Folder of the database, the files and the runs.
    """
    try:
        from colonnade.gateway.app import serve as serve_gateway
        from colonnade.gateway.settings import load_settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("colonnade"):
            raise
        raise ColonnadeError(
            f"The gateway is not installed here ({error.name} is missing); install colonnade[gateway]."
        ) from None
    given = {name: value for name, value in (("host", host), ("port", port), ("data", data)) if value is not None}
    return serve_gateway(load_settings(**given))
