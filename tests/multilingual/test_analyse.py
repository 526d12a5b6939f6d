"""Analyses against invariances, closed forms and data made to have a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, align, analyse


def rotation(rng: np.random.Generator, d: int) -> np.ndarray:
    return np.asarray(np.linalg.qr(rng.normal(size=(d, d)))[0])


# --- similarity --------------------------------------------------------------------------------


@pytest.mark.parametrize("debiased", [True, False])
def test_cka_is_blind_to_rotation_scale_and_shift(debiased: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 20)), rng.normal(size=(60, 11))
    assert analyse.cka(x, 3 * x @ rotation(rng, 20) + 5, debiased=debiased) == pytest.approx(1, abs=1e-10)
    moved = analyse.cka(x @ rotation(rng, 20) - 1, y * 0.1, debiased=debiased)
    assert analyse.cka(x, y, debiased=debiased) == pytest.approx(moved, abs=1e-10)


def test_cka_equals_its_definition_by_kernels() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 7)), rng.normal(size=(30, 9)) + rng.normal(size=(30, 1))
    n = len(x)
    k, m = x @ x.T, y @ y.T
    h = np.eye(n) - 1 / n
    plain = np.trace(k @ h @ m @ h) / np.sqrt(np.trace(k @ h @ k @ h) * np.trace(m @ h @ m @ h))
    assert analyse.cka(x, y, debiased=False) == pytest.approx(plain, abs=1e-9)

    def unbiased(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - np.diag(np.diag(a)), b - np.diag(np.diag(b))
        one = np.ones(n)
        return float(
            np.trace(a @ b) + one @ a @ one * (one @ b @ one) / (n - 1) / (n - 2) - 2 / (n - 2) * (one @ a @ b @ one)
        )

    want = unbiased(k, m) / np.sqrt(unbiased(k, k) * unbiased(m, m))
    assert analyse.cka(x, y) == pytest.approx(want, abs=1e-9)
    np.testing.assert_allclose(analyse.cka_matrix([x, y])[0, 1], want, atol=1e-9)


def test_debiased_cka_of_independent_data_is_near_0_where_the_plain_one_is_not() -> None:
    rng = np.random.default_rng(2)
    pairs = [(rng.normal(size=(50, 200)), rng.normal(size=(50, 200))) for _ in range(100)]
    assert abs(np.mean([analyse.cka(x, y) for x, y in pairs])) < 0.02
    assert np.mean([analyse.cka(x, y, debiased=False) for x, y in pairs[:20]]) > 0.7


def test_neuron_wise_and_canonical_correlation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 8))
    assert analyse.anc(x, -2 * x + 1) == pytest.approx(1)
    assert analyse.anc(x, rng.normal(size=x.shape)) < 0.15
    assert analyse.svcca(x, x @ rotation(rng, 8)) == pytest.approx(1)
    assert analyse.svcca(x, rng.normal(size=x.shape)) < 0.3
    with pytest.raises(MultilingualError, match="there are 15 sentences, but SVCCA of 16 directions needs"):
        analyse.svcca(x[:15], rng.normal(size=(15, 8)))
    with pytest.raises(MultilingualError, match="neuron by neuron"):
        analyse.anc(x, x[:, :4])
    with pytest.raises(MultilingualError, match="does not vary"):
        analyse.cka(x, np.ones((200, 3)))


# --- language-neutral spaces -------------------------------------------------------------------


@pytest.fixture
def marked() -> dict[str, np.ndarray]:
    """The same 300 meanings in three languages, each moved by a vector of its own and noise."""
    rng = np.random.default_rng(4)
    meaning = rng.normal(size=(300, 24))
    return {
        name: meaning + 0.6 * rng.normal(size=meaning.shape) + 6 * rng.normal(size=24) for name in ("deu", "fin", "hin")
    }


@pytest.mark.parametrize("kind", ["Centring", "LSAR", "Erasure"])
def test_what_marks_the_language_is_taken_out(marked: dict[str, np.ndarray], kind: str) -> None:
    fitted = getattr(analyse, kind).fit(marked)
    neutral = {name: fitted.transform(vectors, name) for name, vectors in marked.items()}
    before, _ = analyse.language_probe(marked)
    after, chance = analyse.language_probe(neutral)
    assert before > 0.99 and chance == pytest.approx(1 / 3, abs=0.01)
    assert abs(after - chance) < 3 * np.sqrt(chance * (1 - chance) / 450) + 0.02
    right = [(align.retrieve(v["deu"], v["hin"])[0] == np.arange(300)).mean() for v in (marked, neutral)]
    assert right[1] > right[0] + 0.1


def test_each_languages_first_direction_goes(marked: dict[str, np.ndarray]) -> None:
    fitted = analyse.LIR.fit(marked)
    for name, vectors in marked.items():
        left = fitted.transform(vectors, name)
        assert np.linalg.norm(left.mean(axis=0)) < 0.1 * np.linalg.norm(vectors.mean(axis=0))
        np.testing.assert_allclose(left @ fitted.bases[name], 0, atol=1e-9)
    with pytest.raises(MultilingualError, match="'swe' was not fitted; there are deu, fin, hin"):
        fitted.transform(marked["deu"], "swe")


def test_erasure_leaves_no_covariance_with_the_language(marked: dict[str, np.ndarray]) -> None:
    fitted = analyse.Erasure.fit(marked)
    means = [fitted.transform(vectors).mean(axis=0) for vectors in marked.values()]
    np.testing.assert_allclose(means[0], means[1], atol=1e-8)
    np.testing.assert_allclose(means[0], means[2], atol=1e-8)
    assert np.linalg.matrix_rank(np.eye(24) - fitted.projection, tol=1e-8) == 22  # two directions go, no more


# --- syntax ------------------------------------------------------------------------------------


def test_structural_probe_finds_a_tree_that_is_there() -> None:
    rng = np.random.default_rng(5)
    hidden = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    sentences, heads = [], []
    for _ in range(80):
        n = int(rng.integers(4, 10))
        tree = [-1, *(int(rng.integers(0, i)) for i in range(1, n))]
        places = np.zeros((n, 32))
        for i in range(1, n):  # one axis an edge: squared distances are then distances in the tree
            places[i] = places[tree[i]] + np.eye(32)[i]
        sentences.append(places @ hidden + 0.05 * rng.normal(size=places.shape))
        heads.append(tree)
    probe = analyse.fit_structural_probe(sentences[:60], heads[:60], rank=16, steps=200)
    edges, correlation = probe.score(sentences[60:], heads[60:])
    assert edges > 0.9 and correlation > 0.85
    with pytest.raises(MultilingualError, match="no tree"):
        analyse.tree_distances([1, 0, 1])
    with pytest.raises(MultilingualError, match="needs at least 10"):
        analyse.fit_structural_probe(sentences[:3], heads[:3])


# --- typology and trees ------------------------------------------------------------------------


def test_distances_of_uriel() -> None:
    pytest.importorskip("lang2vec")
    assert analyse.distance("en", "de", "genetic") == pytest.approx(0.6336, abs=1e-4)  # as URIEL+ 1.3.2 prints it
    assert analyse.distance("eng", "deu", "geographic") == pytest.approx(0.0437, abs=1e-4)
    found = analyse.distances(["eng", "deu", "fin", "hin"], "syntactic")
    assert (found == found.T).all() and (np.diag(found) == 0).all() and found.min() >= 0 and found.max() <= 1
    assert analyse.distance("eng", "deu", "genetic") < analyse.distance("eng", "fin", "genetic") == pytest.approx(1)
    assert analyse.families("deu")[:2] == ("Indo-European", "Germanic")
    assert analyse.nearest("swe", ["hin", "deu", "fin"], ["genetic"])[0][0] == "deu"
    with pytest.raises(MultilingualError, match="did you mean syntactic"):
        analyse.distance("en", "de", "syntatic")
    with pytest.raises(MultilingualError, match="no genetic vector for Klingon"):
        analyse.distance("eng", "tlh", "genetic")


def test_tree_and_its_agreement_with_the_families() -> None:
    names = ["deu", "nld", "fin", "est"]
    apart = np.array([[0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 1.5], [4, 4, 1.5, 0]], float)
    tree = analyse.language_tree(apart, names)
    assert {frozenset(tree.order[:2]), frozenset(tree.order[2:])} == {frozenset(names[:2]), frozenset(names[2:])}
    assert tree.newick.count("(") == 3 and tree.newick.endswith(";")
    rng = np.random.default_rng(0)
    big = rng.random((9, 9))
    big = (big + big.T) * (1 - np.eye(9))
    correlation, p = analyse.family_agreement(big, big**2)
    assert correlation == pytest.approx(1) and p < 0.01
    noise = rng.random((9, 9))
    assert analyse.family_agreement(big, (noise + noise.T) * (1 - np.eye(9)))[1] > 0.05
    with pytest.raises(MultilingualError, match="no distances between 3 languages"):
        analyse.language_tree(apart, names[:3])


# --- factors -----------------------------------------------------------------------------------


def world(rng: np.random.Generator, n: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Scores that fall with distance, whatever the size."""
    names = [f"l{i}" for i in range(n)]
    apart, size = rng.random(n), rng.random(n)
    scores = 0.9 - 0.5 * apart + 0.05 * rng.normal(size=n)
    return (
        dict(zip(names, scores.tolist(), strict=True)),
        {
            "distance": dict(zip(names, apart.tolist(), strict=True)),
            "size": dict(zip(names, size.tolist(), strict=True)),
        },
    )


