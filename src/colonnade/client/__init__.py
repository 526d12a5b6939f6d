"""The Python client of a gateway, for programs that wait and for programs that await.

    with Client("https://gateway.example", token) as gateway:
        job = gateway.submit("structure.affinity", {"structure": "complex.pdb"})
        gateway.wait(job.id)
        print(gateway.result(job.id)["affinity"])

`AsyncClient` has the same methods, to be awaited. Without arguments both talk to the gateway of the last
`colonnade login`.
"""

import lazy_loader

# The models are wanted without what sends requests.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clients": ["AsyncClient", "Client"],
        "models": ["GatewayError", "RemoteJob", "RemoteResult", "RemoteService", "RemoteWorkflow"],
    },
)
