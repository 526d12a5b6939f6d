"""Invertible layers of a flow on fields x (components, sites, n).

Every layer maps `layer(x) -> y, log_det` and `layer.inverse(y) -> x, log_det`, both with the log-determinant of the
forward map, shape (n,), float64. The batch is the last axis, so gathering a neighbour copies whole rows and a
convolution is one matrix product on the sites it moves. A layer built with `odd=True` commutes exactly (bit for bit)
with phi -> -phi, and for several components with every rotation up to rounding.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from colonnade.lattice.support import Support


class Layer(Protocol):
    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]: ...


def covariant(u: Tensor) -> Tensor:
    """A bounded odd function that commutes with rotations of the component axis 0: tanh, or u / sqrt(1 + |u|^2)."""
    if u.shape[0] == 1:
        return torch.tanh(u)
    return u * torch.rsqrt(1 + (u * u).sum(0, keepdim=True))


class Coupling(nn.Module):
    """Affine checkerboard coupling with one convolution over the frozen colour and 1x1 layers behind it.

    The neighbourhood is gathered once per network (not padded once per convolution) and only at the moving sites.
    Scale = function of invariants, shift = covariant: exactly equivariant when `odd`; otherwise biases are added.

    Parameters
    ----------
    support : the sites
    colour : which colour moves
    hidden : channels
    reach : extent of the convolution along every axis
    odd : equivariant under phi -> -phi (and rotations)
    """

    active: Tensor
    around: Tensor

    def __init__(
        self, support: Support, colour: int, hidden: int, reach: int, odd: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        active, around = support.stencil(colour, reach)
        self.register_buffer("active", torch.from_numpy(active), persistent=False)
        self.register_buffer("around", torch.from_numpy(around), persistent=False)
        taps = around.shape[0]

        def normal(*size: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*size, generator=generator))

        self.convolve = normal(hidden, taps, scale=1 / math.sqrt(taps))
        self.mix = normal(hidden, hidden, scale=1 / math.sqrt(hidden))
        self.gate = normal(hidden, hidden, scale=0.3 / math.sqrt(hidden))
        self.shift = normal(1, hidden, scale=0.01)
        self.scale = normal(1, hidden, scale=0.01)
        self.level = nn.Parameter(torch.zeros(1))
        self.bias = None if odd else normal(hidden, scale=0.3)
        self.tilt = None if odd else normal(1, hidden, scale=0.01)

    def _affine(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log scale (A, n) and shift (C, A, n) of the active sites, from the frozen ones."""
        components, _, n = x.shape
        taps, sites = self.around.shape
        near = x[:, self.around.reshape(-1)].reshape(components, taps, sites * n)
        u = torch.matmul(self.convolve, near)
        if self.bias is not None:
            u = u + self.bias[:, None]
        h = covariant(u)
        invariant = (h * h).sum(0)
        h = covariant(torch.matmul(self.mix, h * (1 + torch.matmul(self.gate, invariant))))
        shift = torch.matmul(self.shift, h)
        log_scale = torch.matmul(self.scale, (h * h).sum(0))
        if self.tilt is not None:
            log_scale = log_scale + torch.matmul(self.tilt, h[0])
        log_scale = 2 * torch.tanh(0.5 * (log_scale + self.level))
        return log_scale.reshape(sites, n), shift.reshape(components, sites, n)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._affine(x)
        moved = x[:, self.active] * log_scale.exp() + shift
        return x.index_copy(1, self.active, moved), x.shape[0] * log_scale.sum(0, dtype=torch.float64)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._affine(y)
        moved = (y[:, self.active] - shift) * (-log_scale).exp()
        return y.index_copy(1, self.active, moved), y.shape[0] * log_scale.sum(0, dtype=torch.float64)


class SpectralScale(nn.Module):
    """Learned propagator: one positive factor for every shell of |k|, multiplied in momentum space.

    On up to 4096 sites the real Fourier basis as a matrix is faster on a CPU than an FFT and differentiable in place.
    """

    basis: Tensor
    shell: Tensor

    def __init__(self, support: Support) -> None:
        super().__init__()
        basis, levels, shell = support.fourier
        self.register_buffer("basis", torch.from_numpy(basis), persistent=False)
        self.register_buffer("shell", torch.from_numpy(shell), persistent=False)
        self.log_scale = nn.Parameter(torch.zeros(len(levels)))

    def _scaled(self, x: Tensor, sign: float) -> tuple[Tensor, Tensor]:
        basis = self.basis.to(x.dtype)
        log_scale = self.log_scale[self.shell]
        y = torch.matmul(basis, (sign * log_scale).exp()[:, None] * torch.matmul(basis.T, x))
        return y, x.shape[0] * log_scale.sum(dtype=torch.float64).expand(x.shape[2])

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._scaled(x, 1.0)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self._scaled(y, -1.0)


