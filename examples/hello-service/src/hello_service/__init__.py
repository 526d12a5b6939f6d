"""The pendulum at any amplitude: `period` and `fit_gravity`.

>>> from hello_service import period
>>> round(period(length=1.0, amplitude=90.0), 4)
2.3682
"""

from hello_service.pendulum import fit_gravity, period

__all__ = ["fit_gravity", "period"]
