"""How the changes that workers make to the same model in a round become one change.

After a round, several workers have changed the row of a frequent word, each from the same start.
``sum`` adds their changes up. ``mean`` divides that by the number of workers that changed the row.
``orthogonal`` adds of each change, in the order of the workers' numbers, the part that is
orthogonal to the sum so far: changes that agree count once, and changes that have nothing to do
with each other count in full. ``sequential`` weighs the changes as if the workers had trained one
after another, see `w2v.cluster.approach`: the changes of rare words are summed, those of frequent
ones averaged, and those that agree count the less, the more often the row was trained.

References
----------
``orthogonal`` is the model combiner of Gill et al. (2021), Distributed Training of Embeddings using
Graph Analytics; Maleki, Musuvathi and Mytkowicz (2018) derive it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.cluster import kernels

COMBINERS = {
    "sum": kernels.SUM,
    "mean": kernels.MEAN,
    "orthogonal": kernels.ORTHOGONAL,
    "sequential": kernels.SEQUENTIAL,
}


class Rows(NamedTuple):
    """Some rows of the two tables of a model, which are counted as those of one table.

    Attributes
    ----------
    numbers : int32 (n,)
        Rising. Those of the output table follow those of the input table.
    values : float32 (n, d)
        The rows as they are after a round.
    """

    numbers: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.numbers.nbytes + self.values.nbytes

    def piece(self, number: int, pieces: int) -> "Rows":
        """Return the rows of one of so many pieces: row r belongs to piece r modulo `pieces`."""
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
    """Combine what the workers have made of some rows.

    Parameters
    ----------
    table : float32 (rows, d)
        All rows before the round.
    changes
        The rows that each worker has changed, in the order of the workers' numbers.
    how
        A key of `COMBINERS`.
    approach : float32 (rows,)
        Needed for ``sequential``; see `w2v.cluster.approach.approach`.

    Returns
    -------
    Rows
        Every row that was changed, as it is after the round. The bits of a row depend on its own
        values alone. If one worker has changed it, it is as that worker left it.
    """
    if len(changes) == 1:
        return changes[0]
    numbers = np.unique(np.concatenate([change.numbers for change in changes]))
    total = np.zeros((len(numbers), table.shape[1]), np.float32)
    times = np.zeros(len(numbers), np.int32)
    ways = np.zeros(1, np.float32) if approach is None else approach[numbers]
    for change in changes:
        places = np.searchsorted(numbers, change.numbers).astype(np.int32)
        before = table[change.numbers]
        kernels.add_changes(total, times, places, before, change.values, COMBINERS[how], ways)
    if how in ("mean", "sequential"):
        kernels.scale_changes(total, times, COMBINERS[how], ways)
    total += table[numbers]
    for change in changes:  # exactly as the only worker left it, without rounding
        found = np.searchsorted(numbers, change.numbers)
        alone = times[found] == 1
        total[found[alone]] = change.values[alone]
    return Rows(numbers, total)
