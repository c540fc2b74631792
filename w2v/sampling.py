"""Random choices: seeded generators, sub-sampling and the noise distribution."""

import zlib

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator of one purpose, independent of all others with the same seed.

    Parameters
    ----------
    seed
        The seed of the run.
    purpose
        What is drawn, such as ``"train"``.
    indices
        For example an epoch and a shard. Each has a generator of its own, so that training can
        resume there without the states of earlier generators.
    """
    key = (zlib.crc32(purpose.encode()), *indices)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def keep_probabilities(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float32]:
    """Return the probability that the sub-sampling of frequent words keeps each word.

    It is ``min(1, sqrt(t / f) + t / f)`` for a word of relative frequency f, as in the code of
    word2vec (Mikolov et al. 2013, section 2.3, describe a close variant).

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
    threshold
        t; 0 keeps every word.

    Returns
    -------
    float32 (V,)
    """
    if threshold == 0:
        return np.ones(len(counts), np.float32)
    ratio = threshold * counts.sum() / counts
    kept: NDArray[np.float32] = np.minimum(1, np.sqrt(ratio) + ratio).astype(np.float32)
    return kept


class NoiseDistribution:
    """Draws words in proportion to count ** exponent, in constant time by Walker's alias method.

    A draw first chooses one of V cells at random, each with the same probability.

    Attributes
    ----------
    probabilities : float64 (V,)
        The probability of each word.
    threshold : float32 (V,)
        The probability that a draw in cell w is word w.
    alias : int32 (V,)
        The word that is drawn in cell w otherwise.

    References
    ----------
    A. J. Walker (1977), ACM Transactions on Mathematical Software 3, 253-256.
    """

    def __init__(self, counts: NDArray[np.int64], exponent: float) -> None:
        # Counts are divided by that of the most probable word, so that powers cannot overflow.
        weights = (counts / (counts.max() if exponent > 0 else counts.min())) ** exponent
        self.probabilities = weights / weights.sum()
        size = len(counts)
        threshold = self.probabilities * size
        alias = np.arange(size)
        small = [i for i in range(size) if threshold[i] < 1]
        large = [i for i in range(size) if threshold[i] >= 1]
        while small and large:
            low, high = small.pop(), large.pop()
            alias[low] = high
            threshold[high] -= 1 - threshold[low]
            (small if threshold[high] < 1 else large).append(high)
        threshold[small + large] = 1
        self.threshold = threshold.astype(np.float32)
        self.alias = alias.astype(np.int32)

    def draw(self, random: np.random.Generator, shape: int | tuple[int, ...]) -> NDArray[np.int32]:
        """Draw words: an int32 array of the given shape."""
        cell = random.integers(len(self.alias), size=shape, dtype=np.int32)
        is_cell = random.random(shape, dtype=np.float32) < self.threshold[cell]
        return np.where(is_cell, cell, self.alias[cell])
