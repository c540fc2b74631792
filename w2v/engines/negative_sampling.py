"""The training step of negative sampling in NumPy.

A tile is a number of consecutive center words. For each tile, the step selects the output words:
the words to predict, and random noise words, which several tiles share.
"""

import numpy as np

from w2v.engines import Task
from w2v.engines.step import NOISE_WORDS
from w2v.engines.tiles import CENTERS, SHARED, Columns, LogisticStep, noise_words
from w2v.losses import NegativeSampling
from w2v.sampling import Key, NoiseDistribution, draw_evenly
from w2v.sums import F32, I32


class NegativeSamplingStep(LogisticStep):
    """NumPy training step of negative sampling: one update of the model by one batch."""

    def __init__(self, task: Task, words: int | None = None) -> None:
        super().__init__(task, words)
        loss = task.objective.loss
        assert isinstance(loss, NegativeSampling)
        self.negatives = loss.negatives
        self.noise = NoiseDistribution(task.counts, loss.exponent)
        self.shared = noise_words(task.objective)

    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:
        """Return the output words of each tile, and the weight of each (center, output word) pair.

        The output words of a tile (`CENTERS` consecutive center words) are W words that may be
        predicted and n noise words. `SHARED` consecutive center words, which are several tiles,
        have the same noise words, which are computed from `key` (`w2v.sampling.draw_evenly`). The
        weight of a noise word is `negatives` / n times the sum of the center word's weights in
        `weights`: the expected gradient equals that of `negatives` independent noise words for each
        pair with a predicted word.

        Parameters
        ----------
        words : int32 (B, W)
            For each of the B tiles of a batch, the W words that may be predicted.
        weights : float32 (B, CENTERS, W)
            The weight of each center word together with each of these words; 0 for no pair.
        first
            The position of the batch's first center word among the words of the shard (part of the
            text) that sub-sampling has kept.

        Returns
        -------
        Columns
            The output words, int32 (B, W + n); the weights, float32 (B, CENTERS, W + n), which the
            next call overwrites; and W, the number of positive examples.
        """
        n = self.shared
        groups = (first + CENTERS * np.arange(len(words))) // SHARED
        numbers = groups[:, None] * n + np.arange(n)
        noise = self.noise.words(draw_evenly(key, NOISE_WORDS, numbers, n))
        every = self.buffers.get("weights", len(words), CENTERS, self.pairs + n)
        every[:, :, : self.pairs] = weights
        pairs = weights.sum(axis=2, keepdims=True)
        every[:, :, self.pairs :] = np.float32(self.negatives / n) * pairs
        return Columns(np.concatenate([words, noise], axis=1), every, self.pairs)
