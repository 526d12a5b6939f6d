"""Start a flow on a larger lattice from one trained on a smaller: couplings and splines do not know the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from colonnade.lattice.errors import LatticeError
from colonnade.lattice.flow import Density, FlowConfig, build
from colonnade.lattice.geometry import checked_shape
from colonnade.lattice.layers import ModeBase, SpectralScale
from colonnade.lattice.support import Support


@torch.no_grad()
def transfer(flow: Density, config: FlowConfig, shape: Sequence[int], seed: int = 0) -> tuple[Density, FlowConfig]:
    """Rebuild a trained flow on another shape.

    Convolutions, gates and splines are copied; the factors of the momentum shells are interpolated in k_hat^2; the
    radius of a bimodal base grows with the root of the number of sites (the mean field stays).

    Raises
    ------
    LatticeError
        If a convolution of the small flow reaches around its torus, so that its taps differ from the large one's.
    """
    wanted = replace(config, shape=checked_shape(shape))
    large = build(wanted, seed)
    small_modules, state = dict(flow.named_modules()), flow.state_dict()
    for name, module in large.named_modules():
        source = small_modules.get(name)
        if isinstance(module, SpectralScale) and isinstance(source, SpectralScale):
            module.log_scale.copy_(_interpolated(source.log_scale, flow.support, large.support))
        elif isinstance(module, ModeBase) and isinstance(source, ModeBase):
            module.log_width.copy_(_interpolated(source.log_width, flow.support, large.support))
            if module.radius is not None and source.radius is not None:
                module.radius.copy_(source.radius * (large.support.size / flow.support.size) ** 0.5)
    for name, parameter in large.named_parameters():
        if name.endswith(("log_scale", "log_width", "radius")):
            continue
        if parameter.shape != state[name].shape:
            raise LatticeError(
                f"shape {list(wanted.shape)} cannot start from {list(config.shape)}: the convolutions reach around the "
                f"smaller torus; its sides must exceed twice the reach, {2 * config.reach}"
            )
        parameter.copy_(state[name])
    return large, wanted


def _interpolated(values: Tensor, small: Support, large: Support) -> Tensor:
    _, from_levels, _ = small.fourier
    _, to_levels, _ = large.fourier
    return torch.from_numpy(np.interp(to_levels, from_levels, values.numpy())).to(values.dtype)
