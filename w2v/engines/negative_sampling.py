"""The training step of negative sampling in NumPy.

A tile is a number of consecutive center words. The step draws noise words, which several tiles
share, and sets the weights of pairs.
"""

import numpy as np

from w2v.engines import Task
from w2v.engines.step import NOISE_WORDS
from w2v.engines.tiles import CBOW_NOISE, CENTERS, NOISE, SHARED, Columns, LogisticStep
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
        self.shared = NOISE if self.reach else CBOW_NOISE

    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:
        """Return the output words of each tile, and the weight of each with each center word.

        A tile is `CENTERS` consecutive center words. `SHARED` consecutive center words, which are
        several tiles, share n noise words, where n is `NOISE` for skip-gram and `CBOW_NOISE` for
        CBOW. The output words of a tile are the words in and around it, which may be predicted, and
        then its noise words. The weight of a center word and a word that may be predicted is that
        of their pair, 0 if they are not a pair. The weight of a center word and a noise word is
        `negatives` / n times the summed weight of all pairs of the center word, so that the
        expected gradient equals that of `negatives` independent noise words for every pair.

        Group g of center words, those from g * `SHARED` to (g + 1) * `SHARED` - 1 in the
        sub-sampled shard (part of the text), has the noise words with the numbers g * n to
        (g + 1) * n - 1. Each noise word is a function of `key`, of its number, and of n
        (`w2v.sampling.draw_evenly`).

        The parameters are those of `LogisticStep.columns`.
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
