"""The structure portals as services: typed inputs and outputs around the library, no science.

One module a portal. All of them are imported here, as importing a module is what registers its services.
"""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

for _module in _iter_modules(__path__):
    _import_module(f"{__name__}.{_module.name}")
