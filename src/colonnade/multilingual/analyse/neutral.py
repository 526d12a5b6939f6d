"""Language-neutral subspaces: what is left of sentence vectors when what marks the language is taken out.

Centring: Libovický et al. 2020 (arXiv:2004.05160). LSAR: the low-rank subspace of the languages' means (Xie et al.
2022, arXiv:2401.05792). LIR: the leading components of each language (Yang et al. 2021, arXiv:2109.04727). Erasure:
least-squares concept erasure, after which no linear map predicts the language better than a constant (Belrose et al.
2023, arXiv:2306.03819). All are fitted on vectors by language, and apply to vectors of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough

Vectors = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Centring:
    """Subtracts each language's mean."""

    means: Mapping[str, FloatArray]

    @classmethod
    def fit(cls, vectors: Vectors) -> Centring:
        """Means of each language."""
        return cls({name: one.mean(axis=0) for name, one in _checked(vectors).items()})

    def transform(self, vectors: FloatArray, language: str) -> FloatArray:
        """Vectors of one language without its mean.

        Raises:
            MultilingualError: the language was not there when this was fitted.
        """
        return np.asarray(vectors - _known(self.means, language))


@dataclass(frozen=True)
class LSAR:
    """Projects off the subspace in which the languages' means differ; `basis` is (d, rank), orthonormal."""

    basis: FloatArray

    @classmethod
    def fit(cls, vectors: Vectors, rank: int = 0) -> LSAR:
        """Args:
        vectors: by language.
        rank: of the subspace, at most the number of languages minus one, which 0 stands for.
        """
        means = np.stack([one.mean(axis=0) for one in _checked(vectors).values()])
        most = min(len(means) - 1, means.shape[1])
        between("rank", rank, 0, most)
        _, _, right = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
        return cls(right[: rank or most].T)

    def transform(self, vectors: FloatArray, language: str = "") -> FloatArray:
        """Vectors without their part in the subspace; the same for every language, also one never seen."""
        return np.asarray(vectors - (vectors @ self.basis) @ self.basis.T)


@dataclass(frozen=True)
class LIR:
    """Projects off the leading directions of each language's own vectors; `bases[language]` is (d, k)."""

    bases: Mapping[str, FloatArray]

    @classmethod
    def fit(cls, vectors: Vectors, k: int = 1) -> LIR:
        """Args:
        vectors: by language, not centred: the first direction is close to the language's mean.
        k: directions to remove.
        """
        checked = _checked(vectors)
        between("k", k, 1, min(min(one.shape) for one in checked.values()))
        return cls({name: np.linalg.svd(one, full_matrices=False)[2][:k].T for name, one in checked.items()})

    def transform(self, vectors: FloatArray, language: str) -> FloatArray:
        """Vectors of one language without its leading directions."""
        basis = _known(self.bases, language)
        return np.asarray(vectors - (vectors @ basis) @ basis.T)


@dataclass(frozen=True)
class Erasure:
    """The least change of the vectors after which no linear classifier finds the language (LEACE)."""

    projection: FloatArray
    mean: FloatArray

    @classmethod
    def fit(cls, vectors: Vectors) -> Erasure:
        """Fit on vectors by language; languages of any sizes."""
        checked = _checked(vectors)
        x = np.concatenate(list(checked.values())).astype(np.float64)
        one_hot = np.repeat(np.eye(len(checked)), [len(one) for one in checked.values()], axis=0)
        mean = x.mean(axis=0)
        centred = x - mean
        values, directions = np.linalg.eigh(centred.T @ centred / len(x))
        kept = values > values.max() * 1e-10
        root = directions[:, kept] * np.sqrt(values[kept])
        whiten = (directions[:, kept] / np.sqrt(values[kept])).T
        cross = whiten @ (centred.T @ (one_hot - one_hot.mean(axis=0)) / len(x))
        left, singular, _ = np.linalg.svd(cross, full_matrices=False)
        basis = left[:, singular > singular.max() * 1e-8]
        return cls(root @ basis @ basis.T @ whiten, mean)

    def transform(self, vectors: FloatArray, language: str = "") -> FloatArray:
        """Vectors without what tells the language; the same for every language."""
        return np.asarray(vectors - (vectors - self.mean) @ self.projection.T)


def language_probe(vectors: Vectors, seed: int = 0, share: float = 0.5) -> tuple[float, float]:
    """Held-out accuracy of a linear classifier of the language, and its chance level (the largest share).

    Sentence i is either in the training half of every language or of none: a parallel sentence tells nothing.

    Raises:
        MultilingualError: fewer than two languages, or fewer than ten sentences in one.
    """
    from colonnade.multilingual.evaluate.probe import fit_probe

    checked = _checked(vectors)
    least = min(len(one) for one in checked.values())
    enough("sentences in the smallest language", least, 10, "a language probe")
    order = np.random.default_rng(seed).permutation(max(len(one) for one in checked.values()))
    train = set(order[: int(share * len(order))].tolist())
    names = list(checked)
    masks = {name: np.isin(np.arange(len(one)), list(train)) for name, one in checked.items()}
    x = np.concatenate([checked[name][masks[name]] for name in names])
    y = [name for name in names for _ in range(int(masks[name].sum()))]
    probe = fit_probe(x, y)
    held = np.concatenate([checked[name][~masks[name]] for name in names])
    truth = [name for name in names for _ in range(int((~masks[name]).sum()))]
    right = np.mean([a == b for a, b in zip(probe.predict(held), truth, strict=True)])
    return float(right), max(truth.count(name) for name in names) / len(truth)


def _checked(vectors: Vectors) -> dict[str, FloatArray]:
    enough("languages", len(vectors), 2, "a language-neutral space")
    widths = {one.shape[1] for one in vectors.values()}
    if len(widths) > 1:
        raise MultilingualError(f"vectors have {' and '.join(map(str, sorted(widths)))} dimensions; give one model's")
    for name, one in vectors.items():
        enough(f"sentences of {name}", len(one), 2, "a language-neutral space")
        if not np.isfinite(one).all():
            raise MultilingualError(f"vectors of {name} hold NaN or infinite values; the encoder is broken")
    return dict(vectors)


def _known(parts: Mapping[str, FloatArray], language: str) -> FloatArray:
    if language not in parts:
        raise MultilingualError(f"language {language!r} was not fitted; there are {', '.join(parts)}")
    return parts[language]
