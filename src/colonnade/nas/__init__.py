"""Neural architecture search without the search: images in, ranked networks out, in seconds.

After Lee, Hyung & Hwang, *Rapid neural architecture search by learning to generate graphs from datasets*
(arXiv:2107.00860). A meta-database of short trainings on many small tasks teaches, once, how well a network does on a
data set; for new images every network of the space is then scored at once.

    from colonnade import nas

    data = nas.load_images("pets.zip")                       # or a folder of folders, or x and y: nas.images(x, y)
    found = nas.search(data, nas.Limits(params=300_000), top=5)
    network = found.best.build(data.classes, data.channels)  # torch.nn.Module
    print(nas.fit(found, data, epochs=20).rows)

Importing this package loads no engine: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "data": ["Images", "images"],
        "ensemble": ["MetaModel", "carried"],
        "errors": ["NasError"],
        "export": ["export_onnx", "load_network", "save_network"],
        "features": ["describe", "encode"],
        "fitting": ["fit"],
        "generator": ["quality"],
        "mobilenet": ["Mobile"],
        "network": ["Network", "build"],
        "proxies": ["scores"],
        "reading": ["load_images"],
        "refinement": ["refine"],
        "searching": ["Candidate", "Limits", "Search", "search"],
        "space": ["Architecture", "Macro", "macros", "macs", "params"],
        "tables": ["oracle"],
        "timing": ["latency"],
        "training": ["Schedule", "train"],
    },
)
