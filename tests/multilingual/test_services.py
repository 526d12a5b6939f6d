"""The multilingual services through the contract, on the control encoder; the others where their packages are there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import colonnade.multilingual.services
from colonnade.errors import BadInput, JobFailed
from colonnade.runner import run
from colonnade.service import get

NAMES = ["adapt", "audit", "catalogue", "pretrain", "retrieval", "similarity", "transfer", "typology", "word_align"]
EXAMPLES = Path(colonnade.multilingual.services.__file__).parent / "examples"


def results(name: str, inputs: dict, folder: Path, seed: int = 1) -> dict:
    done = run(get(f"multilingual.{name}"), inputs, folder / name, seed=seed)
    return {path: value for path, _, value in done.results} | {"": done}


def column(table, name: str) -> list:  # type: ignore[no-untyped-def]
    return table.data[[c.name for c in table.columns].index(name)]


@pytest.mark.parametrize("name", NAMES)
def test_every_service_is_there(name: str) -> None:
    service = get(f"multilingual.{name}")
    assert service.paper == "arXiv:2107.00676" and service.examples


def test_catalogue(tmp_path: Path) -> None:
    got = results("catalogue", {"objective": "XLCO", "covers": "Swahili"}, tmp_path)
    assert column(got["models"], "model") == ["InfoXLM base", "InfoXLM large"]
    assert "XNLI" in column(got["benchmarks"], "benchmark") and "BUCC 2018" not in column(
        got["benchmarks"], "benchmark"
    )


def test_typology_ranks_sources(tmp_path: Path) -> None:
    pytest.importorskip("lang2vec")
    inputs = {"languages": "eng arb ita fin", "target": "Maltese"}
    got = results("typology", inputs, tmp_path)
    assert column(got["sources"], "mean") == sorted(column(got["sources"], "mean"))
    assert column(got["sources"], "genetic")[column(got["sources"], "source").index("arb")] < 1
    with pytest.raises(BadInput, match="did you mean"):
        results("typology", {"languages": "eng, deu, finish"}, tmp_path / "x")


def test_audit_says_which_languages_are_not_covered(tmp_path: Path) -> None:
    example = get("multilingual.audit").example()
    got = results("audit", example, tmp_path)
    assert "hin_Deva" in got["verdict"] and "romanise" in got["verdict"]
    assert column(got["table"], "parity")[0] == 1 and column(got["table"], "unknown")[:2] == [0, 0]


def test_retrieval_reports_languages_that_are_not_known(tmp_path: Path) -> None:
    inputs = {"text": str(EXAMPLES / "flores5.tsv"), "model": "ngrams"}
    got = results("retrieval", inputs, tmp_path)
    assert "Not known to this encoder" in got["verdict"] and "hin_Deva" in got["verdict"]
    assert (got[""].files / "scores.csv").read_text().count("\n") == 21


def test_similarity_tree_and_neutral_spaces(tmp_path: Path) -> None:
    inputs = {"text": str(EXAMPLES / "flores5.tsv"), "model": "ngrams", "sentences": 60}
    got = results("similarity", inputs, tmp_path)
    assert "rank correlation" in got["verdict"]
    assert column(got["neutral"], "space") == ["as it is", "centring", "LSAR", "LIR", "erasure"]
    assert column(got["neutral"], "language probe")[0] > 0.9
    assert (got[""].files / "tree.nwk").read_text().strip().endswith(";")


def test_word_alignment_with_gold(tmp_path: Path) -> None:
    inputs = {"text": str(EXAMPLES / "europarl5.tsv"), "gold": str(EXAMPLES / "europarl5.gold"), "model": "ngrams"}
    got = results("word_align", inputs, tmp_path)
    assert 0.2 < got["aer"].value < 0.9 and "layer 8 does not exist" in got["notes"]
    assert (got[""].files / "links.pharaoh").read_text().count("\n") == 5
    with pytest.raises(BadInput, match="vectors of sentences only"):
        results("word_align", inputs | {"model": "use"}, tmp_path / "x")


def test_transfer_by_the_control(tmp_path: Path) -> None:
    inputs = get("multilingual.transfer").example("control")
    got = results("transfer", dict(inputs) | {"test_sentences": 20, "train_sentences": 80}, tmp_path)
    assert column(got["table"], "language")[0] == "eng" and column(got["table"], "gap")[0] == 0
    assert all(gap > 0 for gap in column(got["table"], "gap")[1:])
    assert "needs at least 6" in got["notes"] and "too few to rank" in got["notes"]


SMALL = {"vocabulary": 400, "steps": 3, "tokens": 256, "layers": 1, "hidden": 16, "longest": 64}


def test_pretrained_models_are_compared_with_their_controls_and_taken_up_by_adapting(tmp_path: Path) -> None:
    text = str(EXAMPLES / "flores-eng-kab.tsv")
    got = results("pretrain", SMALL | {"text": text, "tlm": 1, "contrastive": 1}, tmp_path)
    assert "untrained" in got["verdict"] and "knows no more" in got["verdict"]
    assert column(got["mixing"], "share of draws") == [0.5, 0.5]
    again = results("pretrain", SMALL | {"text": text, "tlm": 1, "contrastive": 1}, tmp_path / "again")
    assert again["verdict"] == got["verdict"] and column(again["table"], "loss") == column(got["table"], "loss")
    model = {"own_model": str(got[""].files / "model.zip"), "text": text, "steps": 3}
    for method, file in (
        ("adapter", "adapter.safetensors"),
        ("vocabulary", "model.zip"),
        ("contrast", "adapter.safetensors"),
    ):
        done = results("adapt", model | {"method": method, "epochs": 1}, tmp_path / method)
        assert (done[""].files / file).is_file() and f"by {method}" in done["verdict"]
        assert (method == "contrast") == ("loss a character" not in [c.name for c in done["table"].columns])
    advised = results("adapt", model, tmp_path / "advised")
    assert column(advised["advice"], "step")[-1] == "contrast" and "held-out sentences" in advised["verdict"]


def test_a_task_is_tuned_in_a_model_of_ones_own(tmp_path: Path) -> None:
    made = results("pretrain", SMALL | {"text": str(EXAMPLES / "flores-eng-kab.tsv")}, tmp_path)
    model = {"own_model": str(made[""].files / "model.zip"), "epochs": 1}
    tags = dict(get("multilingual.transfer").example("Parts of speech from")) | model
    tags |= {"train_sentences": 60, "test_sentences": 20}
    for mode in ("adapter", "fine-tune"):
        got = results("transfer", tags | {"mode": mode}, tmp_path / mode)
        assert f"By {mode} at layer 1: eng" in got["verdict"] and got.get("curve") is None
        assert "training" in got and len(column(got["table"], "gap")) == 6
    article = {
        "context": "Rome is in Italy.",
        "qas": [{"id": "1", "question": "Where is Rome?", "answers": [{"text": "Italy", "answer_start": 11}]}],
    }
    (tmp_path / "eng.json").write_text(
        json.dumps(
            {"data": [{"paragraphs": [article | {"qas": [article["qas"][0] | {"id": f"{k}"}]}]} for k in range(12)]}
        )
    )
    with zipfile.ZipFile(tmp_path / "tests.zip", "w") as archive:
        for name in ("eng", "deu"):
            archive.write(tmp_path / "eng.json", f"{name}.json")
    asked = model | {"task": "questions", "train": str(tmp_path / "eng.json"), "tests": str(tmp_path / "tests.zip")}
    got = results("transfer", asked | {"epochs": 20}, tmp_path / "questions")
    assert column(got["table"], "exact match") == [1, 1] and "stand in the training text" in got["notes"]
    plain = {key: value for key, value in asked.items() if key != "own_model"}
    with pytest.raises(BadInput, match="task questions trains by steps on a transformer, which ngrams is not"):
        results("transfer", plain | {"model": "ngrams"}, tmp_path / "x")


def test_controlled_languages_beside_their_untrained_models(tmp_path: Path) -> None:
    inputs = SMALL | {
        "text": str(EXAMPLES / "flores-eng-kab.tsv"),
        "kind": "controlled",
        "settings": "original, monolingual",
    }
    got = results("pretrain", inputs, tmp_path)
    assert column(got["table"], "setting") == ["original", "monolingual"] and got.get("model") is None
    with pytest.raises(BadInput, match="originale is no setting"):
        results("pretrain", inputs | {"settings": "originale"}, tmp_path / "x")
    with pytest.raises(BadInput, match="does not divide hidden"):
        results("pretrain", inputs | {"heads": 3}, tmp_path / "y")


def test_adapting_by_a_rotation(tmp_path: Path) -> None:
    inputs = {"text": str(EXAMPLES / "flores-eng-kab.tsv"), "model": "ngrams", "method": "procrustes"}
    got = results("adapt", inputs, tmp_path)
    assert column(got["table"], "") == ["before", "after"] and (got[""].files / "adapter.safetensors").is_file()
    with pytest.raises(BadInput, match="needs a masked language model of your own"):
        results("adapt", inputs | {"method": "adapter"}, tmp_path / "x")
    with pytest.raises(BadInput, match="ngrams is not; take procrustes"):
        results("adapt", inputs | {"method": "lora"}, tmp_path / "y")


def test_files_are_known_by_content_as_the_gateway_stores_them_without_ending(tmp_path: Path) -> None:
    from colonnade.multilingual import data, tokens

    for name in ("flores5.tsv", "eng-deu.json", "upos-tests.zip"):
        (tmp_path / name.split(".")[0]).write_bytes((EXAMPLES / name).read_bytes())
    assert len(data.read_aligned(tmp_path / "flores5")) == 100
    assert len(tokens.load_tokenizer(tmp_path / "eng-deu").vocabulary) == 1200
    assert len(data.read_texts(tmp_path / "upos-tests")) == 6


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("deu.txt", "eins\nzwei\n")
        archive.writestr("eng.txt", "one\n")
    with pytest.raises(BadInput, match=r"'deu.txt' has 2 lines but 'eng.txt' has 1"):
        results("retrieval", {"text": str(tmp_path / "text.zip"), "model": "ngrams"}, tmp_path)
    (tmp_path / "text.tsv").write_text("deu\teng\neins\tone\nzwei\n")
    with pytest.raises(BadInput, match=r"line 3 of 'text.tsv' has 1 tab-separated cells"):
        results("retrieval", {"text": str(tmp_path / "text.tsv"), "model": "ngrams"}, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="is no tokenizer"):
        results(
            "audit", {"tokenizer": str(tmp_path / "tokenizer.json"), "text": str(EXAMPLES / "flores5.tsv")}, tmp_path
        )


def test_too_few_sentences_and_a_word_without_tag_are_told_in_the_owners_words(tmp_path: Path) -> None:
    few, untagged = tmp_path / "few.tsv", tmp_path / "untagged.tsv"
    few.write_text("eng\tdeu\n" + "Yes\tJa\n" * 3)
    untagged.write_text("the\tDET\nhouse\n")
    with pytest.raises(JobFailed, match="there are 3 aligned sentences, but retrieval needs at least 10"):
        results("retrieval", {"text": str(few), "model": "ngrams"}, tmp_path / "a")
    inputs = {"train": str(untagged), "tests": str(EXAMPLES / "upos-tests.zip"), "model": "ngrams", "layers": "last"}
    with pytest.raises(JobFailed, match=r"train: line 2 of 'untagged.tsv' has a word but no tag: 'house'"):
        results("transfer", inputs, tmp_path / "b")
