"""Several trainings as one: what they agree on, and how much of it another training would change.

M. Antoniak, D. Mimno (2018), Evaluating the stability of embedding-based word similarities: similar
words and cosines should be averaged over trainings on bootstrap samples of the documents.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.procrustes import align
from w2v.evaluate.statistics import prediction_interval
from w2v.vectors import WordVectors
from w2v.vectors.search import nearest_rows, top_k

BANDS = (1_000, 3_000, 10_000)
"""The frequency ranks at which bands of words end."""


class Estimate(NamedTuple):
    """A figure over the runs of an ensemble.

    Attributes
    ----------
    mean
        Over the runs.
    low, high
        95 % prediction interval: where the figure of one more run is expected.
    values
        The figure of each run.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


class EnsembleNeighbour(NamedTuple):
    """A word near to another one.

    Attributes
    ----------
    word
        The neighbour.
    cosine
        The mean cosine over the runs.
    low, high
        95 % prediction interval of the cosine in one more run.
    share
        The fraction of the runs in which it is among the k nearest words.
    """

    word: str
    cosine: float
    low: float
    high: float
    share: float


class Agreement(NamedTuple):
    """How far runs agree on the nearest neighbours of a word.

    Attributes
    ----------
    word
    rank
        The word's frequency rank among the words of all runs, from 1.
    share
        The fraction of its k nearest neighbours that two runs have in common, the mean over all
        pairs of runs.
    """

    word: str
    rank: int
    share: float


class Band(NamedTuple):
    """The agreement of words of similar frequency.

    Attributes
    ----------
    first, last
        Frequency ranks, from 1.
    share
        The mean of the `Agreement` of the words that were compared.
    least
        The words whose neighbours agree least.
    """

    first: int
    last: int
    share: float
    least: list[Agreement]


