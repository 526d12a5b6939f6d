"""Reading texts: what is taken, and the one sentence for what is not."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from colonnade.pruning import PruningError, encode, load_corpus, load_tokenizer, read_labelled, read_texts, zoo
from colonnade.pruning.words import survival


def test_a_table_of_texts_and_labels(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tLabel\n"So it goes\tgood\nbad film\tbad\n\nok\tgood\nno\tbad\n')
    found = read_labelled(tmp_path / "a.tsv")
    assert found.texts == ['"So it goes', "bad film", "ok", "no"]
    assert found.classes == ("bad", "good") and found.labels == [1, 0, 1, 0]
    (tmp_path / "a.csv").write_text('id,label,text\n1,x,"a, b"\n2,y,c\n3,x,d\n4,y,e\n', encoding="utf-8-sig")
    assert read_labelled(tmp_path / "a.csv").texts == ["a, b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text\tclass\na\tb\n", r"needs a column 'label' in its first line; its columns are 'text', 'class'"),
        (b"text\tlabel\na\tx\nb\tx\n", "Every row has the label 'x'"),
        (b"text\tlabel\na\tx\nb\ty\n", "label 'x' stands in one row only"),
        (b"text\tlabel\na\tx\n\tx\n", "Line 3 has no text"),
        (b"text\tlabel\na\tx\nb\t\n", "Line 3 has no label"),
        (b"text\tlabel\na\tx\tz\n", "Line 2 has 3 columns, but the header has 2"),
        (b"text\tlabel\na\xff\tx\n", "is not UTF-8: line 2 holds a byte"),
        (b"text\tlabel\n", "has 0 rows with a text, but at least 2 are needed"),
        (b"\n", "needs a column 'text'"),
        (
            b"text\tlabel\n" + b"".join(b"t\t%d\nt\t%d\n" % (k, k) for k in range(101)),
            "101 different values, but at most 100 classes",
        ),
    ],
)
def test_a_wrong_table_gets_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(PruningError, match=words):
        read_labelled(tmp_path / "t.tsv")


def test_plain_texts(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one\n\ntwo words\n")
    assert read_texts(tmp_path / "t.txt") == ["one", "two words"]
    (tmp_path / "e.txt").write_text("\n \n")
    with pytest.raises(PruningError, match="holds no text"):
        read_texts(tmp_path / "e.txt")


def test_texts_are_cut_and_counted_and_empty_ones_refused() -> None:
    tokenizer = load_tokenizer(zoo.DEMO)
    found = encode(tokenizer, ["a good film", "a good film " * 40, "good"], 16)
    assert found.cut == 1 and max(found.lengths) == 16
    assert encode(tokenizer, ["good " * 14], 16).cut == 0  # exactly as long as is allowed
    with pytest.raises(PruningError, match="Text 2 is empty"):
        encode(tokenizer, ["a", " \n"])
    with pytest.raises(PruningError, match="At least one text"):
        encode(tokenizer, [])
    with pytest.raises(PruningError, match="give a local path, as nothing is downloaded"):
        load_tokenizer("bert-base-uncased")


def test_words_are_followed_through_the_layers() -> None:
    opened = zoo.open_named("demo")
    text = "an unforgettably dull film , and yet WONDERFULLY played ."
    found = survival(opened.model, opened.tokenizer, text)
    assert found.words == ["[CLS]", *text.split(), "[SEP]"]
    assert found.depth[0] == found.layers == 3
    assert (found.kept[:, 1:] <= found.kept[:, :-1]).all()
    assert (found.depth == found.kept.sum(1)).all()


def test_corpora_are_read_as_published(corpora: Path, tmp_path: Path) -> None:
    expected = {
        "reviews": (1600, 400, 2),
        "polarity": (8530, 2132, 2),
        "subjectivity": (8000, 2000, 2),
        "questions": (5452, 500, 6),
    }
    for name, (train, test, classes) in expected.items():
        found = load_corpus(name, corpora)
        assert (len(found.train), len(found.test), len(found.classes)) == (train, test, classes)
        assert {label for _, label in found.test} == set(range(classes))
        assert not {text for text, _ in found.train} & {text for text, _ in found.test} or name != "reviews"
    folds = [load_corpus("polarity", corpora, fold) for fold in range(5)]
    assert sum(len(fold.test) for fold in folds) == 10662 and len({len(fold.test) for fold in folds}) == 2
    with pytest.raises(PruningError, match="fold must be from 0 to 4"):
        load_corpus("polarity", corpora, 5)
    shutil.copy(corpora / "qc.zip", tmp_path / "qc.zip")
    with zipfile.ZipFile(tmp_path / "qc.zip", "a") as packed:
        packed.writestr("more.txt", "changed")
    assert hashlib.sha256((tmp_path / "qc.zip").read_bytes()).hexdigest()
    with pytest.raises(PruningError, match="checksum differs"):
        load_corpus("questions", tmp_path)
    with pytest.raises(PruningError, match=r"There is no movie_reviews\.zip"):
        load_corpus("reviews", tmp_path)
    with pytest.raises(PruningError, match="corpus must be one of"):
        load_corpus("news", tmp_path)
    with pytest.raises(PruningError, match="There are no reviews in"):
        load_corpus("imdb", tmp_path)
    for number, (kind, text) in enumerate((("pos", "Fine.<br />Very."), ("neg", "Dull."))):
        (tmp_path / "aclImdb" / "test" / kind).mkdir(parents=True)
        (tmp_path / "aclImdb" / "test" / kind / f"{number}_7.txt").write_text(text, encoding="utf-8")
    assert load_corpus("imdb", tmp_path).test == [("Dull.", 0), ("Fine. Very.", 1)]
