"""Sums of rows of a matrix: what predicts, where it is not a row itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import scipy.sparse as sp

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Sums:
    """n weighted sums of rows of a matrix.

    Sum i has the entries ``starts[i] : starts[i + 1]`` of the other arrays; it may have none. If
    the other three are None, it is row ``ids[i]`` alone.

    Attributes
    ----------
    ids : int32 (E,)
        The rows. A row may occur several times in a sum.
    starts : int32 (n + 1,)
    weights : float32 (E,)
        What each row is multiplied by.
    shares : float32 (E,)
        What the gradient by the sum is multiplied by to get the update of each row: for the
        gradient of the loss, the weights.
    """

    ids: I32
    starts: I32 | None = None
    weights: F32 | None = None
    shares: F32 | None = None

    @property
    def count(self) -> int:
        """The number of sums, n."""
        return len(self.ids) if self.starts is None else len(self.starts) - 1

    def borders(self) -> I32:
        """Return `starts`, made if there are none."""
        return np.arange(len(self.ids) + 1, dtype=np.int32) if self.starts is None else self.starts

    def take(self, chosen: NDArray[np.integer[Any]]) -> "Sums":
        """Return some of the sums, in the given order."""
        if self.starts is None or self.weights is None or self.shares is None:
            return Sums(self.ids[chosen])
        lengths = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        entries = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], lengths)
        return Sums(self.ids[entries], starts, self.weights[entries], self.shares[entries])

    def equal(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return an order in which equal sums are consecutive, and where each begins, and the end.

        Only sums of one row are compared; others count as different.
        """
        if self.starts is not None:
            return np.arange(self.count), np.arange(self.count + 1)
        order = np.argsort(self.ids, kind="stable")
        _, first = np.unique(self.ids[order], return_index=True)
        return order, np.append(first, len(order))

    def distinct(self) -> int:
        """Count the sums that are used, without repetitions of equal ones (see `equal`)."""
        return int(np.count_nonzero(self.used()[self.equal()[1][:-1]]))

    def used(self) -> NDArray[np.bool_]:
        """Tell which sums have at least one row, (n,)."""
        return np.diff(self.borders()) > 0

    def totals(self) -> F32:
        """Return the sum of the weights of each sum, (n,)."""
        if self.weights is None or self.starts is None:
            return np.ones(len(self.ids), np.float32)
        owner = np.repeat(np.arange(self.count), np.diff(self.starts))
        totals = np.bincount(owner, self.weights, minlength=self.count)
        return totals.astype(np.float32)

    def matrix(self, values: F32 | None) -> "tuple[I32, sp.csr_array]":
        """Return the distinct rows, (m,), and a value of each in each sum as a matrix (n, m).

        Parameters
        ----------
        values
            `weights` or `shares`.
        """
        import scipy.sparse as sp

        rows, places = np.unique(self.ids, return_inverse=True)
        if values is None:
            values = np.ones(len(self.ids), np.float32)
        entries = values, places.astype(np.int32), self.borders()
        return rows, sp.csr_array(entries, shape=(self.count, len(rows)))

    def of(self, table: F32) -> F32:
        """Return the sums of rows of a table, (n, d)."""
        if self.starts is None:
            chosen: F32 = table[self.ids]
            return chosen
        rows, weights = self.matrix(self.weights)
        return np.asarray(weights @ table[rows])
