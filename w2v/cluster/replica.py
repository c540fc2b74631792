"""A replica: the copy of the model in one process, on which one or more workers train."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.cluster import kernels
from w2v.cluster.approach import F64, approach, row_terms
from w2v.cluster.combine import Rows, combine
from w2v.engines import Tally, Task, make_engine
from w2v.objectives import Model
from w2v.text.tokens import Text

Spans = NDArray[np.int64]


class Part(NamedTuple):
    """The part of the text that one worker trains on in a round, and the learning rates for it.

    After each round, the changes of all workers are combined.

    Attributes
    ----------
    spans : int64 (documents, 2)
        The start and end of each document in the tokens of the text.
    rates
        The learning rate at the start and at the end of this part.
    random
        The random generator of this worker in this round. It does not depend on the number of
        processes.
    """

    spans: Spans
    rates: tuple[float, float]
    random: np.random.Generator


class Way(NamedTuple):
    """How the changes that several workers made to the model are combined.

    Attributes
    ----------
    how
        The method, as in the setting ``cluster.combine``: ``sum``, ``mean``, ``orthogonal`` or
        ``sequential``.
    steps
        Two numbers, one for the input and one for the output matrix. Only ``sequential`` uses them
        (`w2v.cluster.approach`). Each is the learning rate, times the number of words that a worker
        trains on between two combinations, times the mean squared length of the rows of the other
        matrix. In this mean, the weight of a row is the number of loss terms that contain it.
    """

    how: str
    steps: tuple[float, float] = (0.0, 0.0)


class Done(NamedTuple):
    """The report of a worker after it has trained on its part of the text for a round.

    Attributes
    ----------
    tally
        The number of words and pairs trained on, and their loss.
    seconds
        The time spent on training and on finding the changed rows.
    nbytes
        The size of the changed rows of the model in bytes.
    """

    tally: Tally
    seconds: float
    nbytes: int


class Replica:
    """A copy of the model in one process, and the engine that trains it.

    The text of a round is divided into parts, one for each worker. A replica does the work of one
    or more workers, one after another: it trains on a part, returns the changed rows, and sets its
    model back. At the end of the round, the changes of all workers are combined and applied to all
    replicas.

    Parameters
    ----------
    engine
        The name of an engine whose `distributes` in `w2v.engines.ENGINES` is True.
    task
        The training task, whose model is copied.
    text
        The text that all workers share.
    """

    def __init__(self, engine: str, task: Task, text: Text) -> None:
        # Copied: some engines train the arrays that they are given, which may be shared.
        task = replace(task, model=Model(*map(np.array, task.model)))
        self.engine = make_engine(engine, task)
        self.text = text
        self.table = np.concatenate(task.model)
        self.tables = self.engine.task.model
        self.terms: tuple[F64, F64] | None = None

    def compile_seconds(self) -> float:
        """Return the seconds spent on compiling kernels, or on loading compiled ones."""
        return self.engine.compile_seconds

    def load(self, table: NDArray[np.float32]) -> None:
        """Set the model to `table`: input and output vectors concatenated, float32 (rows, d)."""
        self.table[:] = table
        center, outside = self.tables
        center[:], outside[:] = np.split(self.table, [len(center)])

    def train(self, part: Part, pieces: int = 1) -> "tuple[Done | Rows, ...]":
        """Train on one worker's part of the text, and return the rows of the model that it changed.

        The model is then set back to its values before the training.

        Returns
        -------
        done : Done
            The report of the worker.
        *changed : Rows
            The rows that the worker changed, divided into `pieces` pieces by `Rows.piece`.
        """
        begun = time.perf_counter()
        text = Text(self.text.tokens, self.text.ids, part.spans)
        # Overflow makes the loss infinite or NaN, which is checked after the round.
        with np.errstate(all="ignore"):
            tally = self.engine.train(text, part.rates, part.random)
        changed = self._take_changes()
        done = Done(tally, time.perf_counter() - begun, changed.nbytes)
        return done, *(changed.piece(number, pieces) for number in range(pieces))

    def _take_changes(self) -> Rows:
        first, found = 0, []
        for table in self.tables:
            before = self.table[first : first + len(table)]
            rows = self._changed_rows(before.view(np.int32), table.view(np.int32))
            found.append(Rows(rows + np.int32(first), table[rows]))
            table[rows] = before[rows]
            first += len(table)
        return Rows(*map(np.concatenate, zip(*found, strict=True)))

    def _changed_rows(self, before: NDArray[np.int32], now: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the indices of the rows of a matrix that training has changed, int32 (n,).

        `before` and `now` are the matrix before and after training, int32 (rows, d): views of the
        float32 values as integers, so that they are compared bit by bit. Several threads do this.
        """
        threads = self.engine.task.threads
        firsts = np.linspace(0, len(before), threads + 1).astype(np.int32)

        def find(first: np.int32, end: np.int32) -> NDArray[np.int32]:
            return first + kernels.changed_rows(before[first:end], now[first:end])

        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(find, firsts[:-1], firsts[1:])))

    def combine(self, way: Way, *changes: Rows) -> tuple[float, Rows]:
        """Combine the changes that several workers made to rows of the model in one round.

        `way` says how, for example by their mean; see `w2v.cluster.combine`. `changes` has one
        element for each worker: the rows that it changed, with the values that its training gave
        them. Workers may have changed different rows. The model of this replica stays as it is.

        Returns
        -------
        seconds
            The time that this took.
        combined
            The rows that any worker changed, with their combined new values.
        """
        begun = time.perf_counter()
        ways = None
        if way.how == "sequential":
            self.terms = self.terms or row_terms(self.engine.task)
            ways = approach(self.terms, way.steps)
        combined = combine(self.table, changes, way.how, ways)
        return time.perf_counter() - begun, combined

    def apply(self, *combined: Rows) -> float:
        """Set rows of the model to new values, which combine the changes of all workers.

        Each element of `combined` holds the indices and the new values of some rows, as `combine`
        returns them. Return the seconds that this took.
        """
        begun = time.perf_counter()
        for rows in combined:
            self.table[rows.numbers] = rows.values
        center, outside = self.tables
        for table, first in ((center, 0), (outside, len(center))):
            for rows in combined:
                start, end = np.searchsorted(rows.numbers, [first, first + len(table)])
                table[rows.numbers[start:end] - first] = rows.values[start:end]
        return time.perf_counter() - begun
