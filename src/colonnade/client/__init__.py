"""The Python client of a gateway, for programs that wait and for programs that await.

    with Client("https://gateway.example", token) as gateway:
        job = gateway.submit("structure.affinity", {"structure": "complex.pdb"})
        gateway.wait(job.id)
        print(gateway.result(job.id)["affinity"])

`AsyncClient` has the same methods, to be awaited. Without arguments both talk to the gateway of the last
`colonnade login`.
"""

from colonnade.client.clients import AsyncClient, Client
from colonnade.client.models import GatewayError, RemoteJob, RemoteResult, RemoteService

__all__ = ["AsyncClient", "Client", "GatewayError", "RemoteJob", "RemoteResult", "RemoteService"]
