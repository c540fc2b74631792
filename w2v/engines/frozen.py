"""Words whose vectors stay as they are: a step that puts them back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task

if TYPE_CHECKING:
    from w2v.engines.step import Step

F32 = NDArray[np.float32]


class FrozenStep:
    """The step of a loss, after which frozen rows have their values again.

    A step computes the gradient from the model as it was before, and then moves every row once. So
    putting rows back after each step is exactly a step that does not move them: all others learn
    against their fixed values.

    Parameters
    ----------
    step
        The step of the loss; see `w2v.engines.step.Step`.
    task
        Its model has the values that stay, and `Task.frozen` says which.
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
        """See `w2v.engines.step.Step.update`."""
        tally = self.step.update(draw, rate)
        self.center.put_back(draw.inputs.ids)
        # The exact softmax moves the output vectors of all words.
        columns = getattr(draw, "columns", None)
        self.outside.put_back(None if columns is None else columns.rows)
        return tally


class _Fixed:
    """The rows of a matrix that stay; those of `frozen`, bool (V,)."""

    def __init__(self, matrix: F32, frozen: NDArray[np.bool_]) -> None:
        self.matrix = matrix
        self.rows = np.flatnonzero(frozen)
        self.values = matrix[self.rows]
        self.place = np.full(len(frozen), -1, np.int64)
        self.place[self.rows] = np.arange(len(self.rows))

    def put_back(self, moved: NDArray[np.integer] | None) -> None:
        """Restore those of the rows that may have moved; None: all."""
        if moved is None:
            self.matrix[self.rows] = self.values
            return
        rows = np.unique(moved)
        places = self.place[rows]
        self.matrix[rows[places >= 0]] = self.values[places[places >= 0]]
