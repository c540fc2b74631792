"""``engine=numpy``: train any loss in plain NumPy, by matrix products over batches of text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.step import make_step, sample, step_rate, steps
from w2v.sampling import Key, draw_key, keep_probabilities, keep_thresholds
from w2v.text.tokens import Batch, Text
from w2v.threads import limited_threads


class NumpyEngine:
    """An engine in plain NumPy. It trains every loss and architecture, and can freeze vectors.

    BLAS is limited to one thread, because its order of summation, and so its results, depend on the
    number of threads. The training step of a loss may still compute several matrix products at the
    same time.
    """

    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keep = keep_thresholds(task.counts, task.objective.subsample)
        self.step = make_step(task)
        share = keep_probabilities(task.counts, task.objective.subsample) @ task.counts
        kept = float(share) / float(task.counts.sum())
        # A shard has enough tokens for one whole batch after average sub-sampling.
        wanted = self.step.batch_words / max(kept, 1e-12)
        self.shard_words = max(1 << 16, round(wanted))

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on a shard (part of the text) once, batch by batch; update the model in place.

        `rates` has the learning rate at the start and at the end of the shard. Return the number of
        tokens that are words of the vocabulary, before sub-sampling; the summed weight of the
        (center, outside) pairs; and the weighted sum of their losses. With the setting
        `dynamic_window`, the weight of a pair at distance j is (m - j + 1) / m for a window size of
        m; otherwise it is 1. For CBOW, each predicted word counts as one pair of weight 1.
        """
        key = draw_key(random)
        words, batches = self._batches(text, key)
        tally = Tally(words=words)
        with limited_threads(1):
            for number, (first, batch) in enumerate(batches):
                rate = step_rate(rates, number, len(batches))
                tally += self.step.update(self.step.draw(batch, key, first), rate)
        return tally

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, by name, that later updates depend on in addition to the model.

        The arrays are not copied.
        """
        return self.step.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy the arrays of an earlier engine's state into this engine.

        `state` is what the method `state` of that engine returned. That engine must have been made
        for the same training task: the same objective, vocabulary and text.
        """
        for name, array in self.step.state().items():
            array[:] = state[name]

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """Sum the loss over a text, with sub-sampling, windows and noise words as in training.

        Return the number of tokens that are words of the vocabulary, before sub-sampling; the
        summed weight of the (center, outside) pairs, as in `train`; and the weighted sum of their
        losses. The model is not changed. Two calls with equally seeded generators use the same
        random numbers, so that their losses can be compared.
        """
        key = draw_key(random)
        words, batches = self._batches(text, key)
        tally = Tally(words=words)
        with limited_threads(1):
            for first, batch in batches:
                tally += self.step.loss(self.step.draw(batch, key, first))
        return tally

    def _batches(self, text: Text, key: Key) -> tuple[int, list[tuple[int, Batch]]]:
        """Sub-sample a text and cut it into batches of center words.

        Random numbers are computed from `key`. Return how many tokens of the text, before
        sub-sampling, are words of the vocabulary; and a list with a pair for each batch. The pair
        has the position of the batch's first center word in the sub-sampled text, and the words of
        the batch.
        """
        words, kept = sample(text, self.keep, key)
        size = self.step.batch_size(len(kept.ids))
        return words, steps(kept, size, self.task.objective.window)
