"""Metrics as the published scorer has them, and statistics that are as sure as they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, evaluate
from colonnade.multilingual.data.questions import Question
from colonnade.multilingual.evaluate.statistics import bootstrap_statistic


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(300):
        right = (rng.random(80) < 0.7).astype(float)
        found = evaluate.bootstrap(right, draws=400, seed=seed)
        inside += found.low <= 0.7 <= found.high
    assert 0.90 <= inside / 300 <= 0.98
    words = evaluate.bootstrap(np.array([3.0, 1, 2]), np.array([4.0, 1, 5]))
    assert words.value == pytest.approx(0.6) and words.low <= 0.6 <= words.high
    assert bootstrap_statistic(50, lambda index: float(index.mean())).value == pytest.approx(24.5)
    with pytest.raises(MultilingualError, match="there are 1 test sentences, but an interval needs at least 2"):
        evaluate.bootstrap(np.ones(1))


def test_paired_test_keeps_its_size_and_finds_differences() -> None:
    rng = np.random.default_rng(1)
    false = [
        evaluate.paired_test(*(rng.random((2, 60)) < 0.6).astype(float), permutations=400, seed=i) for i in range(300)
    ]
    assert 0.02 <= np.mean(np.array(false) < 0.05) <= 0.09
    better = (rng.random(200) < 0.9).astype(float)
    worse = better * (rng.random(200) < 0.85)
    assert evaluate.paired_test(better, worse) < 0.001
    assert evaluate.paired_test(better, better) == 1
    with pytest.raises(MultilingualError, match="are no pairs"):
        evaluate.paired_test(better, worse[:5])


def test_holms_correction_by_hand() -> None:
    assert evaluate.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert evaluate.holm([0.9, 0.8]) == [1, 1]


def test_probe_learns_what_is_linear_and_says_what_is_wrong() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 12)) * 100 + 7
    y = ["abc"[i] for i in (x[:, :3]).argmax(axis=1)]
    probe = evaluate.fit_probe(x[:400], y[:400])
    assert np.mean([a == b for a, b in zip(probe.predict(x[400:]), y[400:], strict=True)]) > 0.93
    with pytest.raises(MultilingualError, match="reads 12 dimensions, but these vectors have 5"):
        probe.predict(x[:, :5])
    with pytest.raises(MultilingualError, match="there are 1 different labels"):
        evaluate.fit_probe(x, ["a"] * 600)


def test_probe_equals_a_reference() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 5))
    y = [str(int(v)) for v in (x[:, 0] + rng.normal(size=200) > 0)]
    ours = evaluate.fit_probe(x, y).logits(x)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    # two classes with weights +-w cost twice the penalty of one vector w, and differ by 2 w
    theirs = linear.LogisticRegression(C=2.0, tol=1e-8).fit(z, y).decision_function(z)
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], theirs, atol=0.02)


# --- metrics: the numbers behind == are what google-research/xtreme@838c13b printed for the same input ----------


def question(key: str, *answers: str) -> Question:
    return Question(key, "", "", [(text, 0) for text in answers])


def test_answers_are_compared_as_squad_and_mlqa_do() -> None:
    questions = [question("1", "the Rhine", "Rhine river"), question("2", "in 1945"), question("3", "nobody")]
    given = {"1": "The  Rhine!", "2": "1945"}
    found = evaluate.squad_scores(questions, given)
    assert found == pytest.approx({"exact_match": 100 / 3, "f1": 100 * (1 + 2 / 3) / 3})
    assert evaluate.mlqa_scores([question("1", "Der Rhein")], {"1": "rhein"}, "de") == {"exact_match": 100, "f1": 100}
    chinese = evaluate.mlqa_scores([question("1", "北京市")], {"1": "北京"}, "zh")
    assert chinese == pytest.approx({"exact_match": 0, "f1": 80})
    with pytest.raises(MultilingualError, match="language is 'fr'"):
        evaluate.mlqa_scores(questions, given, "fr")


def test_spans_pairs_and_ranks() -> None:
    gold = [["B-LOC", "I-LOC", "O", "B-PER"], ["O", "B-ORG"]]
    found = [["B-LOC", "I-LOC", "O", "O"], ["O", "B-LOC"]]
    assert evaluate.span_f1(gold, found) == pytest.approx({"f1": 40, "precision": 50, "recall": 100 / 3})
    assert evaluate.bucc_f1([("a", "x"), ("b", "y")], [("a", "x"), ("b", "z")])["f1"] == pytest.approx(50)
    assert evaluate.bucc_f1([("a", "x")], [("a", "z")]) == {"f1": 0, "precision": 0, "recall": 0}
    ranked = evaluate.mean_reciprocal_rank({"q": "B", "r": "C"}, {"q": ["A", "B"], "r": ["A"] * 20 + ["C"]})
    assert ranked == {"map@20": 25}
    with pytest.raises(MultilingualError, match="sentence 2 has 2 gold tags but 1 predicted"):
        evaluate.span_f1(gold, [found[0], ["O"]])
    with pytest.raises(MultilingualError, match="2 labels but 1 predictions"):
        evaluate.accuracy(["a", "b"], ["a"])


def test_a_folder_of_predictions(tmp_path: Path) -> None:
    def write(where: str, text: str) -> None:
        (tmp_path / where).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / where).write_text(text)

    for side, label in (("gold", "neutral"), ("given", "entailment")):
        write(f"{side}/xnli/test-de.tsv", f"neutral\n{label}\n")
        write(f"{side}/xnli/test-fr.tsv", "neutral\nneutral")
        write(f"{side}/panx/test-de.tsv", "B-LOC\nO\n\nB-PER\n")
    article = {"paragraphs": [{"context": "", "qas": [{"id": "1", "answers": [{"text": "Rhine"}]}]}]}
    write("gold/xquad/test-de.json", json.dumps({"data": [article]}))
    write("given/xquad/test-de.json", json.dumps({"1": "the rhine"}))
    found = evaluate.score_folder(tmp_path / "given", tmp_path / "gold")
    assert found["xnli"]["languages"] == {"de": {"accuracy": 50}, "fr": {"accuracy": 100}}
    assert found["xnli"]["metric"] == 75 and found["panx"]["metric"] == 100 and found["xquad"]["metric"] == 100
    write("given/xnli/test-fr.tsv", "neutral\n")
    with pytest.raises(MultilingualError, match=r"xnli/test-fr.tsv: there are 2 labels but 1"):
        evaluate.score_folder(tmp_path / "given", tmp_path / "gold")
