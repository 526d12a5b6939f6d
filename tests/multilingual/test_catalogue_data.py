"""Catalogue, language codes and readers: the published formats by short fixtures, and what people get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colonnade.multilingual import MultilingualError, benchmarks, data, language, languages, models
from colonnade.multilingual.catalogue import read_catalogue, table
from colonnade.multilingual.data.parallel import language_of


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


# --- catalogue --------------------------------------------------------------------------------


def test_every_row_is_whole_and_says_where_it_is_from() -> None:
    rows, sets = table()
    assert len(rows) >= 25 and len(sets) >= 12
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.source and row.checked in ("published", "literature") for row in (*rows, *sets))
    for row in sets:
        for code in row.languages:
            assert language(code).code


def test_questions_to_the_catalogue() -> None:
    assert [row.name for row in models(text="xlm-r", most_parameters=600)] == ["XLM-R base", "XLM-R large"]
    assert all("TLM" in row.objectives and row.parallel for row in models(objective="TLM"))
    assert {row.name for row in benchmarks(task="tagging")} == {"UD-POS", "WikiANN (PAN-X)"}
    assert "XNLI" in {row.name for row in benchmarks(covers="swahili", collection="XTREME")}
    with pytest.raises(MultilingualError, match="did you mean TLM"):
        models(objective="TLMM")
    with pytest.raises(MultilingualError, match="task is 'tags'"):
        benchmarks(task="tags")


def test_a_catalogue_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(MultilingualError, match="unknown field 'size'"):
        read_catalogue(write(tmp_path, "a.toml", "[[model]]\nname='x'\nsize=3\n"))
    with pytest.raises(MultilingualError, match="not whole"):
        read_catalogue(write(tmp_path, "b.toml", "[[model]]\nname='x'\n"))
    with pytest.raises(MultilingualError, match="no TOML"):
        read_catalogue(write(tmp_path, "c.toml", "[[model\n"))


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [("de", "deu"), ("ger", "deu"), ("iw", "heb"), ("zh-CN", "zho"), ("alb", "sqi"), ("deu_Latn", "deu_Latn"),
     ("Hindi", "hin"), ("nqo_Nkoo", "nqo_Nkoo"), ("por-BR", "por")],
)  # fmt: skip
def test_codes_as_people_write_them(text: str, code: str) -> None:
    assert str(language(text)) == code


def test_unknown_and_ambiguous_codes_get_suggestions() -> None:
    with pytest.raises(MultilingualError, match="did you mean german"):
        language("Germen")
    with pytest.raises(MultilingualError, match="ambiguous; say which: kmr, ckb"):
        language("kur", strict=True)
    with pytest.raises(MultilingualError, match="more than once"):
        languages("de, fi, deu")
    assert [item.individual for item in languages("zh ar sw")] == ["cmn", "arb", "swh"]


# --- lines and parallel text -------------------------------------------------------------------


def test_marks_and_line_ends_are_put_right_and_other_encodings_refused(tmp_path: Path) -> None:
    assert data.read_lines(write(tmp_path, "a.txt", "\ufeffeins\r\nzwei\r\n")) == ["eins", "zwei"]
    assert data.read_lines(write(tmp_path, "b.txt", "eins\nzwei\n", "utf-16")) == ["eins", "zwei"]
    assert data.read_lines(write(tmp_path, "c.txt", "U\u0308ber\n")) == ["Über"]
    with pytest.raises(MultilingualError, match="holds no text"):
        data.read_lines(write(tmp_path, "f.txt", "\n\n"))


def test_the_byte_and_line_of_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"eins\nz\xfcei\n")
    with pytest.raises(MultilingualError, match=r"byte 6, line 2"):
        data.read_lines(tmp_path / "x.txt")


def test_parallel_files_must_have_as_many_lines(tmp_path: Path) -> None:
    files = {"de": write(tmp_path, "de.txt", "a\nb\nc\n"), "en": write(tmp_path, "en.txt", "a\nb\n")}
    with pytest.raises(MultilingualError, match=r"'de.txt' has 3 lines but 'en.txt' has 2"):
        data.read_parallel(files)
    with pytest.raises(MultilingualError, match="both deu"):
        data.read_parallel({"de": files["de"], "deu": files["de"]})


def test_blank_and_duplicate_lines_are_reported(tmp_path: Path) -> None:
    files = {"de": write(tmp_path, "de.txt", "a\n\nc\na\n"), "en": write(tmp_path, "en.txt", "x\ny\nz\nx\n")}
    found = data.read_parallel(files)
    assert len(found) == 3 and found.sentences["eng"] == ["x", "z", "x"]
    assert "1 of 4 rows were left out" in found.notes[0]
    assert any("deu has 1 lines that occur before" in note for note in found.notes)


def test_published_layouts_of_parallel_text(tmp_path: Path) -> None:
    for code in ("deu", "eng-GB"):
        write(tmp_path, f"newstest2019-ref.{code}.txt", "eins\nzwei\n")
    assert data.read_ntrex(tmp_path).codes == ["deu", "eng"]
    assert data.read_ntrex(tmp_path, ["en", "de"]).codes == ["eng", "deu"]
    with pytest.raises(MultilingualError, match="NTREX has no 'fin'"):
        data.read_ntrex(tmp_path, ["fin"])
    write(tmp_path, "tatoeba.fra-eng.fra", "un\n")
    write(tmp_path, "tatoeba.fra-eng.eng", "one\n")
    assert data.read_tatoeba(tmp_path, "fr").codes == ["fra", "eng"]
    with pytest.raises(MultilingualError, match=r"Tatoeba has no 'fin'.*it has fra"):
        data.read_tatoeba(tmp_path, "fin")
    for name in ("deu_Latn", "eng_Latn", "nqo_Nkoo"):
        (tmp_path / "sib" / name).mkdir(parents=True)
        for split, key in (("train", 7), ("dev", 3), ("test", 11)):
            body = f"{key}\ttravel\t{'' if name == 'nqo_Nkoo' else name + str(key)}\n"
            write(tmp_path / "sib" / name, f"{split}.tsv", "index_id\tcategory\ttext\n" + body)
    sib = data.read_sib_parallel(tmp_path / "sib")
    assert sib.sentences["deu_Latn"] == ["deu_Latn3", "deu_Latn7", "deu_Latn11"]
    assert "nqo_Nkoo" in sib.notes[0]
    assert data.read_sib(tmp_path / "sib" / "deu_Latn" / "dev.tsv").labels == ["travel"]


def test_verses_are_joined_on_their_number(tmp_path: Path) -> None:
    one = json.dumps([{"chapters": [["a", "b"], ["c"]]}])
    two = json.dumps([{"chapters": [["A", "B", "extra"], ["C"]]}])
    found = data.read_bible({"en": write(tmp_path, "en.json", one), "es": write(tmp_path, "es.json", two)})
    assert found.sentences["spa"] == ["A", "B", "C"]
    assert found.notes == ("spa: 1 verses have no counterpart in every file",)
    with pytest.raises(MultilingualError, match="no list of books"):
        data.read_bible({"en": write(tmp_path, "x.json", "[1]"), "es": tmp_path / "es.json"})


def test_the_language_in_a_files_name() -> None:
    names = {
        "deu.txt": "deu",
        "corpus.en-de.de": "deu",
        "newstest2019-ref.eng-GB.txt": "eng",
        "hin_Deva.txt": "hin_Deva",
    }
    assert {name: language_of(name) for name in names} == names
    with pytest.raises(MultilingualError, match="does not tell the language"):
        language_of("sentences1.txt")


# --- labelled text -----------------------------------------------------------------------------

CONLLU = (
    "# text = Vámonos al mar\n1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_\n1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_\n3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_\n3\ta\ta\tADP\t_\t_\t5\tcase\t_\t_\n"
    "4\tel\tel\tDET\t_\t_\t5\tdet\t_\t_\n5\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_\n"
    "5.1\tfue\tir\tVERB\t_\t_\t_\t_\t_\t_\n\n"
)


def test_ranges_and_empty_nodes_never_shift_a_tag(tmp_path: Path) -> None:
    (sentence,) = data.read_conllu(write(tmp_path, "es.conllu", CONLLU))
    assert list(zip(sentence.words, sentence.tags, strict=True)) == [
        ("Vamos", "VERB"), ("nos", "PRON"), ("a", "ADP"), ("el", "DET"), ("mar", "NOUN")]  # fmt: skip
    assert sentence.heads == [-1, 0, 4, 4, 0]
    blank = CONLLU.replace("VERB", "_").replace("PRON", "_").replace("ADP", "_").replace("DET", "_")
    with pytest.raises(MultilingualError, match="every UPOS is _"):
        data.read_conllu(write(tmp_path, "x.conllu", blank.replace("NOUN", "_")))
    with pytest.raises(MultilingualError, match="no CoNLL-U"):
        data.read_conllu(write(tmp_path, "y.conllu", "only words\nand more\n"))


def test_spans_come_in_three_schemes(tmp_path: Path) -> None:
    sentences, notes = data.read_wikiann(write(tmp_path, "a.tsv", "de:Bonn\tB-LOC\nde:am\tO\n\nde:Rhein\tB-LOC\n"))
    assert [s.words for s in sentences] == [["Bonn", "am"], ["Rhein"]] and notes == ()
    _, notes = data.read_wikiann(write(tmp_path, "b.tsv", "Bonn\tI-LOC\nam\tO\n"))
    assert notes == ("tags came as IOB1 and were read as BIO",)
    assert data.to_bio(["I-LOC", "I-LOC", "B-LOC", "O", "I-PER"]) == ["B-LOC", "I-LOC", "B-LOC", "O", "B-PER"]
    assert data.to_bio(["S-LOC", "B-PER", "E-PER", "S-PER"]) == ["B-LOC", "B-PER", "I-PER", "B-PER"]
    with pytest.raises(MultilingualError, match="'NOUN' is no span tag"):
        data.read_wikiann(write(tmp_path, "c.tsv", "Bonn\tNOUN\n"))
    with pytest.raises(MultilingualError, match=r"line 2 .* no tag"):
        data.read_tagged(write(tmp_path, "d.tsv", "Bonn\tX\nam\n"))
    with pytest.raises(MultilingualError, match="2 words but 1 tags"):
        data.TaggedSentence(["a", "b"], ["X"])


def test_classes(tmp_path: Path) -> None:
    plain = data.read_xnli(write(tmp_path, "a.tsv", "He left\tHe stayed\tcontradictory\nA\tB\tneutral\n"))
    assert plain.labels == ["contradiction", "neutral"] and plain.pairs == ["He stayed", "B"]
    head = "language\tgold_label\tsentence1\tsentence2\nde\tneutral\tA\tB\nfr\tentailment\tC\tD\n"
    assert data.read_xnli(write(tmp_path, "b.tsv", head), "fr").texts == ["C"]
    with pytest.raises(MultilingualError, match="label 'maybe'"):
        data.read_xnli(write(tmp_path, "c.tsv", "A\tB\tmaybe\n"))
    paws = data.read_pawsx(write(tmp_path, "d.tsv", "id\tsentence1\tsentence2\tlabel\n1\tA\tB\t1\n"))
    assert (paws.texts, paws.pairs, paws.labels) == (["A"], ["B"], ["1"])
    with pytest.raises(MultilingualError, match=r"line 1 of 'e.tsv' has 2"):
        data.read_pawsx(write(tmp_path, "e.tsv", "A\tB\n"))


def test_questions_and_answers_that_stand_elsewhere(tmp_path: Path) -> None:
    def squad(start: int, key: str = "q1") -> str:
        answer = {"text": "Rhein", "answer_start": start}
        entry = {"id": key, "question": "Wo?", "answers": [answer]}
        return json.dumps({"data": [{"paragraphs": [{"context": "Bonn am Rhein", "qas": [entry]}]}]})

    found, notes = data.read_squad(write(tmp_path, "a.json", squad(8)))
    assert found[0].answers == [("Rhein", 8)] and notes == ()
    assert data.read_squad(write(tmp_path, "b.json", squad(7)))[1] == (
        "1 answers stood beside their stated start and were moved",
    )
    with pytest.raises(MultilingualError, match="is not at character 1"):
        data.read_squad(write(tmp_path, "c.json", squad(1)))
    with pytest.raises(MultilingualError, match="not in SQuAD's format"):
        data.read_squad(write(tmp_path, "d.json", "{}"))


def test_leaks_are_found_whatever_case_and_points() -> None:
    leak = data.find_leaks(["The cat sat on the mat."], ["the cat sat on the mat", "Another sentence of five words"])
    assert (leak.leaked, leak.total) == (1, 2) and "50.0 %" in leak.warning
    assert data.find_leaks(["Yes."], ["Yes."]).warning == ""
