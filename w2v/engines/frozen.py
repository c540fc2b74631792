"""Freeze the vectors of some words: undo their changes after each training step."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task

if TYPE_CHECKING:
    from w2v.engines.step import Step

F32 = NDArray[np.float32]


class FrozenStep:
    """A training step that leaves the vectors of some words unchanged.

    It wraps the step of a loss, and writes the old values of the frozen vectors back after each
    update. The result is the same as if these vectors had never been updated, because a step
    computes all gradients before it changes any vector.

    Parameters
    ----------
    step
        The wrapped step, which updates the model by one batch.
    task
        The training task. ``task.frozen`` says which vectors are frozen, and ``task.model`` has
        their values.
    """

    def __init__(self, step: "Step[Any]", task: Task) -> None:
        assert task.frozen is not None
        self.step = step
        self.batch_words = step.batch_words
        self.batch_size: Callable[[int], int] = step.batch_size
        self.draw: Callable[..., Any] = step.draw
        self.loss: Callable[[Any], Tally] = step.loss
        self.state: Callable[[], dict[str, NDArray[Any]]] = step.state
        self.center = _Fixed(task.model.center, task.frozen.center)
        self.outside = _Fixed(task.model.outside, task.frozen.outside)

    def update(self, draw: Any, rate: float) -> Tally:
        """Update the model by one batch, except for the frozen vectors.

        `draw` is what the method `draw` returned for the batch, and `rate` the learning rate.
        Return the summed weight of the pairs of the batch, and the weighted sum of their losses
        before the update. The field `words` of the result is 0, because the caller counts the
        words.
        """
        tally = self.step.update(draw, rate)
        self.center.put_back(draw.inputs.ids)
        # The exact softmax moves the output vectors of all words.
        columns = getattr(draw, "columns", None)
        self.outside.put_back(None if columns is None else columns.rows)
        return tally


class _Fixed:
    """The frozen rows of a matrix, and a copy of their values.

    ``frozen`` is a bool array with an element for each row, true for those that are frozen.
    """

    def __init__(self, matrix: F32, frozen: NDArray[np.bool_]) -> None:
        self.matrix = matrix
        self.rows = np.flatnonzero(frozen)
        self.values = matrix[self.rows]
        self.place = np.full(len(frozen), -1, np.int64)
        self.place[self.rows] = np.arange(len(self.rows))

    def put_back(self, moved: NDArray[np.integer] | None) -> None:
        """Restore the frozen rows whose indices are in `moved`; if it is None, all frozen rows."""
        if moved is None:
            self.matrix[self.rows] = self.values
            return
        rows = np.unique(moved)
        places = self.place[rows]
        self.matrix[rows[places >= 0]] = self.values[places[places >= 0]]
