"""The training step: one update of the model by one batch of text. Each loss implements its own.

All engines but gensim train on a shard, a part of the text, in this way:

1. The engine draws a `Key`, which determines all random numbers of the shard.
2. `sample` removes words by sub-sampling. The others are cut into batches of center words. Windows
   extend into the neighboring batches, but not into other documents.
3. `Step.draw` draws the other random numbers of a batch, for example its noise words.
4. `Step.update` computes the gradient from the vectors before the step, and updates every vector
   once.

Two of these engines with the same seed, batch size and shard size give the same results up to
rounding errors, for any number of threads.
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
"""Constants that stand for the purposes of random numbers. Numbers for different purposes are
independent, even if they are drawn with the same key and counter (`w2v.sampling.draw`)."""


def window_block(window: int) -> int:
    """Return for how many consecutive center words CBOW draws one window size from 1 to `window`.

    These words are called a block. Their windows have the same size and overlap, so the sums over
    the windows take few additions. A block has 64 words. For a `window` above 32, its length is the
    smallest power of two that is at least 2 * `window`, but at most 256. The length divides
    `tiles.STEP_MULTIPLE`, so a step of `tiles.step_words` words consists of whole blocks.
    """
    block = 64
    while block < min(2 * window, 256):
        block *= 2
    return block


def sample(text: Text, keep: UInt32Array, key: Key) -> tuple[int, Batch]:
    """Read a shard, a part of the text, and remove words by sub-sampling.

    A word is kept if a random uint32 is at most the word's threshold. The random number is a
    function of `key` and of the word's position in the shard. Positions count all tokens, also
    those outside the vocabulary, which are never kept.

    Parameters
    ----------
    keep : uint32 (V,)
        The threshold of each word of the vocabulary, from `w2v.sampling.keep_thresholds`.

    Returns
    -------
    words : int
        The number of tokens that are words of the vocabulary, before sub-sampling.
    batch
        The words that are kept.
    """
    ids, documents, positions = text.read()
    kept = draw(key, SUBSAMPLING, positions)[0] <= keep[ids]
    return len(ids), Batch(ids[kept], documents[kept])


def steps(batch: Batch, size: int, window: int) -> list[tuple[int, Batch]]:
    """Cut a sub-sampled shard (part of the text) into batches of at most `size` center words.

    A batch also contains the `window` words before and after its center words. At the ends of the
    shard, padding with document number -1 takes their place.

    Returns
    -------
    list of (first, batch)
        For each batch, the position of its first center word in the sub-sampled shard, and the
        batch.
    """
    m = window
    ids, documents = np.pad(batch.ids, m), np.pad(batch.documents, m, constant_values=-1)
    return [
        (first, Batch(ids[first : first + size + 2 * m], documents[first : first + size + 2 * m]))
        for first in range(0, len(batch.ids), size)
    ]


def step_rate(rates: tuple[float, float], step: int, steps: int) -> float:
    """Return the learning rate of a step, interpolated linearly from ``rates[0]`` to ``rates[1]``.

    Step 0 has the rate ``rates[0]``. The first step after the last, number `steps`, would have the
    rate ``rates[1]``.
    """
    return rates[0] + (rates[1] - rates[0]) * step / steps


class Buffers:
    """Named float32 arrays whose memory is kept and reused, because allocation takes time."""

    def __init__(self) -> None:
        self.memory: dict[str, NDArray[np.float32]] = {}

    def get(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return an array of the given shape, with arbitrary contents or those of the last use.

        Arrays of one name share their memory, so an array is valid until the next call with its
        name.
        """
        size = math.prod(shape)
        if name not in self.memory or len(self.memory[name]) < size:
            self.memory[name] = np.empty(size, np.float32)
        return self.memory[name][:size].reshape(shape)


class Step(Protocol[Draw]):
    """Interface of the NumPy training step of a loss: one gradient update by one batch.

    `draw` makes all random choices of a batch; `loss` and `update` are deterministic. Tests can
    thus give the same draw to a simple implementation of the update, and compare the results.
    """

    batch_words: int
    """The approximate number of center words in a batch, after sub-sampling (see `batch_size`)."""

    def batch_size(self, words: int) -> int:
        """Return the number of center words per batch.

        `words` is the number of words to cut into batches, after sub-sampling.
        """
        ...

    def draw(self, batch: Batch, key: Key, first: int) -> Draw:
        """Make all random choices of a batch, and return what `loss` and `update` need.

        The next call may overwrite the result.

        Parameters
        ----------
        batch
            The center words, with the m words before and the m words after them; m is the window
            size.
        key
            The key from which the random numbers of the shard (part of the text) are computed.
        first
            The position, in the shard, of the batch's first center word. Positions count only the
            words that sub-sampling has kept.
        """
        ...

    def loss(self, draw: Draw) -> Tally:
        """Return the summed weight of the pairs of a batch, and the weighted sum of their losses.

        `draw` is what the method `draw` returned for the batch. The loss of each pair is multiplied
        by the pair's weight. For CBOW, each predicted word counts as one pair of weight 1. The
        field `words` of the result is 0, because the caller counts the words. The model is not
        changed.
        """
        ...

    def update(self, draw: Draw, rate: float) -> Tally:
        """Update the model by one batch at the learning rate `rate`.

        `draw` is what the method `draw` returned for the batch. Return the summed weight of the
        pairs of the batch (for CBOW, the number of predicted words), and the weighted sum of their
        losses before the update. The field `words` of the result is 0, because the caller counts
        the words.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, by name, that later updates depend on in addition to the model.

        The arrays are not copied.
        """
        ...


def make_step(task: Task) -> Step[Any]:
    """Make the training step for the loss of a task.

    The step does not change the vectors that the task has frozen.
    """
    module, name = task.objective.loss.step.split(":")
    step: Step[Any] = getattr(import_module(module), name)(task)
    if task.frozen is None:
        return step
    from w2v.engines.frozen import FrozenStep

    return FrozenStep(step, task)
