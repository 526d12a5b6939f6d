"""The services of this column, one module each, and what their forms share.

All of them are imported here, as importing a module is what registers its service.
"""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

for _module in _iter_modules(__path__):
    _import_module(f"{__name__}.{_module.name}")
