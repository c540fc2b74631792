"""``cluster=local``: all workers in this process, one after another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.engine import Round
from w2v.cluster.replica import Part, Replica, Way
from w2v.engines import Task
from w2v.text.tokens import Text


class LocalPool:
    """One replica in this process. See `w2v.cluster.engine.Pool` for its members."""

    processes = 1

    def start(self, engine: str, task: Task, text: Text) -> float:
        """Make the replica."""
        self.replica = Replica(engine, task, text)
        return self.replica.compile_seconds()

    def load(self, table: NDArray[np.float32]) -> None:
        """Give the replica a model."""
        self.replica.load(table)

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:  # noqa: ARG002
        """Train the parts in turn, and combine the changes."""
        done, changes = zip(*map(self.replica.train, parts), strict=True)
        combining, combined = self.replica.combine(way, *changes)
        return Round(done, [combined], combining + self.replica.apply(combined))
