"""Pruned models in transformers: saving, loading, Auto classes, pipelines, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertTokenizerFast,
    GPT2Config,
    GPT2Model,
    pipeline,
)

from colonnade.pruning import PrunedForSequenceClassification, PrunedForTokenClassification, PruningError, prune

from .conftest import FAMILIES, config, random_model, random_texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "the", "very", "not", "##s", "."]


@pytest.fixture
def tokenizer(tmp_path: Path) -> BertTokenizerFast:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"), model_max_length=128)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_it_is_the_same(family: str, tmp_path: Path) -> None:
    pruned = prune(random_model(family), [0.6, 0.8, 0.9], rows=16, protect=[7], bypass=4)
    pruned.set_dial(1.1)
    pruned.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert type(loaded) is PrunedForSequenceClassification
    assert loaded.encoder.rule == pruned.encoder.rule
    assert torch.equal(loaded.thresholds, pruned.thresholds)
    texts = random_texts([30, 3, 70], pruned.config.inner().pad_token_id)
    with torch.no_grad():
        one, other = (model(**texts, output_kept=True) for model in (pruned, loaded))
    assert torch.equal(one.kept, other.kept)
    assert (one.logits - other.logits).abs().max() < 1e-6


def test_the_other_auto_classes(tmp_path: Path) -> None:
    prune(random_model("bert", "tokens"), [0.6, 0.8, 0.9]).save_pretrained(tmp_path / "tokens")
    assert type(AutoModelForTokenClassification.from_pretrained(tmp_path / "tokens")) is PrunedForTokenClassification
    prune(random_model("bert", "body")).save_pretrained(tmp_path / "body")
    hidden = AutoModel.from_pretrained(tmp_path / "body")(**random_texts([7, 5])).last_hidden_state
    assert hidden.shape == (2, 7, 32)
    torch.manual_seed(0)
    reader = prune(AutoModelForQuestionAnswering.from_config(config("electra")).eval(), [0.5, 0.8, 0.9])
    reader.save_pretrained(tmp_path / "reader")
    found = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "reader").eval()(
        **random_texts([40, 9]), output_kept=True
    )
    assert found.start_logits.shape == (2, 40) and found.kept.shape == (2, 3, 40)
    with pytest.raises(PruningError, match="holds a PrunedForTokenClassification"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "tokens")


def test_pipelines_take_it(tmp_path: Path, tokenizer: BertTokenizerFast) -> None:
    model = AutoModelForSequenceClassification.from_config(config("bert", id2label={0: "bad", 1: "good"}))
    prune(model.eval(), [0.8, 0.9, 1.0]).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    answers = pipeline("text-classification", model=str(tmp_path / "m"))(["a very good film .", "not good"], top_k=None)
    assert {answer["label"] for answer in answers[0]} == {"bad", "good"}
    assert abs(sum(answer["score"] for answer in answers[0]) - 1) < 1e-5
    prune(random_model("bert", "tokens"), [0.8, 0.9, 1.0]).save_pretrained(tmp_path / "t")
    tokenizer.save_pretrained(tmp_path / "t")
    tags = pipeline("token-classification", model=str(tmp_path / "t"))("a very good film .")
    assert [tag["word"] for tag in tags] == ["a", "very", "good", "film", "."]


def test_labels_give_a_loss_and_half_a_model_trains() -> None:
    pruned = prune(random_model("bert"), [0.6, 0.8, 0.9]).train()
    out = pruned(**random_texts([9, 4]), labels=torch.tensor([0, 1]))
    out.loss.backward()
    assert torch.isfinite(out.loss)
    assert pruned.model.classifier.weight.grad.abs().sum() > 0
    assert pruned.encoder.layers()[0].attention.self.key.weight.grad.abs().sum() > 0


def test_architectures_that_cannot_be_pruned() -> None:
    with pytest.raises(PruningError, match=r"must be one of bert, roberta, distilbert, electra, mpnet, but is 'gpt2'"):
        prune(GPT2Model(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=9)))
    decoder = AutoModel.from_config(config("bert", is_decoder=True))
    with pytest.raises(PruningError, match="set up as a decoder"):
        prune(decoder)
    from transformers import BertForMaskedLM

    with pytest.raises(PruningError, match="head of BertForMaskedLM is not supported"):
        prune(BertForMaskedLM(config("bert")))
    broken = random_model("bert")
    with torch.no_grad():
        broken.classifier.bias[0] = torch.nan
    with pytest.raises(PruningError, match=r"weight classifier\.bias holds values that are no finite numbers"):
        prune(broken)


def test_it_is_known_by_its_configuration() -> None:
    pruned = prune(random_model("mpnet"), rows=None)
    again = AutoConfig.for_model(
        "colonnade-pruned", **{k: v for k, v in pruned.config.to_dict().items() if k != "model_type"}
    )
    assert again.rows is None and again.inner().model_type == "mpnet"
