"""Adapting: adapters leave the base as it is, couplings invert, vocabularies keep what they share, rotations align."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, adapt, data, encoders, tokens
from colonnade.multilingual.pretrain import PackedBert, Plan, Specials, save_folder, to_transformers

PLAN = Plan(layers=2, hidden=16, heads=2, feedforward=32, width=32, tokens=64, steps=1)
SPECIALS = Specials(0, 1, 2, 3, 4)
ENGLISH = ["the cat sat on the mat", "a dog saw the cat", "the dog sat here", "cats and dogs sat on mats"] * 8


def model():  # type: ignore[no-untyped-def]
    return to_transformers(PackedBert(PLAN, 60))


def logits(found, ids=(2, 7, 9, 30, 3)):  # type: ignore[no-untyped-def]
    import torch

    with torch.no_grad():
        return found(input_ids=torch.tensor([ids])).logits


def shaken(adapter) -> None:  # type: ignore[no-untyped-def]
    import torch

    with torch.no_grad():
        for value in adapter.parameters():
            value.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))


def test_couplings_invert_and_are_the_identity_at_first() -> None:
    import torch

    x = torch.randn(7, 16, generator=torch.Generator().manual_seed(0))
    made = adapt.Coupling(16)
    assert (made(x) == x).all()
    shaken(made)
    assert (made(x) - x).abs().max() > 0.1
    assert (made.inverse(made(x)) - x).abs().max() < 1e-5
    with pytest.raises(MultilingualError, match="even width"):
        adapt.Coupling(15)


def test_adapters_stack_and_swap_and_leave_the_base_bit_identical(tmp_path: Path) -> None:
    import torch

    found = model()
    weights = {name: value.clone() for name, value in found.state_dict().items()}
    plain = logits(found)
    hung = adapt.Adapted(found)
    hung.add("eng"), hung.add("pos", "task")
    assert (logits(found) == plain).all()  # identity at first
    for name in ("eng", "pos"):
        shaken(hung.adapters[name])
    with_english = logits(found)
    hung.active = ["pos"]
    hung.add("fin", seed=1)
    shaken(hung.adapters["fin"].bottlenecks)
    hung.active = ["eng", "pos"]
    task = {name: value.clone() for name, value in hung.adapters["pos"].state_dict().items()}
    hung.swap("eng", "fin")
    assert hung.active == ("fin", "pos") and not torch.allclose(logits(found), with_english)
    hung.swap("fin", "eng")
    assert (logits(found) == with_english).all()
    assert all((value == task[name]).all() for name, value in hung.adapters["pos"].state_dict().items())
    with hung.off():
        assert (logits(found) == plain).all()
    path = hung.save("eng", tmp_path / "eng.safetensors")
    hung.close()
    assert (logits(found) == plain).all()
    assert all((value == weights[name]).all() for name, value in found.state_dict().items())
    other = adapt.Adapted(model())
    other.load("english", path)
    hung_alone = adapt.Adapted(found)
    hung_alone.load("english", path)
    assert (logits(found) == logits(other.model)).all()
    with pytest.raises(MultilingualError, match="must be one of english"):
        other.swap("fin", "english")


def test_only_the_adapter_learns() -> None:
    rng = np.random.default_rng(0)
    lines = [rng.integers(5, 20, 8).tolist() for _ in range(20)]
    found = model()
    weights = {name: value.clone() for name, value in found.state_dict().items()}
    hung = adapt.Adapted(found)
    hung.add("lang")
    before = adapt.masked_loss(found, lines, SPECIALS)
    parameters = hung.train_only("lang")
    adapt.continue_pretraining(found, lines, SPECIALS, steps=40, tokens=128, rate=2e-2, parameters=parameters)
    # tied embeddings of 0.02 are frozen, so logits stay small
    assert adapt.masked_loss(found, lines, SPECIALS) < before - 0.04
    assert all((value == weights[name]).all() for name, value in found.state_dict().items())


def test_continued_pretraining_computes_the_loss_of_transformers() -> None:
    import torch

    from colonnade.multilingual.adapt.continued import _loss
    from colonnade.multilingual.pretrain import mask

    found, row = model(), [2, 7, 9, 30, 31, 32, 33, 3]
    ids, labels = np.array([row]), torch.full((1, 8), -100)
    free = ~np.isin(ids, [0, 1, 2, 3, 4])
    seen, where, truth = mask(ids, free, np.full(ids.shape, 4), np.arange(5, 60), np.random.default_rng(5))
    labels[0, where] = torch.from_numpy(truth)
    with torch.no_grad():
        theirs = found(input_ids=torch.from_numpy(seen), labels=labels).loss
        ours = _loss(found, [row], SPECIALS, np.random.default_rng(5))
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed")
def test_lora_merges_into_the_same_function() -> None:
    found = model()
    plain = logits(found)
    added = adapt.add_lora(found, rank=4)
    assert (logits(added) == plain).all()
    learning = [name for name, value in added.named_parameters() if value.requires_grad]
    assert learning and all("lora" in name for name in learning)
    shaken_values = [value for value in added.parameters() if value.requires_grad]
    import torch

    with torch.no_grad():
        for value in shaken_values:
            value.normal_(0, 0.2)
    apart = logits(added)
    assert not torch.allclose(apart, plain) and torch.allclose(logits(adapt.merge_lora(added)), apart, atol=1e-5)


# --- vocabularies -------------------------------------------------------------------------------


def test_sparsemax_is_the_projection_onto_the_simplex() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 12))
    p = adapt.sparsemax(scores)
    assert np.allclose(p.sum(axis=1), 1) and (p >= 0).all() and (p == 0).any()
    for s, q in zip(scores, p, strict=True):  # optimality: s - q is one constant on the support, and less elsewhere
        gap = s - q
        assert np.ptp(gap[q > 0]) < 1e-12 and (gap[q == 0] <= gap[q > 0][0] + 1e-12).all()


def test_focus_keeps_shared_pieces_exactly_and_mixes_the_rest_of_them() -> None:
    rng = np.random.default_rng(0)
    old_pieces, new_pieces = ["a", "b", "c", "d"], ["d", "x", "b", "y"]
    old = rng.normal(size=(4, 5)).astype(np.float32)
    near = np.array([[1.0, 0], [0.9, 0.05], [0, 1], [0, 0]])
    found = adapt.renew_embeddings(old_pieces, old, new_pieces, "focus", auxiliary=near)
    assert (found.vectors[0] == old[3]).all() and (found.vectors[2] == old[1]).all()
    assert found.copied.tolist() == [True, False, True, False]
    weights = adapt.sparsemax(np.array([[near[1] @ near[0], near[1] @ near[2]]]) / np.linalg.norm(near[1]))[0]
    np.testing.assert_allclose(found.vectors[1], weights[0] * old[3] + weights[1] * old[1], rtol=1e-5)
    np.testing.assert_allclose(found.vectors[3], old.mean(axis=0), rtol=1e-6)
    assert "1 new pieces never occur" in found.notes[0]
    for method in ("mean", "copy"):
        assert (adapt.renew_embeddings(old_pieces, old, new_pieces, method).vectors[[0, 2]] == old[[3, 1]]).all()
    with pytest.raises(MultilingualError, match="one tokenizer is another model's"):
        adapt.renew_embeddings(old_pieces[:3], old, new_pieces, "mean")


def test_the_same_vocabulary_leaves_the_model_bit_identical() -> None:
    found, pieces = model(), [str(i) for i in range(60)]
    before = logits(found)
    old = found.get_input_embeddings().weight.detach().numpy().copy()
    renewed = adapt.renew_embeddings(pieces, old, pieces, "focus", auxiliary=np.ones((60, 3)))
    adapt.replace_vocabulary(found, renewed.vectors, {i: i for i in range(60)})
    assert (logits(found) == before).all()


def test_wechsel_finds_the_translation_after_a_rotation() -> None:
    rng = np.random.default_rng(1)
    n, d = 40, 6
    theirs = rng.normal(size=(n, d))
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    order = rng.permutation(n)
    pieces, words = [f"e{i}" for i in range(n)], [f"f{i}" for i in order]
    old = rng.normal(size=(n, 8)).astype(np.float32)
    lexicon = [(f"e{i}", f"f{i}") for i in range(20)]
    found = adapt.renew_embeddings(
        pieces, old, words, "wechsel", auxiliary=(theirs @ rotation)[order], old_auxiliary=theirs, dictionary=lexicon
    )
    nearest = np.argmax(
        (found.vectors @ old.T) / np.linalg.norm(found.vectors, axis=1)[:, None] / np.linalg.norm(old, axis=1), axis=1
    )
    assert (nearest == order).mean() > 0.9
    with pytest.raises(MultilingualError, match="dictionary pairs found in both vocabularies"):
        adapt.renew_embeddings(pieces, old, words, "wechsel", auxiliary=theirs, old_auxiliary=theirs)


def test_static_vectors_put_pieces_of_like_use_together() -> None:
    rng = np.random.default_rng(0)
    text = [[int(rng.choice([5, 6])), 7, int(rng.choice([8, 9])), 10] for _ in range(300)]
    vectors = adapt.static_vectors(text, 12, dimension=4, window=1)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    assert unit[5] @ unit[6] > 0.9 and unit[5] @ unit[6] > unit[5] @ unit[7] + 0.3
    assert (vectors[11] == 0).all()


def test_extending_saves_pieces_and_leaves_other_text_as_it_was() -> None:
    tokenizer = tokens.train_bpe(ENGLISH, 300)
    finnish = ["kissa istui matolla"] * 5
    larger, cut = adapt.extend(tokenizer, finnish, 10)
    assert larger.get_vocab_size() == tokenizer.get_vocab_size() + 3 and len(cut) == 3
    short = larger.encode(finnish[0], add_special_tokens=False).ids
    assert len(short) == 3 < len(tokenizer.encode(finnish[0], add_special_tokens=False).ids)
    assert larger.encode(ENGLISH[0]).ids == tokenizer.encode(ENGLISH[0]).ids


# --- alignment and the pipeline -----------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> encoders.TransformerEncoder:
    tokenizer = tokens.train_bpe(ENGLISH, 300)
    folder = save_folder(PackedBert(PLAN, 300).eval(), tokenizer, tmp_path_factory.mktemp("m") / "tiny")
    return encoders.TransformerEncoder.from_folder(folder)


def numbered(words: list[str], count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(words[i] for i in rng.integers(0, len(words), 6)) for _ in range(count)]


def test_a_rotation_recovers_a_rotation() -> None:
    class Turned(encoders.Encoder):
        name, depth, dimension = "turned", 0, 8
        table = np.random.default_rng(0).normal(size=(400, 8))
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]

        def _sentences(self, texts, layers):  # type: ignore[no-untyped-def]
            rows = np.array([self.table[int(t[1:])] @ (self.turn if t[0] == "f" else np.eye(8)) for t in texts])
            return dict.fromkeys(layers, rows)

    found = Turned()
    fitted = adapt.align_by_procrustes(found, [f"f{i}" for i in range(200)], [f"e{i}" for i in range(200)], keep=0)
    mapped = fitted.sentences([f"f{i}" for i in range(200, 400)])[0]
    truth = found.sentences([f"e{i}" for i in range(200, 400)])[0]
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    assert (np.argmax(mapped @ truth.T, axis=1) == np.arange(200)).all()
    with pytest.raises(MultilingualError, match="translations come in pairs"):
        adapt.align_by_procrustes(found, ["f1"], ["e1", "e2"])


def test_contrast_trains_the_adapter_only(encoder: encoders.TransformerEncoder) -> None:
    words, other = ["cat", "dog", "sat", "mat", "here", "saw"], ["kissa", "koira", "istui", "matto", "taas", "näki"]
    source, target = numbered(other, 60), numbered(words, 60)
    hung = adapt.Adapted(encoder.model)
    weights = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    hung.add("fin")
    losses = adapt.align_by_contrast(encoder, source, target, hung.train_only("fin"), epochs=6, rate=1e-2)
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.2
    hung.close()
    assert all((value == weights[name]).all() for name, value in encoder.model.state_dict().items())


def test_diagnosis_and_advice(encoder: encoders.TransformerEncoder) -> None:
    words, other = ["cat", "dog", "sat", "mat"], ["кошка", "собака", "сидел", "мат"]
    text = data.Parallel({"eng": numbered(words, 40), "rus": numbered(other, 40)})
    found = adapt.diagnose(encoder, text, "eng", "rus")
    assert found.audit is not None and found.audit.parity is not None and found.audit.parity > 2
    steps = [step for step, _ in adapt.recommend(found, pairs=300, lines=500, head=True)]
    assert steps == ["vocabulary", "adapter", "contrast"]
    assert [step for step, _ in adapt.recommend(found, pairs=50)] == ["procrustes"]
    assert [step for step, _ in adapt.recommend(found, pairs=3)] == ["nothing"]


@pytest.mark.skipif(find_spec("uroman") is None, reason="uroman is not installed")
def test_romanising() -> None:
    assert adapt.romanise(["кошка", "cat"]) == ["koshka", "cat"]
