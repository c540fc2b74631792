"""The settings of cluster training, and a context manager that starts and ends the workers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from w2v.cluster.combine import COMBINERS
from w2v.cluster.cost import message_bytes, replica_bytes
from w2v.cluster.engine import ClusterEngine, Pool
from w2v.engines import ENGINES, Task
from w2v.errors import InputError
from w2v.objectives import Objective
from w2v.settings import Settings, at_least, matching, one_of, setting
from w2v.text.tokens import Text

CLUSTERS = ("none", "local", "ray")
"""Where workers are: there is one alone; all are in this process; they are on a Ray cluster."""


@dataclass(frozen=True)
class RaySettings(Settings):
    """The address of the Ray cluster, for training and for sweeps."""

    address: str | None = setting(
        "of a Ray cluster that runs, as in 10.0.0.1:6379; null: one is started on this machine",
        matching(r"[^\s/:]+:\d+", "host:port, as ray start prints it"),
        None,
    )


@dataclass(frozen=True)
class ClusterSettings(Settings):
    """The settings of cluster training: the workers, and how their changes are combined."""

    name: str = setting("none, or where the workers are", one_of(CLUSTERS), "none")
    workers: int = setting(
        "how many train at the same time; the vectors depend on it, and not on processes",
        at_least(1),
        1,
    )
    round_words: int = setting(
        "words that each worker trains before changes are combined, at most; in the beginning, all "
        "together train a 100th of the words read so far",
        at_least(1),
        50_000,
    )
    combine: str = setting(
        "of changes to the same row: their sum, their mean, the sum of what is orthogonal, or what "
        "workers would have learnt in turn",
        one_of(COMBINERS),
        "sequential",
    )
    processes: int | None = setting(
        "with cluster=ray, how many processes train; null: one for each worker, as far as there "
        "are cores",
        at_least(1),
        None,
    )
    text: str = setting(
        "with cluster=ray, how machines get the text: from the path of a folder that they share, "
        "or through Ray's object store",
        one_of(("path", "store")),
        "path",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name == "none" and self.workers != 1:
            self.refuse("workers", "1 with cluster=none; cluster=local and cluster=ray have more")
        if self.processes is not None and self.processes > self.workers:
            self.refuse("processes", f"at most workers={self.workers}")
        if self.name == "ray":
            from w2v.cluster.ray import require_ray

            require_ray("cluster=ray")

    def check(self, engine: str, objective: Objective) -> None:
        """Check that several workers can train an objective with an engine.

        Raises
        ------
        InputError
            The engine or the loss does not support several workers.
        """
        if self.name == "none":
            return
        if not ENGINES[engine].distributes:
            able = [name for name, entry in ENGINES.items() if entry.distributes]
            raise InputError(
                f"engine={engine}: cannot train with cluster={self.name}; {' and '.join(able)} can"
            )
        if objective.loss.has_state:
            raise InputError(
                f"loss={objective.loss.name}: cannot be trained with cluster={self.name}, because "
                "its steps depend on sums beside the vectors"
            )

    def identity(self) -> dict[str, Any]:
        """Return the settings that the trained vectors depend on, by name."""
        names = ("workers", "round_words", "combine") if self.name != "none" else ()
        return {name: getattr(self, name) for name in names}


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
        The number of these processes on this machine, for estimates of memory.
    report
        A function that is called with a message on the costs of a round.
    """

    def memory(self, task: Task) -> int:
        """Estimate the memory of the training processes on this machine in bytes, without the
        text.
        """
        settings, pool = self.settings, self.pool
        workers = -(-settings.workers // max(1, pool.processes or self.here))
        return self.here * replica_bytes(task, settings.round_words, workers)

    settings: ClusterSettings
    pool: Pool
    here: int = 1
    report: Callable[[str], None] = print

    def make_engine(self, engine: str, task: Task, text: Text) -> ClusterEngine:
        """Make the engine that trains with all workers.

        Parameters
        ----------
        engine
            The name of the engine that each worker uses.
        task
            The training task.
        text
            The documents to train on.

        Raises
        ------
        InputError
            The engine or the loss does not support several workers.
        """
        settings, pool = self.settings, self.pool
        settings.check(engine, task.objective)
        words = settings.round_words
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
    """Context manager: start the workers of a training, yield them as a `Cluster`, and end them.

    It yields None if the settings request no workers.

    Parameters
    ----------
    settings
        The number of workers, and where they run.
    address
        The address of a running Ray cluster, as host:port; None: start one on this machine.
    cores
        The number of cores of this machine that a Ray cluster started here may use.
    threads
        The number of threads of each process on Ray; None: as many as there are cores for.
    report
        A function that is called with a message if a process is lost.

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
