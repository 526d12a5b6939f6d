"""A pretrained model as a folder that Hugging Face programs read: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from colonnade.multilingual.errors import MultilingualError
from colonnade.multilingual.pretrain.corpus import Specials
from colonnade.multilingual.pretrain.model import PackedBert


def to_transformers(model: PackedBert) -> Any:
    """The same model as `transformers.BertForMaskedLM`."""
    from transformers import BertConfig, BertForMaskedLM

    plan = model.plan
    config = BertConfig(
        vocab_size=model.word.num_embeddings,
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        intermediate_size=plan.feedforward,
        max_position_embeddings=model.position.num_embeddings,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-12,
    )
    found = BertForMaskedLM(config)
    missing, unexpected = found.load_state_dict(_weights(model), strict=False)
    if unexpected or any("position_ids" not in name and "decoder" not in name for name in missing):
        raise MultilingualError(f"this version of transformers names BERT's weights otherwise: {missing}, {unexpected}")
    found.tie_weights()
    return found.eval()


def save_folder(model: PackedBert, tokenizer: Any, folder: Path) -> Path:
    """Write the model with its tokenizer, which puts the special pieces around each text.

    Raises:
        MultilingualError: the tokenizer is another model's.
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    if tokenizer.get_vocab_size() > model.word.num_embeddings:
        raise MultilingualError(
            f"the tokenizer has {tokenizer.get_vocab_size()} pieces but the model {model.word.num_embeddings} vectors: "
            "it is the tokenizer of another model"
        )
    specials = Specials.of(tokenizer)
    begin, end = (tokenizer.id_to_token(index) for index in (specials.begin, specials.end))
    found = to_transformers(model)
    found.config.pad_token_id = specials.pad
    found.save_pretrained(folder)
    own = Tokenizer.from_str(tokenizer.to_str())
    own.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B {end}",
        special_tokens=[(begin, specials.begin), (end, specials.end)],
    )
    own.save(str(folder / "tokenizer.json"))
    return folder


def _weights(model: PackedBert) -> dict[str, Any]:
    hidden = model.plan.hidden
    names = {
        "bert.embeddings.word_embeddings.weight": model.word.weight,
        "bert.embeddings.position_embeddings.weight": model.position.weight,
        "bert.embeddings.token_type_embeddings.weight": torch.zeros(1, hidden),
        "cls.predictions.bias": model.bias,
        "cls.predictions.decoder.bias": model.bias,
        "cls.predictions.decoder.weight": model.word.weight,
    }
    parts: dict[str, Any] = {
        "bert.embeddings.LayerNorm": model.norm,
        "cls.predictions.transform.dense": model.transform,
        "cls.predictions.transform.LayerNorm": model.transform_norm,
    }
    for number, layer in enumerate(model.layers):
        base = f"bert.encoder.layer.{number}"
        for place, name in enumerate(("query", "key", "value")):
            part = slice(place * hidden, (place + 1) * hidden)
            names[f"{base}.attention.self.{name}.weight"] = layer.qkv.weight[part]  # type: ignore[union-attr,index]
            names[f"{base}.attention.self.{name}.bias"] = layer.qkv.bias[part]  # type: ignore[union-attr,index]
        parts |= {
            f"{base}.attention.output.dense": layer.out,
            f"{base}.attention.output.LayerNorm": layer.norm1,
            f"{base}.intermediate.dense": layer.up,
            f"{base}.output.dense": layer.down,
            f"{base}.output.LayerNorm": layer.norm2,
        }
    for name, part in parts.items():
        names[f"{name}.weight"], names[f"{name}.bias"] = part.weight, part.bias
    return {name: value.detach().clone() for name, value in names.items()}
