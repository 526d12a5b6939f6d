"""BERT on packed rows (Devlin et al. 2019, arXiv:1810.04805), computing no more than what is asked for.

The weights are BERT's (post-norm, exact GELU, tied output); what differs is the work: keys, queries and values in one
product, sentences packed into rows, the last layer's feed-forward and the output over the vocabulary at predicted
places only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from colonnade.multilingual._types import IntArray
from colonnade.multilingual.pretrain.batches import IGNORED, Batch
from colonnade.multilingual.pretrain.plan import Plan


class Layer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised."""

    def __init__(self, hidden: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden, eps=1e-12)
        self.up = nn.Linear(hidden, feedforward)
        self.down = nn.Linear(feedforward, hidden)
        self.norm2 = nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, x: Tensor, allowed: Tensor, where: Tensor | None = None) -> Tensor:
        """(r, w, d) to (r, w, d), or to (places, d) where only these are wanted."""
        rows, width, hidden = x.shape
        split = self.qkv(x).view(rows, width, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=allowed)
        mixed = mixed.transpose(1, 2).reshape(rows, width, hidden)
        if where is not None:
            mixed, x = mixed.view(-1, hidden)[where], x.reshape(-1, hidden)[where]
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))  # type: ignore[no-any-return]


class PackedBert(nn.Module):
    """A BERT with its masked-language-model head.

    Args:
        plan: gives the architecture.
        vocabulary: ids.
        positions: position embeddings; None: the plan's width.
    """

    def __init__(self, plan: Plan, vocabulary: int, positions: int | None = None) -> None:
        super().__init__()
        self.plan = plan
        hidden = plan.hidden
        self.word = nn.Embedding(vocabulary, hidden)
        self.position = nn.Embedding(positions or plan.width, hidden)
        self.norm = nn.LayerNorm(hidden, eps=1e-12)
        self.layers = nn.ModuleList(Layer(hidden, plan.heads, plan.feedforward) for _ in range(plan.layers))
        self.transform = nn.Linear(hidden, hidden)
        self.transform_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        generator = torch.Generator().manual_seed(plan.seed)
        for name, value in self.named_parameters():
            if value.dim() > 1:
                value.data.normal_(0, 0.02, generator=generator)
            elif name.endswith("bias"):
                value.data.zero_()

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings (r, w, d), and which piece may see which, as a bias of the attention (r, 1, w, w)."""
        ids, positions = torch.from_numpy(batch.ids), torch.from_numpy(batch.positions)
        segments = torch.from_numpy(batch.segments)
        same = segments.unsqueeze(2) == segments.unsqueeze(1)
        if batch.causal:
            same = same & torch.ones(same.shape[1:], dtype=torch.bool).tril()
        allowed = torch.zeros(same.shape).masked_fill_(~same, float("-inf")).unsqueeze(1)
        return self.norm(self.word(ids) + self.position(positions)), allowed

    def hidden(self, batch: Batch) -> list[Tensor]:
        """States (r, w, d) of all layers, 0 the embeddings."""
        x, allowed = self.embed(batch)
        found = [x]
        for layer in self.layers:
            found.append(layer(found[-1], allowed))
        return found

    def logits(self, batch: Batch) -> Tensor:
        """Scores (places, vocabulary) at `batch.where`."""
        x, allowed = self.embed(batch)
        where = torch.from_numpy(batch.where)
        for layer in self.layers[:-1]:
            x = layer(x, allowed)
        x = self.layers[-1](x, allowed, where)
        x = self.transform_norm(functional.gelu(self.transform(x)))
        return functional.linear(x, self.word.weight, self.bias)

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of the batch's objective."""
        if batch.objective == "contrastive":
            return contrastive_loss(self.pooled(batch), self.plan.margin, self.plan.scale)
        return functional.cross_entropy(self.logits(batch), torch.from_numpy(batch.labels))

    def pooled(self, batch: Batch) -> Tensor:
        """Means over the pieces of each sentence (sentences, d) at the last layer."""
        return pool(self.hidden(batch)[-1], batch.segments, batch.sentences)


def pool(states: Tensor, segments: IntArray, sentences: int) -> Tensor:
    """Mean state (sentences, d) of each segment, the padding's left out."""
    owner = torch.from_numpy(segments).reshape(-1)
    flat = states.reshape(-1, states.shape[-1])
    sums = flat.new_zeros(sentences + 1, flat.shape[1]).index_add(0, owner, flat)
    counts = torch.bincount(owner, minlength=sentences + 1).clamp_min(1).unsqueeze(1)
    return (sums / counts)[IGNORED + 1 :]


def contrastive_loss(pooled: Tensor, margin: float, scale: float) -> Tensor:
    """Additive-margin softmax over in-batch negatives, both directions (Yang et al. 2019; Feng et al. 2022,
    arXiv:2007.01852, eq. 1-2); rows 2k and 2k + 1 are translations."""
    unit = functional.normalize(pooled, dim=1)
    cosines = unit[0::2] @ unit[1::2].T
    scores = scale * (cosines - margin * torch.eye(len(cosines)))
    truth = torch.arange(len(scores))
    return (functional.cross_entropy(scores, truth) + functional.cross_entropy(scores.T, truth)) / 2
