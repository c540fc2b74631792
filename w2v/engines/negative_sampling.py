"""The training step of negative sampling in NumPy.

A tile is a number of consecutive center words. The step draws noise words, which several tiles
share, and sets the weights of pairs.
"""

import numpy as np

from w2v.engines import Task
from w2v.engines.step import NOISE_WORDS
from w2v.engines.tiles import CENTERS, NOISE, SHARED, Columns, LogisticStep
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

    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:
        """Return the output words of each tile, and the weight of each with each center word.

        A tile is `CENTERS` consecutive center words; `SHARED` consecutive center words, which are
        several tiles, share `NOISE` noise words. The output words of a tile are the words in and
        around it, which may be predicted, and then its noise words. The weight of a center word and
        a word that may be predicted is that of their pair, 0 if they are not a pair. The weight of
        a center word and a noise word is `negatives` / `NOISE` times the summed weight of all pairs
        of the center word, so that the expected gradient equals that of `negatives` independent
        noise words for every pair.

        The center words n * `SHARED` to (n + 1) * `SHARED` - 1 of the sub-sampled shard (part of
        the text) have the noise words with the numbers n * `NOISE` to (n + 1) * `NOISE` - 1. Each
        noise word is a function of `key` and of its number (`w2v.sampling.draw_evenly`).

        The parameters are those of `LogisticStep.columns`.
        """
        groups = (first + CENTERS * np.arange(len(words))) // SHARED
        numbers = groups[:, None] * NOISE + np.arange(NOISE)
        noise = self.noise.words(draw_evenly(key, NOISE_WORDS, numbers, NOISE))
        every = self.buffers.get("weights", len(words), CENTERS, self.pairs + NOISE)
        every[:, :, : self.pairs] = weights
        pairs = weights.sum(axis=2, keepdims=True)
        every[:, :, self.pairs :] = np.float32(self.negatives / NOISE) * pairs
        return Columns(np.concatenate([words, noise], axis=1), every, self.pairs)
