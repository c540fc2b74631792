"""A step: what the engines compute, and the one place where losses differ.

An engine trains on a shard of the text in *steps*. They are the same for all engines, on any number
of threads or devices:

1. The engine draws a `Key` from the generator of the shard. All that is random follows from it.
2. `sample` removes words by sub-sampling. The words that are left are cut into batches of
   ``batch_size`` center words. Windows reach into the batches beside, but not across documents.
3. `Step.draw` draws what else is random about a batch, such as noise words.
4. `Step.update` computes the loss and its gradient from the model as it is before the step, adds up
   the gradients of words that occur several times, and moves every row once.

Engines agree to rounding, and differ in how they compute.
"""

import math
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.sampling import Key, UInt32Array, draw
from w2v.text.tokens import Batch, Text

Draw = TypeVar("Draw")

SUBSAMPLING, NOISE_WORDS, WINDOW_SIZES = 0, 1, 2
"""The purposes of draws, see `w2v.sampling.draw`."""


def sample(text: Text, keep: UInt32Array, key: Key) -> tuple[int, Batch]:
    """Read a shard of the text and sub-sample it.

    A token is kept if the first number of its draw is not above its word's number in `keep`. The
    number of the draw is the token's position in the shard, where tokens outside the vocabulary
    count, too.

    Parameters
    ----------
    keep : uint32 (V,)
        See `w2v.sampling.keep_thresholds`.

    Returns
    -------
    words
        The words of the vocabulary before sub-sampling.
    batch
        The words that are kept.
    """
    ids, documents, positions = text.read()
    kept = draw(key, SUBSAMPLING, positions)[0] <= keep[ids]
    return len(ids), Batch(ids[kept], documents[kept])


def steps(batch: Batch, size: int, window: int) -> list[tuple[int, Batch]]:
    """Cut the words that sub-sampling keeps into batches of `size` center words or fewer.

    Returns
    -------
    list of (first, batch)
        The position of the first center word, and a batch that has `window` more words before
        and after its centers. They belong to the batches beside it or, at the ends of the text,
        to no document (-1).
    """
    m = window
    ids, documents = np.pad(batch.ids, m), np.pad(batch.documents, m, constant_values=-1)
    return [
        (first, Batch(ids[first : first + size + 2 * m], documents[first : first + size + 2 * m]))
        for first in range(0, len(batch.ids), size)
    ]


def step_rate(rates: tuple[float, float], step: int, steps: int) -> float:
    """Return the learning rate of a step, where it changes linearly over the steps of a shard."""
    return rates[0] + (rates[1] - rates[0]) * step / steps


class Buffers:
    """Arrays of float32 by name, whose memory is used again.

    Fresh arrays of the size of a batch cost page faults, more than the arithmetic on them.
    """

    def __init__(self) -> None:
        self.memory: dict[str, NDArray[np.float32]] = {}

    def get(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return an array of a shape, valid until the next one of that name; its values vary."""
        size = math.prod(shape)
        if name not in self.memory or len(self.memory[name]) < size:
            self.memory[name] = np.empty(size, np.float32)
        return self.memory[name][:size].reshape(shape)


class Step(Protocol[Draw]):
    """The interface of a loss's step, which works on NumPy arrays.

    A step class is made from a `Task`. What is random about a batch is drawn first, so that a
    slow oracle can compute the same update from the same draw.
    """

    batch_words: int
    """Words of a batch, after sub-sampling."""

    def batch_size(self, words: int) -> int:
        """Return the size of the batches that a text of `words` sub-sampled words is cut into."""
        ...

    def draw(self, batch: Batch, key: Key, first: int) -> Draw:
        """Draw all that is random about a batch. The result is valid until the next draw.

        Parameters
        ----------
        batch
            The center words and the m words before and after them, see `steps`.
        key
            The key of the shard.
        first
            The position of the first center word in the sub-sampled shard.
        """
        ...

    def loss(self, draw: Draw) -> Tally:
        """Return how many pairs a batch has and the sum of their losses. The model stays."""
        ...

    def update(self, draw: Draw, rate: float) -> Tally:
        """Update the model by a batch. The tally is of the model before the update."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays beside the model that later updates depend on, by name, not copied."""
        ...


def make_step(task: Task) -> Step[Any]:
    """Make the step of a task's loss."""
    module, name = task.objective.loss.step.split(":")
    step: Step[Any] = getattr(import_module(module), name)(task)
    if task.frozen is None:
        return step
    from w2v.engines.frozen import FrozenStep

    return FrozenStep(step, task)