class Ensemble:
    """The vectors of several trainings that differ only in the seed, or in the documents drawn.

    Parameters
    ----------
    runs
        Two or more. Only words that all of them have are considered.
    vocabulary
        Only this many of these words are considered, the most frequent ones in the first run. The
        unit vectors of all of them are kept in memory: runs × vocabulary × dimensions × 4 bytes.

    Attributes
    ----------
    words
        The V words, the most frequent one first.
    counts
        int64 (V,), of the first run; None if it has none.

    Raises
    ------
    InputError
        There are fewer than two runs, or fewer than two words that all of them have.
    """

    def __init__(self, runs: Iterable[WordVectors], vocabulary: int = 30_000) -> None:
        runs = list(runs)
        if len(runs) < 2:
            raise InputError(f"{len(runs)} runs make no ensemble; give the vectors of 2 or more")
        first = runs[0]
        ordered = (first.words[row] for row in first.by_frequency)
        self.words = [word for word in ordered if all(word in run for run in runs)][:vocabulary]
        if len(self.words) < 2:
            raise InputError(
                f"the runs have {len(self.words)} words in common; 2 or more are needed"
            )
        rows = [first.row(word) for word in self.words]
        self.counts = None if first.counts is None else first.counts[rows]
        self.units = [run.unit_rows([run.row(word) for word in self.words]) for run in runs]
        """The vectors of each run, scaled to length 1: float32 (V, d)."""
        self._rows = {word: row for row, word in enumerate(self.words)}

    @classmethod
    def load(cls, paths: Iterable[str | Path], vocabulary: int = 30_000) -> Self:
        """Load the vectors of runs; each path is one that `WordVectors.load` takes.

        Raises
        ------
        InputError
            See `WordVectors.load` and `Ensemble`.
        """
        return cls((WordVectors.load(path) for path in paths), vocabulary)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.units)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def row(self, word: str) -> int:
        """Return the row of a word in `words`.

        Raises
        ------
        InputError
            It is not among them.
        """
        if word not in self._rows:
            raise InputError(f"{word!r} is not among the {len(self.words):,} words of all runs")
        return self._rows[word]

    def similarity(self, one: str, other: str) -> Estimate:
        """Return the cosine of two words.

        Raises
        ------
        InputError
            One of them is not in `words`.
        """
        rows = self.row(one), self.row(other)
        return self._estimate([float(unit[rows[0]] @ unit[rows[1]]) for unit in self.units])

    def nearest(self, word: str, k: int = 10) -> list[EnsembleNeighbour]:
        """Return the k words with the largest mean cosine to a word, the nearest first.

        Raises
        ------
        InputError
            The word is not in `words`, or k < 1.
        """
        if k < 1:
            raise InputError(f"k={k}: must be at least 1")
        row, k = self.row(word), min(k, len(self.words) - 1)
        cosines = np.stack([unit @ unit[row] for unit in self.units])
        cosines[:, row] = -np.inf
        among = np.zeros(cosines.shape, bool)
        np.put_along_axis(among, top_k(cosines, k), True, axis=1)
        means = cosines.mean(axis=0, dtype=np.float64)
        found = []
        for other in top_k(means[None], k)[0].tolist():
            estimate = self._estimate(cosines[:, other].tolist())
            share = float(among[:, other].mean())
            found.append(EnsembleNeighbour(self.words[other], *estimate[:3], share))
        return found

    def agreement(self, k: int = 10, words: int = 2000) -> list[Agreement]:
        """Return how far the runs agree on the k nearest neighbours of words.

        Parameters
        ----------
        words
            How many are compared, evenly spaced by frequency rank.

        Returns
        -------
        list of Agreement
            In the order of `words`.

        References
        ----------
        L. Wendlandt, J. Kummerfeld, R. Mihalcea (2018), Factors influencing the surprising
        instability of word embeddings.
        """
        size, runs = len(self.words), len(self.units)
        k = min(k, size - 1)
        asked = np.unique(np.linspace(0, size - 1, min(words, size)).astype(np.intp))
        near = [nearest_rows(unit[asked], unit, k, asked)[0] for unit in self.units]
        found = []
        for index, row in enumerate(asked.tolist()):
            # Two runs share a neighbour once for each pair of the runs that have it.
            _, times = np.unique(np.concatenate([one[index] for one in near]), return_counts=True)
            share = float((times * (times - 1)).sum()) / (k * runs * (runs - 1))
            found.append(Agreement(self.words[row], row + 1, share))
        return found

    def bands(self, agreement: Sequence[Agreement], least: int = 8) -> list[Band]:
        """Divide what `agreement` returned into bands of frequency.

        Parameters
        ----------
        least
            How many of the words that agree least each band names.
        """
        ends = [*(end for end in BANDS if end < len(self.words)), len(self.words)]
        bands, first = [], 1
        for last in ends:
            inside = [one for one in agreement if first <= one.rank <= last]
            ordered = sorted(inside, key=lambda one: one.share)
            if inside:
                mean = float(np.mean([one.share for one in inside]))
                bands.append(Band(first, last, mean, ordered[:least]))
            first = last + 1
        return bands

    @cached_property
    def aligned(self) -> list[NDArray[np.float32]]:
        """The unit vectors of each run, rotated so that they agree as far as they can.

        Raises
        ------
        InputError
            The runs have vectors of different lengths.
        """
        return align(self.units, np.arange(len(self.words)))

    def mean(self) -> WordVectors:
        """Return the means of the aligned unit vectors, for maps and for tools that take one set.

        Raises
        ------
        InputError
            The runs have vectors of different lengths.
        """
        return WordVectors(self.words, np.mean(self.aligned, axis=0), self.counts)

    def _estimate(self, cosines: Sequence[float]) -> Estimate:
        """Return the estimate of a cosine, whose interval is symmetric on Fisher's scale."""
        bounded = np.clip(cosines, -1 + 1e-7, 1 - 1e-7)
        low, high = np.tanh(prediction_interval(np.arctanh(bounded)))
        return Estimate(float(np.mean(cosines)), float(low), float(high), tuple(cosines))
