"""Start the workers of a training, and estimate the memory that they need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2v.cluster.cost import message_bytes, replica_bytes
from w2v.cluster.settings import MIN_ROUND_WORDS, ClusterSettings
from w2v.engines import Task
from w2v.errors import InputError
from w2v.text.tokens import Text

if TYPE_CHECKING:
    from w2v.cluster.engine import ClusterEngine, Pool

ROUNDS_PER_EPOCH = 1000
"""About how many rounds an epoch of a long text has by default.

In a round, each worker trains a copy of the model; then the changes of all workers are combined. A
short text has fewer rounds, because a worker trains on at least about `MIN_ROUND_WORDS` words in
each. The first epoch may have more, because it begins with shorter rounds. With fewer and longer
rounds, vectors answer fewer analogies correctly (``w2v/cluster/README.md``).
"""


@dataclass(frozen=True)
class Cluster:
    """The workers of one training.

    Attributes
    ----------
    settings
        The number of workers, and how their changes are combined.
    pool
        The processes in which the workers run.
    here
        How many of these processes are included when the memory needed on this machine is
        estimated: none if they run on a Ray cluster that was not started here, otherwise all.
    report
        A function that `make_engine` calls with a message: how many bytes a worker will send in a
        round of training, and how much memory a process takes.
    """

    def memory(self, task: Task) -> int:
        """Estimate the bytes of memory of all worker processes on this machine.

        The memory that the text takes is not counted.
        """
        settings, pool = self.settings, self.pool
        workers = -(-settings.workers // max(1, pool.processes or self.here))
        return self.here * replica_bytes(task, self.round_words(task), workers)

    def round_words(self, task: Task) -> int:
        """Return the usual number of words that a worker trains on in a round.

        After a round, the changes of all workers are combined. Rounds at the start of training are
        shorter if this number is above `MIN_ROUND_WORDS`.
        """
        share = task.words // (ROUNDS_PER_EPOCH * self.settings.workers)
        return self.settings.round_words or max(MIN_ROUND_WORDS, share)

    settings: ClusterSettings
    pool: "Pool"
    here: int = 1
    report: Callable[[str], None] = print

    def make_engine(self, engine: str, task: Task, text: Text) -> "ClusterEngine":
        """Start the workers, and return the engine that trains with them.

        In each round of training, a worker trains a copy of the model on a part of the documents in
        `text`; then the changes of all workers are combined. `engine` is the name of the engine
        that each worker uses. First, `self.report` is called with a line that says how many bytes a
        worker will send in a round, and how much memory a process takes.

        Raises
        ------
        InputError
            The engine or the loss does not support several workers, the number of workers is not
            less than the number of words in `text`, or no process could start.
        """
        from w2v.cluster.engine import ClusterEngine  # loads Numba

        settings, pool = self.settings, self.pool
        settings.check(engine, task.objective)
        if settings.workers >= text.size > 1:
            settings.refuse("workers", f"less than {text.size:,}, the number of words to train on")
        words = self.round_words(task)
        message = message_bytes(task, words)
        self.report(
            f"  {settings.workers} workers, rounds of up to {words:,} words each: a worker sends "
            f"{message / 1e6:.1f} MB in such a round, {message / words:,.0f} bytes a word; each "
            f"process takes {replica_bytes(task, words, 1) / 1e9:.1f} GB of memory"
        )
        return ClusterEngine(engine, task, text, pool, settings.workers, words, settings.combine)


@contextmanager
def open_cluster(
    settings: ClusterSettings,
    address: str | None = None,
    cores: int = 1,
    threads: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[Cluster | None]:
    """Context manager: yield the `Cluster`, the workers of a training; None with ``cluster=none``.

    With ``cluster=ray``, this process is connected to a Ray cluster first. The processes of the
    workers, which `Cluster.make_engine` starts, end with the ``with`` block. So does the
    connection, unless this process already had one.

    Parameters
    ----------
    settings
        The number of workers, and where they run.
    address
        The address of a running Ray cluster, as host:port; None: start one on this machine.
    cores
        The number of cores of this machine that a Ray cluster started here may use.
    threads
        The number of threads of each process on Ray, each on a core of its own. None: the largest
        number with which all processes fit on the Ray cluster.
    report
        Called with messages, such as how much memory a process takes, or that a process is lost.

    Raises
    ------
    InputError
        The Ray cluster cannot be reached, or it has too few cores.
    """
    if settings.name == "none":
        yield None
    elif settings.name == "local":
        from w2v.cluster.local import LocalPool

        yield Cluster(settings, LocalPool(), report=report)
    else:
        from w2v.cluster.ray import RayPool, connected, node_cores, threads_that_fit

        with connected(address, cores) as ray:
            nodes = node_cores(ray)
            least = threads or 1
            room = sum(cores // least for cores in nodes)
            processes = settings.processes or max(1, min(settings.workers, room))
            most = threads_that_fit(nodes, processes)
            if most < least:
                raise InputError(
                    f"cluster=ray: {processes} processes with {least} thread{'s' * (least > 1)} "
                    f"each need more cores than the nodes have ({', '.join(map(str, nodes))}); "
                    "lower cluster.processes or engine.threads"
                )
            pool = RayPool(ray, processes, threads or most, settings.text, report)
            try:
                yield Cluster(settings, pool, processes if address is None else 0, report)
            finally:
                pool.close()
