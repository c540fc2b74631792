"""``engine=numpy``: every loss in plain NumPy, as matrix products over batches of running text."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.step import make_step, sample, step_rate, steps
from w2v.sampling import Key, draw_key, keep_probabilities, keep_thresholds
from w2v.text.tokens import Batch, Text


@cache
def blas_library() -> Any:
    """Return the control of the BLAS library's threads."""
    # Imported when it is used: the compiled kernels do without it.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class NumpyEngine:
    """Trains by the `Step` of the loss.

    Matrix products run on one thread each, since the order in which the BLAS library sums depends
    on the number of its threads. A step may compute several of them at a time.
    """

    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keep = keep_thresholds(task.counts, task.objective.subsample)
        self.step = make_step(task)
        share = keep_probabilities(task.counts, task.objective.subsample) @ task.counts
        kept = float(share) / float(task.counts.sum())
        # At least one whole batch where sub-sampling leaves what it leaves on average.
        self.shard_words = max(1 << 16, round(self.step.batch_words / kept))

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        key = draw_key(random)
        words, batches = self._batches(text, key)
        tally = Tally(words=words)
        with blas_library().limit(limits=1):
            for number, (first, batch) in enumerate(batches):
                rate = step_rate(rates, number, len(batches))
                tally += self.step.update(self.step.draw(batch, key, first), rate)
        return tally

    def state(self) -> dict[str, NDArray[Any]]:
        """See `w2v.engines.Engine.state`."""
        return self.step.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `w2v.engines.Engine.restore`."""
        for name, array in self.step.state().items():
            array[:] = state[name]

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """Return the loss on a text, with the same sub-sampling, windows and noise as training.

        The model is not changed, so equal generators give comparable losses.
        """
        key = draw_key(random)
        words, batches = self._batches(text, key)
        tally = Tally(words=words)
        with blas_library().limit(limits=1):
            for first, batch in batches:
                tally += self.step.loss(self.step.draw(batch, key, first))
        return tally

    def _batches(self, text: Text, key: Key) -> tuple[int, list[tuple[int, Batch]]]:
        """Return the words of a text before sub-sampling, and its batches (see `steps`)."""
        words, kept = sample(text, self.keep, key)
        size = self.step.batch_size(len(kept.ids))
        return words, steps(kept, size, self.task.objective.window)
