"""The engine with which several workers train at the same time, in rounds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.approach import mean_square, row_terms
from w2v.cluster.combine import Rows
from w2v.cluster.replica import Done, Part, Spans, Way
from w2v.engines import Tally, Task
from w2v.engines.step import step_rate
from w2v.text.tokens import Text, cut

GROWTH, MIN_ROUND_WORDS = 100, 2000
"""A round has at most a 100th of the words read before it, because vectors turn fast at first and
workers would all learn the same. But each worker trains at least 2,000 words: all have to wait for
each other after each round."""


class Round(NamedTuple):
    """What a round of all workers has come to.

    Attributes
    ----------
    done
        The report of each worker, in the order of their numbers.
    combined
        The rows that were changed, as they are after the round, in parts.
    combining
        The seconds that processes spent on combining changes and on taking the result over, added
        up.
    """

    done: Sequence[Done]
    combined: Sequence[Rows]
    combining: float


class Pool(Protocol):
    """The processes that hold the replicas, see `w2v.cluster.replica.Replica`."""

    @property
    def processes(self) -> int:
        """How many there are."""
        ...

    def start(self, engine: str, task: Task, text: Text) -> float:
        """Make the replicas. Return the seconds that one spent on compiling kernels."""
        ...

    def load(self, table: NDArray[np.float32]) -> None:
        """Give all replicas a model: both tables, one after the other, float32 (rows, d)."""
        ...

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:
        """Let each worker train its part, and all replicas take the combined changes over.

        Parameters
        ----------
        parts
            In the order of the workers' numbers.
        way
            How changes are combined.
        table : float32 (rows, d)
            The model before the round, for replicas that are lost on the way.
        """
        ...


@dataclass
class Costs:
    """Where the time of the rounds went, and how much was sent.

    Attributes
    ----------
    workers, processes
        How many there are; of processes, in the last round.
    rounds
        The number of rounds.
    computing, combining, waiting
        Seconds of one process on average: in training; in combining changes and taking the result
        over; for the others, and for messages.
    changed_bytes
        The size of the rows that workers changed, over all workers and rounds.
    combined_bytes
        The size of the rows that one process took over, over all rounds.
    bytes_per_word
        What all processes sent and received for each word, if every process is on another machine.
    """

    workers: int
    processes: int
    rounds: int = 0
    computing: float = 0.0
    combining: float = 0.0
    waiting: float = 0.0
    changed_bytes: int = 0
    combined_bytes: int = 0
    bytes_per_word: float = 0.0


class ClusterEngine:
    """Trains in rounds, on several workers. See `w2v.engines.Engine` for its members.

    A worker is a number, not a process: the result depends on how many workers there are, and not
    on how many processes train their parts, nor on where these are.
    """

    def __init__(
        self,
        engine: str,
        task: Task,
        text: Text,
        pool: Pool,
        workers: int,
        words: int,
        how: str,
    ) -> None:
        self.workers, self.how, self.pool = workers, how, pool
        sizes = [len(table) for table in task.model]
        self.table = np.concatenate(task.model)
        center, outside = np.split(self.table, sizes[:1])
        self.task = task_with(task, center, outside)
        self.shard_words, self.least = words * workers, min(words, MIN_ROUND_WORDS) * workers
        self.terms = row_terms(task) if how == "sequential" else None
        self.compile_seconds = pool.start(engine, task, text)
        self.costs = Costs(workers, pool.processes)
        self.read, self.counted = np.zeros(1, np.int64), 0
        self.loaded = False

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train a shard, in as many rounds as it takes."""
        tally, done, spans = Tally(), 0, text.spans
        while len(spans):
            size = min(self.shard_words, max(self.least, int(self.read[0]) // GROWTH))
            spans = cut(spans, size)
            ends = np.cumsum(spans[:, 1] - spans[:, 0])
            # A remainder that is shorter than half a round belongs to the round before it.
            whole = ends[-1] <= 1.5 * size
            last = len(ends) if whole else int(np.searchsorted(ends, size, side="right"))
            steps = (done, done + int(ends[last - 1]))
            start, end = (step_rate(rates, step, max(1, text.size)) for step in steps)
            tally += self._round(spans[:last], (start, end), random)
            spans, done, random = spans[last:], steps[1], random.spawn(1)[0]
        return tally

    def _round(
        self, spans: Spans, rates: tuple[float, float], random: np.random.Generator
    ) -> Tally:
        """Train a round."""
        begun = time.perf_counter()
        if not self.loaded:
            self.pool.load(self.table)
            self.loaded = True
        generators = [random, *random.spawn(self.workers - 1)]
        divided = divide(spans, self.workers)
        parts = [Part(spans, rates, one) for spans, one in zip(divided, generators, strict=True)]
        way = Way(self.how, self._steps(rates[0], spans))
        done, combined, combining = self.pool.round(parts, way, self.table)
        for rows in combined:
            self.table[rows.numbers] = rows.values
        tally = sum((one.tally for one in done), Tally())
        self._count(done, combined, combining, tally.words, time.perf_counter() - begun)
        return tally

    def _steps(self, rate: float, spans: Spans) -> tuple[float, float]:
        """Return the steps of a round, see `w2v.cluster.approach.approach`."""
        if self.terms is None:
            return 0.0, 0.0
        words = float((spans[:, 1] - spans[:, 0]).sum()) / self.workers
        squares = list(map(mean_square, self.terms, self.task.model))
        return rate * words * squares[1], rate * words * squares[0]

    def _count(
        self,
        done: Sequence[Done],
        combined: Sequence[Rows],
        combining: float,
        words: int,
        seconds: float,
    ) -> None:
        costs, processes = self.costs, self.pool.processes
        computing = sum(one.seconds for one in done) / processes
        costs.processes = processes
        costs.rounds += 1
        costs.computing += computing
        costs.combining += combining / processes
        costs.waiting += max(0.0, seconds - computing - combining / processes)
        costs.changed_bytes += sum(one.nbytes for one in done)
        costs.combined_bytes += sum(rows.nbytes for rows in combined)
        self.read += words
        self.counted += words
        sent = costs.changed_bytes + processes * costs.combined_bytes
        costs.bytes_per_word = sent / max(1, self.counted)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the number of words read, on which the length of a round depends."""
        return {"words_read": self.read}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state and from the model of the task, which has changed."""
        self.read[:] = state["words_read"]
        self.loaded = False


def task_with(task: Task, center: NDArray[np.float32], outside: NDArray[np.float32]) -> Task:
    """Return a task with other tables."""
    return replace(task, model=task.model._replace(center=center, outside=outside))


def divide(spans: Spans, workers: int) -> list[Spans]:
    """Divide documents among the workers: consecutive ones, about as many tokens for each.

    A document that is longer than a worker's share is cut.

    Returns
    -------
    list of int64 (documents, 2)
        One for each worker; it may be empty.
    """
    size = int((spans[:, 1] - spans[:, 0]).sum())
    spans = cut(spans, -(-size // workers)) if size else spans
    ends = np.cumsum(spans[:, 1] - spans[:, 0])
    owners = (ends - 1) * workers // max(1, size)
    return np.split(spans, np.searchsorted(owners, np.arange(1, workers)))
