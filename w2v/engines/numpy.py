"""``engine=numpy``: every loss in plain NumPy, as matrix products over batches of running text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.step import make_step
from w2v.sampling import keep_probabilities
from w2v.text.tokens import Batch, Text


class NumpyEngine:
    """Trains by the `Step` of the loss. The matrix products use the BLAS library's threads."""

    compile_seconds = 0.0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keep = keep_probabilities(task.counts, task.objective.subsample)
        self.step = make_step(task)
        kept = float(self.keep @ task.counts) / float(task.counts.sum())
        # At least one whole batch where sub-sampling leaves what it leaves on average.
        self.shard_words = max(1 << 16, round(self.step.batch_words / kept))

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """See `w2v.engines.Engine.train`."""
        words, batches = self._batches(text, random)
        start, end = rates
        tally = Tally(words=words)
        for number, batch in enumerate(batches):
            rate = start + (end - start) * number / len(batches)
            tally += self.step.update(self.step.draw(batch, random), rate)
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
        words, batches = self._batches(text, random)
        tally = Tally(words=words)
        for batch in batches:
            tally += self.step.loss(self.step.draw(batch, random))
        return tally

    def _batches(self, text: Text, random: np.random.Generator) -> tuple[int, list[Batch]]:
        """Read a text, sub-sample it and cut it into batches.

        Returns
        -------
        int
            The words before sub-sampling.
        list of Batch
            Each holds its center words and the m words before and after them. Those belong to
            the batches beside it or, at the ends of the text, to no document (-1).
        """
        ids, documents = text.read()
        kept = random.random(len(ids), dtype=np.float32) < self.keep[ids]
        m = self.task.objective.window
        sampled, owners = np.pad(ids[kept], m), np.pad(documents[kept], m, constant_values=-1)
        size = self.step.batch_size(len(sampled) - 2 * m)
        return len(ids), [
            Batch(sampled[first : first + size + 2 * m], owners[first : first + size + 2 * m])
            for first in range(0, len(sampled) - 2 * m, size)
        ]
