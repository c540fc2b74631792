"""Ensembles: average several training runs, and estimate how much one more run would differ.

References
----------
M. Antoniak, D. Mimno (2018), Evaluating the stability of embedding-based word similarities. They
recommend averaging cosines and neighbors over runs on bootstrap samples of the documents.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.procrustes import align
from w2v.evaluate.statistics import prediction_interval
from w2v.settings import check_whole
from w2v.vectors import WordVectors
from w2v.vectors.nearest import nearest_rows, top_k

BANDS = (1_000, 3_000, 10_000)
"""The frequency ranks at which bands of words end. The last band ends at the rarest word."""


class Estimate(NamedTuple):
    """The mean of a quantity over the runs of an ensemble, with a prediction interval.

    Attributes
    ----------
    mean
        The mean over the runs.
    low, high
        The 95 % prediction interval for the value of one more run.
    values
        The value of each run.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


class EnsembleNeighbour(NamedTuple):
    """One of the nearest neighbors of a word by the mean cosine over all runs of an ensemble.

    Attributes
    ----------
    word
        The neighbor.
    cosine
        The mean cosine over the runs.
    low, high
        The 95 % prediction interval for the cosine in one more run.
    share
        The fraction of runs in which the neighbor is among the k nearest words, where k is the
        number of neighbors that were requested.
    """

    word: str
    cosine: float
    low: float
    high: float
    share: float


class Agreement(NamedTuple):
    """The agreement of runs on the k nearest neighbors of a word.

    Attributes
    ----------
    word
        The word.
    rank
        The word's frequency rank, from 1, among the words of the ensemble.
    share
        The fraction of the k neighbors that two runs have in common, averaged over all pairs of
        runs.
    """

    word: str
    rank: int
    share: float


class Band(NamedTuple):
    """The agreement of runs on the nearest neighbors of words of similar frequency.

    Attributes
    ----------
    first, last
        The range of frequency ranks, from 1.
    share
        The mean of `Agreement.share` over the words of this band that were compared.
    least
        The compared words of this band on which the runs agree least, in ascending order of
        agreement.
    """

    first: int
    last: int
    share: float
    least: list[Agreement]


class HasVectors(Protocol):
    """Any object with the attribute `vectors`, such as a trained model (`w2v.TrainedModel`)."""

    @property
    def vectors(self) -> WordVectors:
        """The word vectors."""


def vectors_of(name: str, run: object) -> WordVectors:
    """Return `run` if it is a `WordVectors`, else its attribute ``vectors``.

    A trained model, such as `w2v.TrainedModel`, has this attribute. `name` is the name of the
    user's argument that holds `run`, for the error message.

    Raises
    ------
    InputError
        `run` is neither a `WordVectors` nor has one as its attribute ``vectors``; for example, it
        is a path.
    """
    found = run if isinstance(run, WordVectors) else getattr(run, "vectors", None)
    if not isinstance(found, WordVectors):
        raise InputError(
            f"{name}: holds {run!r:.60}; word vectors or trained models are needed, and "
            "WordVectors.load reads paths"
        )
    return found


