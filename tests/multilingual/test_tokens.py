"""Vocabularies: audits with known answers, allocation by hand, trimming that leaves cuts as they were."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from colonnade.multilingual import MultilingualError, tokens
from colonnade.multilingual.data.parallel import Parallel
from colonnade.multilingual.tokens.load import Tokens, of

ENGLISH = ["the cat sat on the mat", "a dog saw the cat", "the dog sat", "cats and dogs sat on mats"] * 4
GERMAN = ["die katze sitzt auf der matte", "ein hund sah die katze", "der hund sitzt", "katzen und hunde sitzen"] * 4

CHARACTERS = Tokens("characters", tuple("abc…"), "?", lambda texts: [list("".join(text.split())) for text in texts])


def test_one_piece_a_character_has_the_fertility_of_word_lengths() -> None:
    found = tokens.audit(CHARACTERS, {"eng": ENGLISH})
    words = [word for line in ENGLISH for word in line.split()]
    row = found.rows[0]
    assert row.fertility == pytest.approx(sum(map(len, words)) / len(words))
    assert row.continued == pytest.approx(sum(len(word) > 1 for word in words) / len(words))
    assert row.characters == 1 and row.parity is None and row.script == "LATIN"


def test_parity_and_overlap_of_parallel_text() -> None:
    found = tokens.audit(CHARACTERS, Parallel({"eng": ["ab c", "a"], "deu": ["abc d", "ab"]}))
    assert [row.parity for row in found.rows] == [1, 1.5]
    assert found.overlap[0, 1] == pytest.approx(3 / 4)
    thai = tokens.audit(CHARACTERS, {"tha": ["สวัสดีครับ"]}).rows[0]
    assert thai.fertility is None and thai.continued is None


def test_bytes_leave_nothing_unknown_and_a_latin_vocabulary_leaves_hindi() -> None:
    hindi = ["बिल्ली चटाई पर बैठी", "एक कुत्ता"]
    by_bytes = tokens.audit(of(tokens.train_bpe(ENGLISH, 300)), {"eng": ENGLISH, "hin": hindi})
    assert [row.unknown for row in by_bytes.rows] == [0, 0]
    latin = tokens.audit(of(tokens.train_unigram(ENGLISH, 60)), {"eng": ENGLISH, "hin": hindi})
    assert latin.rows[0].unknown == 0 and latin.rows[1].unknown > 0.4
    assert "romanise the Devanagari script" in latin.warnings[0]


def test_tokenizers_of_both_kinds_are_read(tmp_path: Path) -> None:
    made = tokens.train_unigram(ENGLISH, 60)
    made.save(str(tmp_path / "tokenizer.json"))
    read = tokens.load_tokenizer(tmp_path / "tokenizer.json")
    assert read.pieces(["the cat"]) == of(made).pieces(["the cat"]) and read.unknown == "[UNK]"
    model = tokens.train_sentencepiece(ENGLISH + GERMAN, 34, tmp_path / "sp.model")
    sp = tokens.load_tokenizer(model)
    assert len(sp.vocabulary) == 34 and "".join(sp.pieces(["die katze"])[0]) == "▁die▁katze"
    assert sp.pieces(["ж"])[0][-1] == sp.unknown == "<unk>"
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(MultilingualError, match=r"'x.json' is no tokenizer.json"):
        tokens.load_tokenizer(tmp_path / "x.json")
    (tmp_path / "x.model").write_text("none")
    with pytest.raises(MultilingualError, match=r"'x.model' is no SentencePiece model"):
        tokens.load_tokenizer(tmp_path / "x.model")
    with pytest.raises(MultilingualError, match="size is 5000; SentencePiece cannot"):
        tokens.train_sentencepiece(ENGLISH, 5000, tmp_path / "y.model")


def test_log_probability_by_hand() -> None:
    assert tokens.average_log_probability([["a", "a", "b", "b"]]) == pytest.approx(-math.log(2))
    assert tokens.average_log_probability([["a"], ["a"]]) == 0


def test_pieces_go_where_they_gain_most() -> None:
    curves = {"deu": {10: -9.0, 20: -5.0, 30: -4.9}, "fin": {10: -9.0, 20: -6.0, 30: -4.0}}
    even = tokens.allocate(curves, {"deu": 100, "fin": 100}, 50)
    assert even.sizes == {"deu": 20, "fin": 30} and even.log_probability == {"deu": -5.0, "fin": -4.0}
    assert tokens.allocate(curves, {"deu": 100, "fin": 100}, 30).sizes == {"deu": 20, "fin": 10}
    assert tokens.allocate(curves, {"deu": 1, "fin": 1000}, 30, beta=1).sizes == {"deu": 10, "fin": 20}
    with pytest.raises(MultilingualError, match="total is 10; the smallest sizes together already take 20"):
        tokens.allocate(curves, {"deu": 1, "fin": 1}, 10)
    with pytest.raises(MultilingualError, match="0 sentences of fin"):
        tokens.allocate(curves, {"deu": 1}, 30)


def test_a_trimmed_vocabulary_cuts_as_before() -> None:
    whole = tokens.train_unigram(ENGLISH + GERMAN, 120)
    small = tokens.trim(whole, ENGLISH)
    assert small.share < 0.9 and len(small.kept) == small.tokenizer.get_vocab_size()
    for line in ENGLISH:
        before, after = whole.encode(line), small.tokenizer.encode(line)
        assert after.tokens == before.tokens
        assert [small.kept[index] for index in after.ids] == before.ids
    with pytest.raises(MultilingualError, match="is a BPE one"):
        tokens.trim(tokens.train_bpe(ENGLISH, 300), ENGLISH)


def test_scripts_of_a_text() -> None:
    shares = tokens.script_shares(["ab", "жы", "аб1 !"])
    assert shares == pytest.approx({"CYRILLIC": 2 / 3, "LATIN": 1 / 3})
    assert tokens.main_script(["北京"]) == "CJK" and tokens.main_script(["123"]) == ""
