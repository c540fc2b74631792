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

        A tile is `CENTERS` consecutive center words, which have the same output words. The first W
        output words of a tile are words that may be predicted. The other n are noise words (see
        `noise_words`). `SHARED` consecutive center words, which are several tiles, have the same
        noise words.

        The loss of each pair is multiplied by the pair's weight. For a word that may be predicted,
        the weight is given in `weights`. For a noise word, it is `negatives` / n times the sum of
        the center word's weights in `weights`. The expected gradient thus equals that of
        `negatives` independent noise words for every pair of a center word and a predicted word.

        The noise words of a shard (part of the text) are numbered in order, n for every `SHARED`
        center words. Each noise word is a function of `key`, of its number, and of n
        (`w2v.sampling.draw_evenly`).

        Parameters
        ----------
        words : int32 (B, W)
            For each of the B tiles of a batch, the W words that may be predicted.
        weights : float32 (B, CENTERS, W)
            The weight of each center word together with each of these words; 0 for no pair.
        key
            The key from which the noise words are computed.
        first
            The position, in the shard, of the batch's first center word. Positions count only the
            words that sub-sampling has kept.

        Returns
        -------
        Columns
            The output words, int32 (B, W + n); the weights, float32 (B, CENTERS, W + n); and W, the
            number of output words of a tile that are positive examples.
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
