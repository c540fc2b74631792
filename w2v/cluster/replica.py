"""A replica: a copy of the model in one process, which trains the parts of one or more workers."""

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
    """What one worker is to train in a round.

    Attributes
    ----------
    spans : int64 (documents, 2)
        Its documents in the tokens of the text.
    rates
        The learning rate at the start and at the end of the round.
    random
        The source of all randomness. It depends on the seed, the epoch, the round and the number
        of the worker.
    """

    spans: Spans
    rates: tuple[float, float]
    random: np.random.Generator


class Way(NamedTuple):
    """How the changes of a round are combined.

    Attributes
    ----------
    how
        A key of `w2v.cluster.combine.COMBINERS`.
    steps
        For ``sequential``; see `w2v.cluster.approach.approach`.
    """

    how: str
    steps: tuple[float, float] = (0.0, 0.0)


class Done(NamedTuple):
    """What a worker reports of a round.

    Attributes
    ----------
    tally
        How much it has trained, and the loss.
    seconds
        How long it has computed.
    nbytes
        The size of the rows that it has changed.
    """

    tally: Tally
    seconds: float
    nbytes: int


class Replica:
    """A copy of the model, and an engine that trains it.

    All replicas hold the same model at the start of a round. A replica trains the part of each of
    its workers from that model, and gives away the rows that were changed. The changes of all
    workers are combined, each row in one of the replicas, and all replicas take the result over.

    Parameters
    ----------
    engine
        A name in `w2v.engines.ENGINES`, of one that `distributes`.
    task
        Its model is not read, see `load`.
    text
        The documents to choose from.
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
        """Return the time that was spent on compiling kernels, or on loading compiled ones."""
        return self.engine.compile_seconds

    def load(self, table: NDArray[np.float32]) -> None:
        """Take a model over: both tables, one after the other, float32 (rows, d)."""
        self.table[:] = table
        center, outside = self.tables
        center[:], outside[:] = np.split(self.table, [len(center)])

    def train(self, part: Part, pieces: int = 1) -> "tuple[Done | Rows, ...]":
        """Train one worker's part. The model stays as it is.

        Returns
        -------
        done : Done
        *changed : Rows
            The rows that the worker changes, in so many pieces; see `Rows.piece`.
        """
        begun = time.perf_counter()
        text = Text(self.text.tokens, self.text.ids, part.spans)
        # Overflow is found in the loss, which is checked after the round.
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
        """Return `w2v.cluster.kernels.changed_rows`, found by several threads."""
        threads = self.engine.task.threads
        firsts = np.linspace(0, len(before), threads + 1).astype(np.int32)

        def find(first: np.int32, end: np.int32) -> NDArray[np.int32]:
            return first + kernels.changed_rows(before[first:end], now[first:end])

        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(find, firsts[:-1], firsts[1:])))

    def combine(self, way: Way, *changes: Rows) -> tuple[float, Rows]:
        """Combine the workers' changes of some rows; see `w2v.cluster.combine.combine`.

        Returns
        -------
        seconds
            How long it took.
        combined
            The rows as they are after the round.
        """
        begun = time.perf_counter()
        ways = None
        if way.how == "sequential":
            self.terms = self.terms or row_terms(self.engine.task)
            ways = approach(self.terms, way.steps)
        combined = combine(self.table, changes, way.how, ways)
        return time.perf_counter() - begun, combined

    def apply(self, *combined: Rows) -> float:
        """Take the combined rows over; return the seconds it took."""
        begun = time.perf_counter()
        for rows in combined:
            self.table[rows.numbers] = rows.values
        center, outside = self.tables
        for table, first in ((center, 0), (outside, len(center))):
            for rows in combined:
                start, end = np.searchsorted(rows.numbers, [first, first + len(table)])
                table[rows.numbers[start:end] - first] = rows.values[start:end]
        return time.perf_counter() - begun
