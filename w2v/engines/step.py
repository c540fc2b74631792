"""A step: the one place where losses differ. It draws, scores and learns from a batch of text."""

from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.text.tokens import Batch

Draw = TypeVar("Draw")


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

    def draw(self, batch: Batch, random: np.random.Generator) -> Draw:
        """Draw all that is random about a batch. The result is valid until the next draw."""
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
