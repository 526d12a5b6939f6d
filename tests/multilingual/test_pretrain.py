"""Pretraining against closed forms: samplers, masking, packing, objectives, resuming, controlled languages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, data, encoders, tokens
from colonnade.multilingual.pretrain import (
    SETTINGS,
    Batch,
    Corpus,
    PackedBert,
    Plan,
    Specials,
    Written,
    controlled,
    encode,
    experiment,
    judge,
    mask,
    mixing,
    pack,
    relabelled,
    sampling_probabilities,
    save_folder,
    to_transformers,
    train,
    unimax,
)
from colonnade.multilingual.pretrain.batches import Batches, assemble, double, single

SPECIALS = Specials(0, 1, 2, 3, 4)
TINY = Plan(layers=2, hidden=16, heads=2, feedforward=32, width=32, tokens=192, steps=8, rate=3e-3)


def lines(count: int, seed: int = 0, vocabulary: int = 60) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, vocabulary, rng.integers(4, 12)).tolist() for _ in range(count)]


def corpus(count: int = 60) -> Corpus:
    text = lines(count)
    written = tuple(Written.of(name, text, SPECIALS) for name in ("a", "b"))
    return Corpus(written, 60, np.arange(5, 60), ((0, 1),))


# --- sampling -----------------------------------------------------------------------------------


def test_exponent_sampling_is_its_closed_form_and_the_draws_follow_it() -> None:
    sizes = {"eng": 1e6, "fin": 1e4, "mlt": 1e2}
    q = sampling_probabilities(sizes, 0.3)
    assert list(q.values()) == pytest.approx([0.76087, 0.19112, 0.04801], abs=1e-5)
    assert sampling_probabilities(sizes, 0) == pytest.approx(dict.fromkeys(sizes, 1 / 3))
    assert sampling_probabilities(sizes, 1)["mlt"] == pytest.approx(1e2 / 1010100)
    text = {name: Written.of(name, lines(n, n), SPECIALS) for name, n in {"big": 300, "small": 30}.items()}
    made = Batches(Corpus(tuple(text.values()), 60, np.arange(5, 60)), replace(TINY, alpha=0.5))
    for step in range(300):
        made.batch(step)
    drawn, total = made.state[0], sum(made.state)
    p = 10**0.5 / (10**0.5 + 1)
    assert abs(drawn / total - p) < 4 * (p * (1 - p) / total) ** 0.5


def test_unimax_caps_epochs_and_is_even_otherwise() -> None:
    q = unimax({"eng": 1000, "fin": 100, "mlt": 10}, budget=300, epochs=2)
    assert q == pytest.approx({"eng": 140 / 300, "fin": 140 / 300, "mlt": 20 / 300})
    capped = unimax({"a": 10, "b": 20}, budget=1000, epochs=3)  # the budget cannot be spent: every language is capped
    assert capped == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    report = mixing({"eng": 1000, "mlt": 1}, {"eng": 0.5, "mlt": 0.5}, 1000)
    assert report.epochs == (0.5, 500) and "mlt is seen 500 times" in report.warnings[0]
    with pytest.raises(MultilingualError, match="language x has 0 sentences"):
        sampling_probabilities({"x": 0, "y": 1}, 0.3)
    with pytest.raises(MultilingualError, match="alpha is -1; it must be between 0 and 1"):
        sampling_probabilities({"x": 1}, -1)


# --- batches ------------------------------------------------------------------------------------


def test_masking_shares() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(10, 1000, 1_000_000)
    free = rng.random(len(ids)) < 0.9
    seen, where, labels = mask(ids, free, np.full(len(ids), 4), np.arange(1000, 2000), rng)
    n = int(free.sum())
    assert (
        free[where].all() and (ids[where] == labels).all() and (np.delete(seen, where) == np.delete(ids, where)).all()
    )
    assert abs(len(where) - 0.15 * n) < 4 * (n * 0.15 * 0.85) ** 0.5
    k, fates = len(where), [(seen[where] == 4).sum(), (seen[where] >= 1000).sum(), (seen[where] == labels).sum()]
    for count, p in zip(fates, (0.8, 0.1, 0.1), strict=True):
        assert abs(count - p * k) < 4 * (k * p * (1 - p)) ** 0.5


def test_rows_are_full_and_hold_every_sentence_once() -> None:
    lengths = [int(n) for n in np.random.default_rng(1).integers(3, 60, 500)]
    rows = pack(lengths, 128)
    assert sorted(i for row in rows for i in row) == list(range(500))
    assert max(sum(lengths[i] for i in row) for row in rows) <= 128
    assert sum(lengths) / (128 * len(rows)) > 0.97


def test_translation_pairs_count_positions_anew_and_special_pieces_are_not_masked() -> None:
    made = corpus()
    one = double(*made.languages, 3, 32)
    n = len(made.languages[0].line(3))
    assert one.positions.tolist() == [*range(n + 2), *range(n + 1)]
    assert not one.free[[0, n + 1, -1]].any() and one.free.sum() == 2 * n
    batch = Batches(made, replace(TINY, objectives={"tlm": 1.0})).batch(0)
    assert (batch.labels >= 5).all() and batch.objective == "tlm"


def packed(objective: str) -> tuple[PackedBert, Batch]:
    made = corpus()
    sentences = [single(made.languages[0], i, 32) for i in range(12)]
    return PackedBert(TINY, 60).eval(), assemble(objective, sentences, TINY, made.alphabet, (0,))


def test_packed_rows_compute_what_transformers_computes_sentence_by_sentence() -> None:
    import torch

    model, batch = packed("mlm")
    peer = to_transformers(model)
    logits, hidden = model.logits(batch).detach().numpy(), model.hidden(batch)
    for number in range(1, 13):
        places = np.flatnonzero(batch.segments.ravel() == number)
        with torch.no_grad():
            one = peer(input_ids=torch.from_numpy(batch.ids.ravel()[places])[None], output_hidden_states=True)
        for layer, state in enumerate(one.hidden_states):
            np.testing.assert_allclose(hidden[layer].reshape(-1, 16)[places].detach(), state[0], atol=2e-6)
        for row in np.flatnonzero(np.isin(batch.where, places)):
            place = int(np.flatnonzero(places == batch.where[row])[0])
            np.testing.assert_allclose(logits[row], one.logits[0, place], atol=2e-6)


def test_causal_pieces_do_not_see_what_follows() -> None:
    model, batch = packed("clm")
    before = model.logits(batch).detach().numpy()
    assert (batch.labels == batch.ids.ravel()[batch.where + 1]).all()
    place = int(batch.where[3])
    changed = batch.ids.copy()
    changed.ravel()[place] = 59 if changed.ravel()[place] != 59 else 58
    after = model.logits(replace(batch, ids=changed)).detach().numpy()
    same = np.abs(after - before).max(axis=1) < 1e-7
    mine = batch.segments.ravel()[batch.where] == batch.segments.ravel()[place]
    assert (same == ~(mine & (batch.where >= place))).all()


def test_contrastive_loss_is_its_formula() -> None:
    import torch

    from colonnade.multilingual.pretrain.model import contrastive_loss

    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 4)))
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    x, y, total = unit[0::2].numpy(), unit[1::2].numpy(), 0.0
    for a, b in ((x, y), (y, x)):
        for i in range(5):
            right = np.exp(20 * (a[i] @ b[i] - 0.3))
            total -= np.log(right / (right + sum(np.exp(20 * (a[i] @ b[j])) for j in range(5) if j != i)))
    assert float(contrastive_loss(vectors, 0.3, 20.0)) == pytest.approx(total / 10)


# --- training -----------------------------------------------------------------------------------


def test_a_run_goes_on_to_the_bit_and_checkpoints_survive_json() -> None:
    plan = replace(TINY, objectives={"mlm": 1.0, "tlm": 1.0, "clm": 0.5, "contrastive": 1.0}, steps=12)
    kept: list[dict] = []
    whole = train(plan, corpus(), checkpoint=kept.append, every=5)
    rest = {key: value for key, value in kept[0].items() if not isinstance(value, np.ndarray)}
    state = kept[0] | json.loads(json.dumps(rest))
    again = train(plan, corpus(), resume=state)
    assert whole.losses.tolist() == again.losses.tolist() and whole.tokens == again.tokens
    assert set(whole.objectives) == {"mlm", "tlm", "clm", "contrastive"}
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert (one == other).all()
    with pytest.raises(MultilingualError, match="does not fit this plan"):
        train(replace(plan, hidden=32), corpus(), resume=state)


def test_the_loss_falls() -> None:
    repeated = Written.of("a", lines(4) * 10, SPECIALS)
    found = train(replace(TINY, steps=60, rate=1e-2), Corpus((repeated,), 60, np.arange(5, 60)))
    assert found.losses[-5:].mean() < found.losses[:5].mean() - 0.5


def test_a_bijective_relabelling_has_the_same_loss_curve() -> None:
    import torch

    table = np.random.default_rng(3).permutation(60)
    plain, other = PackedBert(TINY, 60), PackedBert(TINY, 60)
    with torch.no_grad():
        other.word.weight[torch.from_numpy(table)] = plain.word.weight
    one = train(TINY, corpus(), model=plain)
    two = train(TINY, relabelled(corpus(), table), model=other)
    np.testing.assert_allclose(one.losses, two.losses, atol=2e-5)
    with pytest.raises(MultilingualError, match="no bijection"):
        relabelled(corpus(), np.zeros(60, np.int64))


def test_what_cannot_be_trained() -> None:
    alone = Corpus(corpus().languages[:1], 60, np.arange(5, 60))
    with pytest.raises(MultilingualError, match="objective tlm needs aligned text"):
        train(replace(TINY, objectives={"tlm": 1.0}), alone)
    with pytest.raises(MultilingualError, match="heads must divide hidden"):
        replace(TINY, heads=3)
    with pytest.raises(MultilingualError, match="tokenizer of another model"):
        Corpus(corpus().languages, 50, np.arange(5, 50))
    with pytest.raises(MultilingualError, match="did you mean mlm"):
        replace(TINY, objectives={"mlmm": 1.0})


# --- controlled languages -----------------------------------------------------------------------


def test_a_copy_of_the_embeddings_makes_the_languages_one() -> None:
    """Fake-English theorem: with the same rows for both ids, all three measures are perfect."""
    import torch

    made = controlled(lines(40), lines(30, 1), 60, SPECIALS, SETTINGS["original"], width=32)
    model = PackedBert(TINY, 120).eval()
    untrained = judge(model, made)
    with torch.no_grad():
        model.word.weight[60:] = model.word.weight[:60]
    copied = judge(model, made)
    assert set(copied.retrieval + copied.translation + copied.alignment) == {1.0}
    assert untrained.translation[0] < 0.2 and untrained.score < 0.5


def test_settings_change_what_they_say() -> None:
    def make(name: str):  # type: ignore[no-untyped-def]
        return controlled(lines(40), lines(30, 1), 60, SPECIALS, SETTINGS[name], width=32)

    english, fake = make("original").corpus.languages
    assert (fake.ids == english.ids + 60).all() and fake.specials == SPECIALS
    assert make("own special pieces").corpus.languages[1].specials == Specials(60, 61, 62, 63, 64)
    assert make("own positions").corpus.languages[1].offset == 32
    assert (make("inverted order").corpus.languages[1].line(0) == english.line(0)[::-1] + 60).all()
    assert (make("a quarter shared").table < 60).sum() == 5 + round(55 / 4)
    halves = make("not parallel").corpus
    assert [len(one) for one in halves.languages] == [20, 20] and not halves.parallel
    assert len(make("monolingual").corpus.languages) == 1
    assert make("all three").plan(TINY).replace == (1.0, 0.0, 0.0)


def test_an_experiment_runs_settings_and_seeds() -> None:
    chosen = [SETTINGS["original"], SETTINGS["monolingual"], SETTINGS["own positions"]]
    done: list[int] = []
    rows = experiment(
        lines(40), lines(20, 1), 60, SPECIALS, chosen, replace(TINY, steps=3), seeds=(0, 1),
        progress=lambda step, loss: done.append(step),
    )  # fmt: skip
    assert [(row.setting, row.seed) for row in rows] == [(one.name, seed) for one in chosen for seed in (0, 1)]
    assert done == list(range(1, 19)) and rows[0].before == rows[2].before


def test_a_folder_is_read_by_the_encoders(tmp_path: Path) -> None:
    english = ["the cat sat on the mat", "a dog saw the cat", "the dog sat here"] * 5
    tokenizer = tokens.train_bpe(english, 300)
    made = encode(tokenizer, data.Parallel({"eng": english, "deu": english}))
    assert made.parallel == ((0, 1),)
    found = train(replace(TINY, steps=2), made)
    encoder = encoders.load_encoder(save_folder(found.model, tokenizer, tmp_path / "model"))
    one = single(made.languages[0], 0, 32)
    batch = assemble("contrastive", [one], TINY, made.alphabet, (0,))
    mine = found.model.pooled(batch).detach().numpy()
    np.testing.assert_allclose(encoder.sentences(english[:1])[encoder.depth], mine, atol=1e-5)
