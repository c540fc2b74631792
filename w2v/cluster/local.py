"""``cluster=local``: all workers run in this process, one after another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.engine import Round
from w2v.cluster.replica import Part, Replica, Way
from w2v.engines import Task
from w2v.text.tokens import Text


class LocalPool:
    """Runs all workers one after another in this process, with a single copy of the model.

    It implements the interface `w2v.cluster.engine.Pool`, by which a training uses its workers.
    """

    processes = 1

    def start(self, engine: str, task: Task, text: Text) -> float:
        """Make a single copy of the model of `task`, on which the workers train one after another.

        All workers run in this process. `engine` is the name of the engine that trains the copy on
        the documents of `text`. Return the seconds spent on compiling or loading kernels.
        """
        self.replica = Replica(engine, task, text)
        return self.replica.compile_seconds()

    def load(self, table: NDArray[np.float32]) -> None:
        """Set the model of this process, with which each worker begins the next round.

        `table` has the input and output vectors concatenated, float32 (rows, d).
        """
        self.replica.load(table)

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:  # noqa: ARG002
        """Let the workers train one after another; then combine and apply their changes.

        Each worker trains on its part of the text, and begins with the model before the round.
        `way` says how the changes are combined. `table`, which is the model before the round, is
        not used.

        Returns
        -------
        Round
            The report of each worker, the changed rows of the model with their new values, and the
            seconds spent on combining and applying changes.
        """
        done, changes = zip(*map(self.replica.train, parts), strict=True)
        combining, combined = self.replica.combine(way, *changes)
        return Round(done, [combined], combining + self.replica.apply(combined))