class Spline(nn.Module):
    """Monotone rational-quadratic spline of |phi_x| (Durkan et al., arXiv:1906.04032), odd, the same at every site.

    Knots span [0, reach]; beyond it the map continues with the last slope. For several components it acts on the
    radius.
    """

    def __init__(self, bins: int = 10, reach: float = 2.5) -> None:
        super().__init__()
        self.reach = reach
        self.widths = nn.Parameter(torch.zeros(bins))
        self.heights = nn.Parameter(torch.zeros(bins))
        self.slopes = nn.Parameter(torch.zeros(bins + 1))
        self.stretch = nn.Parameter(torch.zeros(1))

    def _knots(self) -> tuple[Tensor, Tensor, Tensor]:
        floor, bins = 0.02, len(self.widths)

        def cumulative(raw: Tensor) -> Tensor:
            step = floor / bins + (1 - floor) * torch.softmax(raw, 0)
            return torch.cat([torch.zeros_like(step[:1]), step.cumsum(0)])

        slopes = 0.02 + 0.98 * torch.nn.functional.softplus(self.slopes + 0.5413248546)  # softplus = 1 at 0
        factor = self.stretch.exp()
        return (
            self.reach * cumulative(self.widths),
            self.reach * factor * cumulative(self.heights),
            factor * slopes,
        )

    def _map(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """Image of r >= 0 and the log of its slope."""
        xs, ys, slopes = (t.to(r.dtype) for t in self._knots())
        k = torch.bucketize(r.detach(), xs[1:-1].detach())
        inside = r < xs[-1]
        width, height = (xs[1:] - xs[:-1])[k], (ys[1:] - ys[:-1])[k]
        t = ((r - xs[k]) / width).clamp(0, 1)
        s, d0, d1 = height / width, slopes[k], slopes[k + 1]
        rest = t * (1 - t)
        below = s + (d0 + d1 - 2 * s) * rest
        y = ys[k] + height * (s * t * t + d0 * rest) / below
        slope = s * s * (d1 * t * t + 2 * s * rest + d0 * (1 - t) ** 2) / (below * below)
        outside = ys[-1] + slopes[-1] * (r - xs[-1])
        return torch.where(inside, y, outside), torch.where(inside, slope, slopes[-1]).log()

    def _unmap(self, y: Tensor) -> Tensor:
        xs, ys, slopes = (t.to(y.dtype) for t in self._knots())
        k = torch.bucketize(y.detach(), ys[1:-1].detach())
        width, height = (xs[1:] - xs[:-1])[k], (ys[1:] - ys[:-1])[k]
        s, d0, d1 = height / width, slopes[k], slopes[k + 1]
        delta = (y - ys[k]).clamp(min=0).minimum(height)
        mix = d0 + d1 - 2 * s
        a = height * (s - d0) + delta * mix
        b = height * d0 - delta * mix
        c = -s * delta
        root = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
        outside = xs[-1] + (y - ys[-1]) / slopes[-1]
        return torch.where(y < ys[-1], xs[k] + root * width, outside)

    def _log_det(self, r: Tensor, image: Tensor, log_slope: Tensor, components: int) -> Tensor:
        if components > 1:
            log_slope = log_slope + (components - 1) * ((image + 1e-30).log() - (r + 1e-30).log())
        return log_slope.sum((0, 1), dtype=torch.float64)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[0] == 1:
            image, log_slope = self._map(x.abs())
            return torch.copysign(image, x), self._log_det(x, image, log_slope, 1)
        r = (x * x).sum(0, keepdim=True).sqrt().clamp(min=1e-12)
        image, log_slope = self._map(r)
        return x * (image / r), self._log_det(r, image, log_slope, x.shape[0])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        if y.shape[0] == 1:
            r = self._unmap(y.abs())
            image, log_slope = self._map(r)
            return torch.copysign(r, y), self._log_det(r, image, log_slope, 1)
        image = (y * y).sum(0, keepdim=True).sqrt().clamp(min=1e-12)
        r = self._unmap(image)
        _, log_slope = self._map(r)
        return y * (r / image), self._log_det(r, image, log_slope, y.shape[0])


class ModeBase(nn.Module):
    """Base density with a learned propagator and, optionally, the topology of the target in its zero mode.

    In the real Fourier basis every mode is Gaussian with the width of its |k| shell; the zero mode is
    mu * direction + sigma * normal with a direction uniform on the sphere: two lumps for a real field, a ring for a
    complex one (topology matching, arXiv:2107.00734 section III). `shift` displaces the zero mode instead, which
    breaks the symmetry.

    Parameters
    ----------
    support, components : where the field lives
    bimodal : give the zero mode the radius mu > 0
    shift : displacement of the first component of every site, fixed
    """

    basis: Tensor
    shell: Tensor

    def __init__(self, support: Support, components: int, *, bimodal: bool = False, shift: float = 0.0) -> None:
        super().__init__()
        basis, levels, shell = support.fourier
        self.register_buffer("basis", torch.from_numpy(basis), persistent=False)
        self.register_buffer("shell", torch.from_numpy(shell), persistent=False)
        self.components = components
        start = -0.5 * torch.log(1.0 + torch.from_numpy(levels).float())
        self.log_width = nn.Parameter(start)
        self.radius = nn.Parameter(torch.tensor(0.5 * math.sqrt(support.size))) if bimodal else None
        self.offset = shift * math.sqrt(support.size)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Set the widths (and the radius of the zero mode) to those of samples x (C, S, n) of the target.

        The radius follows from the second and fourth moments of the zero mode, exact for this family of densities.
        """
        modes = torch.matmul(self.basis.T.double(), x.double())
        power = (modes**2).mean((0, 2))
        width = torch.zeros(len(self.log_width), dtype=torch.float64).index_add_(0, self.shell, power)
        width /= torch.bincount(self.shell, minlength=len(width))
        r2 = (modes[:, 0] ** 2).sum(0)
        if self.radius is not None:
            n = self.components
            mu4 = n / 2 * ((1 + 2 / n) * r2.mean() ** 2 - (r2**2).mean())
            mu2 = mu4.clamp(min=0).sqrt().clamp(max=0.999 * r2.mean())
            self.radius.copy_(mu2.sqrt().clamp(min=0.05))
            width[0] = (r2.mean() - mu2) / n
        elif self.offset:
            width[0] = width[1]  # the samples may sit in several vacua: their spread is not the width of one
        self.log_width.copy_(0.5 * width.clamp(min=1e-6).log())

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fields (C, S, n) and their log-density (n,) in float64; differentiable in the parameters."""
        dtype = self.log_width.dtype
        z = torch.randn(self.components, self.basis.shape[1], n, generator=generator, dtype=dtype)
        modes = z * self.log_width.exp()[self.shell][:, None]
        centre = torch.zeros(self.components, n, dtype=dtype)
        if self.radius is not None:
            direction = torch.randn(self.components, n, generator=generator, dtype=dtype)
            centre = self.radius * direction / direction.norm(dim=0)
        centre = torch.cat([centre[:1] + self.offset, centre[1:]])
        modes = torch.cat([modes[:, :1] + centre[:, None], modes[:, 1:]], 1)
        return torch.matmul(self.basis.to(dtype), modes), self._log_density(modes)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of fields (C, S, n)."""
        return self._log_density(torch.matmul(self.basis.T.to(x.dtype), x))

    def _log_density(self, modes: Tensor) -> Tensor:
        log_width = self.log_width[self.shell]
        scaled = modes * (-log_width).exp()[:, None]
        rest = 0.5 * (scaled[:, 1:] ** 2).sum((0, 1), dtype=torch.float64)
        constant = self.components * (log_width.double() + 0.5 * math.log(2 * math.pi)).sum()
        return -rest - constant + self._zero_mode(modes[:, 0].double())

    def _zero_mode(self, m: Tensor) -> Tensor:
        """log of the zero-mode density relative to its normalisation as a Gaussian."""
        sigma = self.log_width[0].double().exp()
        m = torch.cat([m[:1] - self.offset, m[1:]])
        r2 = (m * m).sum(0)
        if self.radius is None:
            return -0.5 * r2 / sigma**2
        mu = self.radius.double().abs()
        if self.components == 1:
            y = mu * m[0].abs() / sigma**2
            average = y + torch.log1p(torch.exp(-2 * y)) - math.log(2)
        else:
            y = mu * r2.clamp(min=1e-24).sqrt() / sigma**2
            average = y + torch.log(torch.special.i0e(y))
        return -0.5 * (r2 + mu**2) / sigma**2 + average
