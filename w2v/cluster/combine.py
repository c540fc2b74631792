"""Combine the changes that several workers made to the same model into one change.

Several workers may change the same row. A change is the value of a row after a worker's training,
minus its value before. The combined change is

- ``sum``: the sum of the changes;
- ``mean``: their mean over the workers that changed the row;
- ``orthogonal``: the sum of the part of each change that is orthogonal to the sum so far. Equal
  changes count once, and orthogonal changes count in full;
- ``sequential``: an estimate of the change if the workers had trained one after another
  (`w2v.cluster.approach`). It is close to the sum for rare words and to the mean for frequent ones.

References
----------
For ``orthogonal``: Gill et al. (2021), Distributed Training of Embeddings using Graph Analytics;
derived by Maleki, Musuvathi and Mytkowicz (2018).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.cluster import kernels
from w2v.cluster.settings import COMBINERS


class Rows(NamedTuple):
    """Some rows of a model, whose input and output matrix are concatenated.

    Attributes
    ----------
    numbers : int32 (n,)
        The indices of the rows, ascending. Rows of the output matrix follow those of the input
        matrix.
    values : float32 (n, d)
        The rows themselves.
    """

    numbers: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.numbers.nbytes + self.values.nbytes

    def piece(self, number: int, pieces: int) -> "Rows":
        """Return one of `pieces` pieces of these rows, so that each process can combine one piece.

        Piece `number`, from 0, has the rows whose index in the model, modulo `pieces`, is `number`.
        """
        if pieces == 1:
            return self
        chosen = self.numbers % pieces == number
        return Rows(self.numbers[chosen], self.values[chosen])


def combine(
    table: NDArray[np.float32],
    changes: Sequence[Rows],
    how: str,
    approach: NDArray[np.float32] | None = None,
) -> Rows:
    """Combine the changes that workers made to the rows of a model.

    Parameters
    ----------
    table : float32 (rows, d)
        All rows before the changes.
    changes
        For each worker, the rows that it changed, with their new values.
    how
        How changes of the same row are combined, one of `w2v.cluster.settings.COMBINERS`.
    approach : float32 (rows,)
        How far one worker moves each row towards its optimum: 0 means not at all, infinity all the
        way (`w2v.cluster.approach`). Only ``sequential`` needs it: with 0, changes are added up;
        the larger it is, the less each further worker adds.

    Returns
    -------
    Rows
        All changed rows, with their new values. A row that only one worker changed has exactly this
        worker's value. The value of a row is the same, bit for bit, whichever other rows are
        combined in the call.
    """
    if len(changes) == 1:
        return changes[0]
    numbers = np.unique(np.concatenate([change.numbers for change in changes]))
    total = np.zeros((len(numbers), table.shape[1]), np.float32)
    times = np.zeros(len(numbers), np.int32)
    ways = np.zeros(1, np.float32) if approach is None else approach[numbers]
    number = COMBINERS.index(how)
    for change in changes:
        places = np.searchsorted(numbers, change.numbers).astype(np.int32)
        before = table[change.numbers]
        kernels.add_changes(total, times, places, before, change.values, number, ways)
    if how in ("mean", "sequential"):
        kernels.scale_changes(total, times, number, ways)
    total += table[numbers]
    for change in changes:  # a row that only one worker changed gets exactly its value
        found = np.searchsorted(numbers, change.numbers)
        alone = times[found] == 1
        total[found[alone]] = change.values[alone]
    return Rows(numbers, total)
