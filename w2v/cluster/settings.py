"""The settings of training with several workers."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from w2v.engines import ENGINES
from w2v.errors import InputError
from w2v.limits import at_least, matching, one_of
from w2v.objectives import Objective
from w2v.settings import Settings, setting

CLUSTERS = ("none", "local", "ray")
"""Where the workers run: nowhere (there are none), in this process, or on a Ray cluster."""

COMBINERS = ("sum", "mean", "orthogonal", "sequential")
"""How the changes of several workers become one; see `w2v.cluster.combine`."""

MIN_ROUND_WORDS = 1000
"""About the least number of words that each worker trains on in a round, unless the setting
``round_words`` is smaller. The limit saves time: workers wait for each other after each round."""


def require_ray(setting: str) -> None:
    """Raise an `InputError` if Ray is not installed.

    `setting` is the setting that requires Ray, such as ``cluster=ray``; the message names it.
    """
    if find_spec("ray") is None:
        raise InputError(
            f"{setting}: the package ray is not installed; install it by "
            'pip install "w2v-experiments[ray]"'
        )


@dataclass(frozen=True)
class RaySettings(Settings):
    """The settings for Ray: the address of the cluster for training and hyperparameter sweeps."""

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
    round_words: int | None = setting(
        "words that each worker trains before changes are combined, at most; null: all together "
        "train a 1000th of an epoch; in the beginning, they train a 100th of the words read so far",
        at_least(1),
        None,
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
            require_ray("cluster=ray")

    def check(self, engine: str, objective: Objective) -> None:
        """Check that several workers can train an objective with an engine.

        With ``cluster=none``, nothing is checked.

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
                "its optimizer keeps sums beside the vectors, or may do so"
            )

    def identity(self) -> dict[str, Any]:
        """Return the settings that the trained vectors depend on, by name.

        There are none with ``cluster=none``.
        """
        names = ("workers", "round_words", "combine") if self.name != "none" else ()
        return {name: getattr(self, name) for name in names}
