"""The five encoder families: where each keeps its projections, and how its layers differ.

All are post-norm encoders whose layers act on each token alone but for the attention. So a family is told by four
small functions that take tokens in any leading shape, and every executor (padded, packed, exported) shares them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from colonnade.pruning.errors import PruningError


class Family(ABC):
    """How to walk through one encoder body (a `BertModel`, a `DistilBertModel`, ...).

    Args:
        body: the base model without its head.
    """

    takes_segments: ClassVar[bool] = False
    first_position: int = 0

    def __init__(self, body: Any) -> None:
        self.heads: int = body.config.num_attention_heads
        self.width: int = body.config.hidden_size

    @abstractmethod
    def layers(self, body: Any) -> nn.ModuleList:
        """The encoder's layers in order."""

    @abstractmethod
    def projections(self, layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The modules that make queries, keys and values."""

    @abstractmethod
    def attended(self, layer: Any, context: Tensor, x: Tensor) -> Tensor:
        """What the attention block hands to the feed-forward block, from the heads' outputs [..., d] and its input."""

    @abstractmethod
    def feed_forward(self, layer: Any, a: Tensor) -> Tensor:
        """The layer's output for tokens [..., d] that went through its attention block."""

    def embed(self, body: Any, ids: Tensor, positions: Tensor, segments: Tensor | None) -> Tensor:
        """Embeddings [..., d] of tokens, given their places 0, 1, 2 ... in their own text."""
        given = {"token_type_ids": torch.zeros_like(ids) if segments is None else segments}
        embedded: Tensor = body.embeddings(
            input_ids=ids, position_ids=positions + self.first_position, **(given if self.takes_segments else {})
        )
        return embedded

    def bias(self, body: Any, queries: Tensor, keys: Tensor) -> Tensor | None:
        """What is added to the logits [..., heads, queries, keys] because of the places of the tokens."""
        return None

    def attention_dropout(self, body: Any) -> float:
        """The dropout of attention probabilities in training."""
        return float(body.config.attention_probs_dropout_prob)

    def max_tokens(self, body: Any) -> int:
        """The longest text in tokens that the positions of the model can tell apart."""
        return int(body.config.max_position_embeddings) - self.first_position


class Bert(Family):
    takes_segments = True

    def layers(self, body: Any) -> nn.ModuleList:
        return body.encoder.layer  # type: ignore[no-any-return]

    def projections(self, layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
        block = layer.attention.self
        return block.query, block.key, block.value

    def attended(self, layer: Any, context: Tensor, x: Tensor) -> Tensor:
        return layer.attention.output(context, x)  # type: ignore[no-any-return]

    def feed_forward(self, layer: Any, a: Tensor) -> Tensor:
        return layer.output(layer.intermediate(a), a)  # type: ignore[no-any-return]


class Electra(Bert):
    def embed(self, body: Any, ids: Tensor, positions: Tensor, segments: Tensor | None) -> Tensor:
        embedded = super().embed(body, ids, positions, segments)
        return body.embeddings_project(embedded) if hasattr(body, "embeddings_project") else embedded


class Roberta(Bert):
    def __init__(self, body: Any) -> None:
        super().__init__(body)
        self.first_position = body.config.pad_token_id + 1


class DistilBert(Family):
    def attention_dropout(self, body: Any) -> float:
        return float(body.config.attention_dropout)

    def layers(self, body: Any) -> nn.ModuleList:
        return body.transformer.layer  # type: ignore[no-any-return]

    def projections(self, layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
        block = layer.attention
        return block.q_lin, block.k_lin, block.v_lin

    def attended(self, layer: Any, context: Tensor, x: Tensor) -> Tensor:
        return layer.sa_layer_norm(layer.attention.out_lin(context) + x)  # type: ignore[no-any-return]

    def feed_forward(self, layer: Any, a: Tensor) -> Tensor:
        return layer.output_layer_norm(layer.ffn(a) + a)  # type: ignore[no-any-return]


class MPNet(Family):
    first_position = 2  # the model fixes its padding index at 1

    def layers(self, body: Any) -> nn.ModuleList:
        return body.encoder.layer  # type: ignore[no-any-return]

    def projections(self, layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
        block = layer.attention.attn
        return block.q, block.k, block.v

    def attended(self, layer: Any, context: Tensor, x: Tensor) -> Tensor:
        block = layer.attention
        return block.LayerNorm(block.dropout(block.attn.o(context)) + x)  # type: ignore[no-any-return]

    def feed_forward(self, layer: Any, a: Tensor) -> Tensor:
        return layer.output(layer.intermediate(a), a)  # type: ignore[no-any-return]

    def bias(self, body: Any, queries: Tensor, keys: Tensor) -> Tensor:
        """Relative-position bias; it follows the tokens' places in the text, not their ranks among survivors."""
        encoder = body.encoder
        apart = keys.unsqueeze(-2) - queries.unsqueeze(-1)
        buckets = encoder.relative_position_bucket(apart, num_buckets=body.config.relative_attention_num_buckets)
        return encoder.relative_attention_bias(buckets).movedim(-1, -3)  # type: ignore[no-any-return]


FAMILIES: dict[str, type[Family]] = {
    "bert": Bert,
    "roberta": Roberta,
    "distilbert": DistilBert,
    "electra": Electra,
    "mpnet": MPNet,
}


def supported(model_type: str, config: Any) -> None:
    """Refuse what is no plain encoder of a known family.

    Raises:
        PruningError: says which architectures are supported.
    """
    if model_type not in FAMILIES:
        raise PruningError(
            f"architecture must be one of {', '.join(FAMILIES)}, but is {model_type!r}; "
            "decoders keep a cache of every token and cannot drop any."
        )
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise PruningError(f"architecture must be a plain encoder, but this {model_type} is set up as a decoder.")


def family_of(body: Any) -> Family:
    """The family of an encoder body.

    Raises:
        PruningError: it is not supported.
    """
    supported(body.config.model_type, body.config)
    return FAMILIES[body.config.model_type](body)
