"""The engine for training with several workers.

Training proceeds in rounds. In a round, each worker trains a copy of the same model on its own part
of the text, and then the changes that the workers made are combined.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.approach import mean_square, row_terms
from w2v.cluster.combine import Rows
from w2v.cluster.replica import Done, Part, Spans, Way
from w2v.cluster.settings import MIN_ROUND_WORDS
from w2v.engines import Tally, Task
from w2v.engines.step import step_rate
from w2v.text.tokens import Text, cut

GROWTH = 100
"""In a round, all workers train, and then their changes are combined. A round has at most about
1 / `GROWTH` of the words trained on before it: at first, vectors change fast, and in a long round
all workers would learn the same. But in each round, a worker trains on at least about
`MIN_ROUND_WORDS` words; if the setting ``round_words`` is smaller, on about that many."""


class Round(NamedTuple):
    """The result of a round, in which all workers train and their changes are combined.

    Attributes
    ----------
    done
        The report of each worker, in the order of the parts of the text: the numbers of words and
        pairs trained on, the loss, the time in seconds, and the size in bytes of the changed rows.
    combined
        The rows of the model that were changed, with their new values, in one or more pieces.
    combining
        The seconds spent on combining and applying changes, summed over processes.
    """

    done: Sequence[Done]
    combined: Sequence[Rows]
    combining: float


class Pool(Protocol):
    """Interface of a group of processes in which workers train a model.

    Each process has one copy of the model, a `w2v.cluster.replica.Replica`. One or more workers use
    this copy, one after another.
    """

    @property
    def processes(self) -> int:
        """The number of processes that train."""
        ...

    def start(self, engine: str, task: Task, text: Text) -> float:
        """Start the processes, each with a copy of the model of `task`.

        `engine` is the name of the engine that trains the copies on the documents of `text`. Return
        the seconds that the slowest process spent on compiling or loading kernels.
        """
        ...

    def load(self, table: NDArray[np.float32]) -> None:
        """Replace the model of all processes by `table`.

        `table` has the input and output vectors concatenated, float32 (rows, d). A pool may wait
        until the next call of `round`, and then use the argument `table` of that call instead. The
        caller must therefore give the same values to both calls.
        """
        ...

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:
        """Train one round with all workers, and apply their combined changes to the model.

        Each worker trains on its part of the text. Then the changes of all workers are combined,
        and each process applies the result to its copy of the model.

        Parameters
        ----------
        parts
            The part of the text for each worker.
        way
            How the changes of the workers are combined, for example as their mean.
        table : float32 (rows, d)
            The model before the round, for processes whose copy is outdated.
        """
        ...


@dataclass
class Costs:
    """The costs of cluster training: time and amount of communication.

    In a round, all workers train on different parts of the text, and then their changes are
    combined.

    Attributes
    ----------
    workers, processes
        The number of workers, and of the processes that trained in the last round. A process runs
        one or more workers, one after another.
    rounds
        The number of rounds.
    computing, combining, waiting
        The seconds spent on training; on combining and applying changes; and on waiting for other
        processes and messages. They are summed over rounds, and averaged over processes.
    changed_bytes, combined_bytes
        The size of the rows that workers changed, summed over workers and rounds, and of the
        combined rows, summed over rounds.
    bytes_per_word
        The bytes sent per word trained on, if each process is on a machine of its own: the changed
        rows once, and the combined rows to each process.
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
    """An engine that trains one model with several workers (see `w2v.engines.Engine`).

    In each round, each worker trains on its part of the text, and then the changes of all workers
    are combined. The result depends on the number of workers, but not on the number of processes or
    machines.

    Parameters
    ----------
    engine
        The name of the engine that each worker uses.
    text
        The text whose shards (parts) are given to `train`.
    pool
        The processes in which the workers run.
    workers
        The number of workers.
    words
        The number of tokens per worker and round. Rounds at the start of training may be shorter,
        and the last round of a shard up to 1.5 times as long.
    how
        How changes are combined, one of `w2v.cluster.settings.COMBINERS`.
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
        """Train on ``text``, a shard of the whole text, in rounds.

        In a round, each worker trains a copy of the model on a part of the shard; then the changes
        of all workers are combined. `rates` are the learning rates at the start and at the end of
        the shard. Return the numbers of words and pairs that all workers have trained on, and their
        summed loss.
        """
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
        """Train one round: all workers train, and their combined changes update the model.

        Parameters
        ----------
        spans
            The documents of the round.
        rates
            The learning rates at the start and end of the round.
        random
            The random generator of the first worker; those of the others are spawned from it.

        Returns
        -------
        Tally
            The words and pairs that all workers have trained on, and their summed loss.
        """
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
        """Return two numbers: how strongly a round changes the input and the output matrix.

        They are needed only if the workers' changes are combined by ``sequential`` (`Way.steps`);
        otherwise both are 0. The number for a matrix is the product of the learning rate, the
        number of words per worker, and the mean squared length of the rows of the other matrix. In
        this mean, a row's weight is the number of loss terms that contain it.

        `rate` is the learning rate, and `spans` are the documents of the round.
        """
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
        """Return what a checkpoint needs in addition to the model: the number of words trained on.

        It is an array of one element, ``words_read``. The length of the next rounds of training
        depends on it, because rounds at the start may be shorter.
        """
        return {"words_read": self.read}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Prepare to continue an earlier training; the caller has put its model into `self.task`.

        `state` is what the method `state` returned in that training. It has the number of words
        trained on so far.
        """
        self.read[:] = state["words_read"]
        self.loaded = False


def task_with(task: Task, center: NDArray[np.float32], outside: NDArray[np.float32]) -> Task:
    """Return a copy of a training task in which the vectors of the model are replaced.

    `center` are the new input vectors, and `outside` the new output vectors. They are not copied.
    """
    return replace(task, model=task.model._replace(center=center, outside=outside))


def divide(spans: Spans, workers: int) -> list[Spans]:
    """Divide documents among workers, by their number of tokens.

    The sequence of all tokens is divided into equal shares, one for each worker. A document that is
    in several shares is cut at their borders. `spans` has the start and end of each document.

    Returns
    -------
    list of int64 (documents, 2)
        For each worker, the start and end of each document or piece. The numbers of tokens differ
        by one at most.
    """
    ends = np.cumsum(spans[:, 1] - spans[:, 0])
    shift = (spans[:, 1] - ends)[:, None]  # from the sequence of all tokens to their places
    borders = np.arange(workers + 1) * ends.max(initial=0) // workers
    firsts = np.searchsorted(ends, borders)
    return [
        np.clip(spans[first : last + 1] - shift[first : last + 1], low, high)
        + shift[first : last + 1]
        for (first, low), (last, high) in pairwise(zip(firsts, borders, strict=True))
    ]
