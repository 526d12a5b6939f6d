"""MAD-X: small modules for each language and task, put into a frozen transformer (Pfeiffer et al. 2020,
arXiv:2005.00052).

A language adapter is trained by masked language modelling; a task adapter on top of it, with the language's frozen. At
transfer only the language adapter is swapped. The model's own weights are never written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from colonnade.multilingual.errors import MultilingualError, between, one_of


class Bottleneck(nn.Module):
    """x + U relu(D x), D to `size` dimensions; U is zero at first, so it changes nothing until it is trained."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(hidden, size), nn.Linear(size, hidden)
        nn.init.normal_(self.down.weight, std=0.02)
        for value in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(value)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(functional.relu(self.down(x)))  # type: ignore[no-any-return]


class Coupling(nn.Module):
    """An invertible map of even width (NICE, Dinh et al. 2015): one half is shifted by a function of the other, twice.

    Raises:
        MultilingualError: the width is odd.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        if hidden % 2:
            raise MultilingualError(f"hidden is {hidden}; an invertible adapter needs an even width")
        half = hidden // 2
        self.first, self.second = (
            nn.Sequential(nn.Linear(half, max(1, half // 2)), nn.ReLU(), nn.Linear(max(1, half // 2), half))
            for _ in "ab"
        )
        for part in (self.first, self.second):
            last = part[2]
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        a = a + self.first(b)
        return torch.cat([a, b + self.second(a)], dim=-1)

    def inverse(self, x: Tensor) -> Tensor:
        """The x that `forward` took."""
        a, b = x.chunk(2, dim=-1)
        b = b - self.second(a)
        return torch.cat([a - self.first(b), b], dim=-1)


class Adapter(nn.Module):
    """One language's or task's modules: a bottleneck in some layers, and for languages an invertible map."""

    def __init__(self, kind: str, hidden: int, layers: Sequence[int], size: int, invertible: bool) -> None:
        super().__init__()
        self.kind = kind
        self.bottlenecks = nn.ModuleDict({str(k): Bottleneck(hidden, size) for k in layers})
        self.coupling = Coupling(hidden) if invertible else None


class Adapted:
    """A transformer of the BERT family with adapters, by name; `active` are applied in their order.

    The adapters hang on hooks: `close` takes them off, and the model is what it was.

    Args:
        model: with `embeddings` and `encoder.layer[k].output`, itself or as its `base_model`.
    """

    def __init__(self, model: Any) -> None:
        base = getattr(model, "base_model", model)
        if not hasattr(base, "embeddings") or not hasattr(getattr(base, "encoder", None), "layer"):
            raise MultilingualError(f"adapters go into models of the BERT family; {type(model).__name__} is none")
        self.model, self.base = model, base
        self.adapters = nn.ModuleDict()
        self._active: list[str] = []
        self._hooks = [base.embeddings.register_forward_hook(self._after_embeddings)]
        for number, layer in enumerate(base.encoder.layer):
            self._hooks.append(layer.output.register_forward_hook(self._after_layer(number)))
        head = getattr(model, "cls", None) or getattr(model, "lm_head", None)
        if head is not None:
            # before the decoder, behind the transform: where the output meets the tied embeddings
            decoder = head.predictions.decoder if hasattr(head, "predictions") else head.decoder
            self._hooks.append(decoder.register_forward_pre_hook(self._before_output))

    def add(
        self, name: str, kind: str = "language", *, reduction: int = 0, drop_last: bool = False, seed: int = 0
    ) -> Adapter:
        """Add an adapter and make it active, on top of those that are.

        Args:
            name: of it.
            kind: "language" (invertible map, half the width) or "task" (a sixteenth).
            reduction: width over the bottleneck's; 0: the kind's.
            drop_last: leave out the last layer (MAD-X 2.0).
            seed: of its weights.

        Raises:
            MultilingualError: the name is taken or empty, or the kind unknown.
        """
        one_of("kind", kind, ("language", "task"))
        if not name.isidentifier() or name in self.adapters:
            raise MultilingualError(f"adapter {name!r} is taken, or no plain name (letters, digits, _)")
        config = self.base.config
        between("reduction", reduction, 0, config.hidden_size)
        size = max(1, config.hidden_size // (reduction or (2 if kind == "language" else 16)))
        layers = range(config.num_hidden_layers - int(drop_last))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = Adapter(kind, config.hidden_size, layers, size, kind == "language")
        self.adapters[name] = made
        self._active.append(name)
        return made

    @property
    def active(self) -> tuple[str, ...]:
        """Names, in the order in which they are applied."""
        return tuple(self._active)

    @active.setter
    def active(self, names: Sequence[str]) -> None:
        for name in names:
            one_of("adapter", name, self.adapters)
        self._active = list(names)

    def swap(self, old: str, new: str) -> None:
        """Put one adapter in the place of another: the transfer to another language.

        Raises:
            MultilingualError: the old one is not active, or there is no new one.
        """
        one_of("adapter", old, self._active)
        self.active = [new if name == old else name for name in self._active]

    def train_only(self, *names: str) -> list[nn.Parameter]:
        """Freeze everything but these adapters; their parameters come back."""
        for value in self.model.parameters():
            value.requires_grad_(False)
        for name, adapter in self.adapters.items():
            adapter.requires_grad_(name in names)
        return [value for name in names for value in self.adapters[name].parameters()]

    def save(self, name: str, path: Path) -> Path:
        """Write one adapter as safetensors.

        Raises:
            MultilingualError: there is none of that name.
        """
        from safetensors.torch import save_file

        one_of("adapter", name, self.adapters)
        adapter = self.adapters[name]
        layers = ",".join(adapter.bottlenecks)  # type: ignore[arg-type]
        save_file(adapter.state_dict(), path, {"kind": str(adapter.kind), "layers": layers})
        return path

    def load(self, name: str, path: Path) -> Adapter:
        """Read an adapter and make it active.

        Raises:
            MultilingualError: it was made for another width or number of layers.
        """
        from safetensors import safe_open
        from safetensors.torch import load_file

        with safe_open(path, "pt") as stored:
            about = stored.metadata() or {}
        weights = load_file(path)
        layers = about.get("layers", "").split(",")
        size = next((v.shape[0] for k, v in weights.items() if k.endswith("down.weight")), 1)
        config = self.base.config
        last = config.num_hidden_layers - 1
        made = self.add(
            name, about.get("kind", "task"), reduction=config.hidden_size // size, drop_last=str(last) not in layers
        )
        try:
            made.load_state_dict(weights)
        except RuntimeError:
            del self.adapters[name]
            self._active.remove(name)
            raise MultilingualError(f"adapter file {path.name!r} was made for another model") from None
        return made

    def close(self) -> None:
        """Take all adapters off the model."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    @contextmanager
    def off(self) -> Iterator[None]:
        """The plain model, for a while."""
        kept, self._active = self._active, []
        try:
            yield
        finally:
            self._active = kept

    def _after_embeddings(self, module: Any, inputs: Any, output: Tensor) -> Tensor:
        for name in self._active:
            if (coupling := self.adapters[name].coupling) is not None:
                output = coupling(output)  # type: ignore[operator]
        return output

    def _before_output(self, module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        for name in reversed(self._active):
            if (coupling := self.adapters[name].coupling) is not None:
                x = coupling.inverse(x)  # type: ignore[operator,call-arg]
        return (x, *inputs[1:])

    def _after_layer(self, number: int) -> Any:
        def hook(module: Any, inputs: Any, output: Tensor) -> Tensor:
            for name in self._active:
                bottlenecks = self.adapters[name].bottlenecks
                if str(number) in bottlenecks:  # type: ignore[operator]
                    output = bottlenecks[str(number)](output)  # type: ignore[index,operator]
            return output

        return hook