def test_the_factor_that_matters_is_found() -> None:
    scores, factors = world(np.random.default_rng(6), 25)
    report = analyse.explain_gap(scores, factors)
    assert report.correlation[0] < -0.8 and report.p_value[0] < 0.01 < report.p_value[1]
    assert report.r2 > 0.6 and abs(report.coefficient[0]) > 5 * abs(report.coefficient[1])
    with pytest.raises(MultilingualError, match="needs at least 6"):
        analyse.explain_gap({"a": 1.0, "b": 2.0}, factors)
    with pytest.raises(MultilingualError, match="'x' has no value for l0"):
        analyse.explain_gap(scores, {"x": {}})


def test_predicted_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    inside, width = 0, []
    for _ in range(60):
        scores, factors = world(rng, 16)
        truth = scores.pop("l15")
        found = analyse.predict_transfer(scores, factors, "l15", level=0.8)
        inside += found.low <= truth <= found.high
        width.append(found.high - found.low)
    assert 0.65 <= inside / 60 <= 0.95 and np.mean(width) < 0.3
    with pytest.raises(MultilingualError, match="has a score already"):
        analyse.predict_transfer(scores, factors, "l0")
    with pytest.raises(MultilingualError, match=r"an interval at 0.95 needs at least 19"):
        analyse.predict_transfer(scores, factors, "l15", level=0.95)


def test_overlap_of_vocabularies() -> None:
    assert analyse.vocabulary_overlap(["a", "b", "b"], ["b", "c"]) == pytest.approx(1 / 3)
