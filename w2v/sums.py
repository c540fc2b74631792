"""Weighted sums of rows of a matrix: the input vectors of CBOW and of words with n-grams."""

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
    """n weighted sums of rows of a matrix, in compressed sparse row (CSR) form.

    Input vectors are such sums: with CBOW, of the vectors of context words; with n-grams, of the
    row of a word and the rows of its n-grams. An entry is one occurrence of a row in a sum; there
    are E of them. If `starts`, `weights` and `shares` are None, sum i is the single row ``ids[i]``,
    with the weight 1.

    Attributes
    ----------
    ids : int32 (E,)
        The row of each entry.
    starts : int32 (n + 1,)
        Sum i has the entries ``starts[i]`` to ``starts[i + 1] - 1``; it may be empty.
    weights : float32 (E,)
        The weight of each row in its sum.
    shares : float32 (E,)
        In training, the gradient of a sum times the share is added to the gradient of the entry's
        row. With the weights as shares, this is the exact gradient.
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
        """Return the index of each sum's first entry, then the number of entries: int32 (n + 1,).

        An entry is one occurrence of a row in a sum. The result is the attribute `starts`. If that
        is None, each sum has exactly one entry, and the result is 0, 1, …, n.
        """
        return np.arange(len(self.ids) + 1, dtype=np.int32) if self.starts is None else self.starts

    def take(self, chosen: NDArray[np.integer[Any]]) -> "Sums":
        """Return the sums with the indices `chosen`, in this order."""
        if self.starts is None or self.weights is None or self.shares is None:
            return Sums(self.ids[chosen])
        lengths = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        entries = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], lengths)
        return Sums(self.ids[entries], starts, self.weights[entries], self.shares[entries])

    def equal(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Group equal sums, so that the caller can compute one sum for each group.

        If `starts` is None, each of the n sums is a single row, and the sums of the same row form a
        group. Otherwise sums are not compared: each is a group of its own.

        Returns
        -------
        order : intp (n,)
            The indices of the sums, in an order in which equal sums are consecutive.
        borders : intp (groups + 1,)
            The index in `order` of the first sum of each group, followed by n.
        """
        if self.starts is not None:
            return np.arange(self.count), np.arange(self.count + 1)
        order = np.argsort(self.ids, kind="stable")
        _, first = np.unique(self.ids[order], return_index=True)
        return order, np.append(first, len(order))

    def distinct(self) -> int:
        """Return how many different sums there are; sums without any row are not counted.

        A sum is a weighted sum of rows of a table. If each sum is a single row (`starts` is None),
        all sums of the same row count as one. Otherwise sums may have several rows and are not
        compared: each counts.
        """
        return int(np.count_nonzero(self.used()[self.equal()[1][:-1]]))

    def used(self) -> NDArray[np.bool_]:
        """Return, for each of the n weighted sums of rows, whether it has a summand: bool (n,)."""
        return np.diff(self.borders()) > 0

    def totals(self) -> F32:
        """Return, for each of the n weighted sums of rows, the sum of its weights: float32 (n,)."""
        if self.weights is None or self.starts is None:
            return np.ones(len(self.ids), np.float32)
        owner = np.repeat(np.arange(self.count), np.diff(self.starts))
        totals = np.bincount(owner, self.weights, minlength=self.count)
        return totals.astype(np.float32)

    def matrix(self, values: F32 | None) -> "tuple[I32, sp.csr_array]":
        """Return a sparse matrix with a row for each sum and a column for each table row in use.

        The n sums add up rows of a table; an entry is one occurrence of a table row in a sum. With
        `weights` as values, the matrix times the table rows in use gives the sums. With `shares`,
        its transpose times the gradients of the sums gives the gradients of these table rows.

        Parameters
        ----------
        values : float32 (E,)
            A number for each of the E entries: the attribute `weights` or `shares`. None: each is
            1.

        Returns
        -------
        rows : int32 (m,)
            The indices of the m table rows in use, ascending.
        matrix : sparse (n, m)
            Element (i, j) is the total of `values` over the entries of sum i with table row
            ``rows[j]``.
        """
        import scipy.sparse as sp

        rows, places = np.unique(self.ids, return_inverse=True)
        if values is None:
            values = np.ones(len(self.ids), np.float32)
        entries = values, places.astype(np.int32), self.borders()
        return rows, sp.csr_array(entries, shape=(self.count, len(rows)))

    def of(self, table: F32) -> F32:
        """Compute these n weighted sums from the rows of the matrix `table`, (V, d).

        The result is float32 (n, d).
        """
        if self.starts is None:
            chosen: F32 = table[self.ids]
            return chosen
        rows, weights = self.matrix(self.weights)
        return np.asarray(weights @ table[rows])