class Ensemble:
    """The vectors of several training runs that differ only in the seed or in a bootstrap sample.

    Parameters
    ----------
    runs
        The vectors, or the trained models, of two or more runs.
    vocabulary
        Only this many of the words that occur in all runs are used, the most frequent ones in the
        first run. Their unit vectors take runs × vocabulary × dimensions × 4 bytes of memory.

    Attributes
    ----------
    words
        The V words that are used, by descending frequency in the first run.
    counts
        The count of each word in the first run, int64 (V,); None if that run has no counts.

    Raises
    ------
    InputError
        There are fewer than two runs or two common words, a run has no vectors, `vocabulary` is not
        a whole number of at least 2, or a vector that is used contains NaN or an infinity.
    """

    def __init__(self, runs: Iterable[WordVectors | HasVectors], vocabulary: int = 30_000) -> None:
        found = [vectors_of("runs", run) for run in runs]
        check_whole("vocabulary", vocabulary, 2)
        if len(found) < 2:
            raise InputError(f"{len(found)} runs make no ensemble; give the vectors of 2 or more")
        first = found[0]
        ordered = (first.words[row] for row in first.by_frequency)
        self.words = [word for word in ordered if all(word in run for run in found)][:vocabulary]
        if len(self.words) < 2:
            raise InputError(
                f"the runs have {len(self.words)} words in common; 2 or more are needed"
            )
        rows = [first.row(word) for word in self.words]
        self.counts = None if first.counts is None else first.counts[rows]
        self.units = [run.unit_rows([run.row(word) for word in self.words]) for run in found]
        """The vectors of each run, scaled to length 1: float32 (V, d)."""
        self._rows = {word: row for row, word in enumerate(self.words)}

    @classmethod
    def load(cls, paths: Iterable[str | Path], vocabulary: int = 30_000) -> Self:
        """Load an ensemble from one file or folder per run, each as `WordVectors.load` reads it.

        Parameters
        ----------
        paths
            The file or folder of each run.
        vocabulary
            Of the words that all runs have, only this many are used, the most frequent ones in the
            first run.

        Raises
        ------
        InputError
            A file cannot be loaded, there are fewer than two runs, `vocabulary` is not a whole
            number of at least 2, the runs have fewer than two words in common, or the vector of a
            word that is used contains NaN or an infinity.
        """
        return cls((WordVectors.load(path) for path in paths), vocabulary)

    def __len__(self) -> int:
        return len(self.units)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def row(self, word: str) -> int:
        """Return the index of a word in `words`.

        Raises
        ------
        InputError
            The word is not in `words`.
        """
        if not isinstance(word, str) or word not in self._rows:
            raise InputError(f"{word!r:.60} is not among the {len(self.words):,} words of all runs")
        return self._rows[word]

    def similarity(self, one: str, other: str) -> Estimate:
        """Return the mean cosine of two words over the runs, with a prediction interval.

        Raises
        ------
        InputError
            One of the words is not in `words`.
        """
        rows = self.row(one), self.row(other)
        return self._estimate([float(unit[rows[0]] @ unit[rows[1]]) for unit in self.units])

    def nearest(self, word: str, k: int = 10) -> list[EnsembleNeighbour]:
        """Return the k words with the largest mean cosine to a word, the nearest first.

        If there are fewer than k other words, all of them are returned.

        Raises
        ------
        InputError
            The word is not in `words`, or k is not a whole number of at least 1.
        """
        check_whole("k", k)
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
        """Measure the agreement of the runs on the k nearest neighbors of words.

        Parameters
        ----------
        k
            The number of nearest neighbors; fewer if there are fewer other words.
        words
            The neighbors of at most this many words are compared. The words are evenly spaced by
            frequency rank.

        Returns
        -------
        list of Agreement
            One for each word whose neighbors are compared, the most frequent word first.

        Raises
        ------
        InputError
            `k` or `words` is not a whole number of at least 1.

        References
        ----------
        L. Wendlandt, J. Kummerfeld, R. Mihalcea (2018), Factors influencing the surprising
        instability of word embeddings.
        """
        check_whole("k", k)
        check_whole("words", words)
        size, runs = len(self.words), len(self.units)
        k = min(k, size - 1)
        asked = np.unique(np.linspace(0, size - 1, min(words, size)).astype(np.intp))
        near = [nearest_rows(unit[asked], unit, k, asked)[0] for unit in self.units]
        found = []
        for index, row in enumerate(asked.tolist()):
            # A neighbor that t runs have is shared by t (t - 1) / 2 pairs of runs.
            _, times = np.unique(np.concatenate([one[index] for one in near]), return_counts=True)
            share = float((times * (times - 1)).sum()) / (k * runs * (runs - 1))
            found.append(Agreement(self.words[row], row + 1, share))
        return found

    def bands(self, agreement: Sequence[Agreement], least: int = 8) -> list[Band]:
        """Summarize the runs' agreement on nearest neighbors for each band of frequency ranks.

        The bands end at the ranks in `BANDS`, the last one at the rarest word. Bands without a word
        in `agreement` are left out.

        Parameters
        ----------
        agreement
            The result of the method `agreement`.
        least
            The number of words to list in each band: those on which the runs agree least.
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
        """The unit vectors of each run, float32 (V, d), rotated to agree with their common mean.

        Row i is the vector of ``words[i]``; all runs have these V words. The rotations minimize the
        squared distances from the mean over the runs (generalized Procrustes analysis).

        Raises
        ------
        InputError
            The runs have vectors of different dimensions.
        """
        return align(self.units, np.arange(len(self.words)))

    def mean(self) -> WordVectors:
        """Return the mean over runs of the aligned unit vectors, as one set of word vectors.

        Raises
        ------
        InputError
            The runs have vectors of different dimensions.
        """
        return WordVectors(self.words, np.mean(self.aligned, axis=0), self.counts)

    def _estimate(self, cosines: Sequence[float]) -> Estimate:
        """Return the mean of `cosines`, with the 95 % prediction interval for one more run.

        `cosines` has the cosine of the same two words in each run of the ensemble. The interval is
        computed from Fisher's z-transforms of the cosines.
        """
        bounded = np.clip(cosines, -1 + 1e-7, 1 - 1e-7)
        low, high = np.tanh(prediction_interval(np.arctanh(bounded)))
        return Estimate(float(np.mean(cosines)), float(low), float(high), tuple(cosines))
