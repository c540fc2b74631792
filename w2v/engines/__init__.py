"""The interface of the engines, which turn text into updates of the model, and their table.

An engine has the inner loop and nothing else. ``w2v.training`` cuts the text into shards, lowers
the learning rate, adds up what the engine reports and decides when to stop, so all engines have
the same epochs, schedule and loss. To add an engine, write one file and one line in `ENGINES`.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.objectives import Model, Objective
from w2v.settings import Settings, at_least, one_of, setting
from w2v.sums import Sums
from w2v.text.tokens import Text


class Tally(NamedTuple):
    """How much an engine has trained, and the loss, as sums.

    Attributes
    ----------
    words
        Words of the vocabulary that were read, before sub-sampling.
    pairs
        (center, outside) pairs, by weight; for CBOW predicted words. None where the engine does
        not report them.
    loss
        The loss summed over those pairs, each computed before its own update. None where the
        engine does not report it.
    setup_seconds
        Time that was spent on preparation and does not count as training.
    """

    words: int = 0
    pairs: float | None = 0.0
    loss: float | None = 0.0
    setup_seconds: float = 0.0

    def __add__(self, other: object) -> "Tally":
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.words + other.words,
            None if self.pairs is None or other.pairs is None else self.pairs + other.pairs,
            None if self.loss is None or other.loss is None else self.loss + other.loss,
            self.setup_seconds + other.setup_seconds,
        )

    @property
    def mean_loss(self) -> float | None:
        """The loss per pair; None if there was no pair or the engine does not report it."""
        return self.loss / self.pairs if self.pairs and self.loss is not None else None


class Frozen(NamedTuple):
    """Vectors that training leaves as they are.

    Attributes
    ----------
    center, outside : bool (V,)
        Whether the center vector and the outside vector of each word stay.
    """

    center: NDArray[np.bool_]
    outside: NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """What an engine is made for: a model, an objective and the size of the text.

    Attributes
    ----------
    model : Model
        The initial vectors.
    objective : Objective
    counts : int64 (V,)
        How often each word of the vocabulary occurs, for sub-sampling and noise.
    words
        Words of the vocabulary in an epoch, before sub-sampling.
    epochs
        The number of epochs over which the learning rate falls.
    threads
        How many threads the engine may use.
    frozen
        Which vectors stay as they are; None: none.
    subwords
        The vector of each word as a sum of rows of ``model.center``; None without subwords.
    precision
        That of the products of ``engine=jax``: ``float32``, ``tf32`` or ``bfloat16``.
    """

    model: Model
    objective: Objective
    counts: NDArray[np.int64]
    words: int
    epochs: int = 1
    threads: int = 1
    frozen: Frozen | None = None
    subwords: Sums | None = None
    precision: str = "float32"


class Engine(Protocol):
    """What every engine has."""

    task: Task
    """The task, with the model that the engine updates. Its memory layout is up to the engine."""

    shard_words: int
    """How many tokens `train` should be given at a time."""

    compile_seconds: float
    """Time that was spent on compiling kernels, or on loading compiled ones."""

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on a shard of the text once.

        Parameters
        ----------
        text
            Documents of about ``shard_words`` tokens or fewer.
        rates
            The learning rate at the start and at the end of the shard.
        random
            The source of all randomness. It depends on the seed, the epoch and the shard.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays beside the model that later updates depend on, by name."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` returned for an engine of the same task."""
        ...


PRECISIONS = ("float32", "tf32", "bfloat16")
"""What the factors of a matrix product of ``engine=jax`` are rounded to. The sums are float32."""


class EngineEntry(NamedTuple):
    """A line of the table of engines.

    Attributes
    ----------
    path
        The class, as ``module:class``. It is imported when an engine is made.
    losses
        The names of the losses it can train; None for all of `w2v.losses.LOSSES`.
    lacks
        The names of losses and architectures that it cannot train, and ``subwords``.
    only
        Settings of an architecture, each with the only value that it has, if the architecture has
        the setting.
    reports_loss
        Whether it reports a training loss. Every engine has a held-out loss.
    freezes
        Whether it can leave vectors as they are.
    distributes
        Whether several workers can train with it, see `w2v.cluster`.
    repeatable
        Whether the vectors have the same bits on any number of threads.
    package
        The package that it needs beside those that this project always needs. It is installed by
        the extra of the same name.
    """

    path: str
    losses: tuple[str, ...] | None = None
    lacks: tuple[str, ...] = ("hsoftmax", "cbow", "subwords")
    only: tuple[tuple[str, str], ...] = ()
    reports_loss: bool = True
    freezes: bool = False
    distributes: bool = False
    repeatable: bool = True
    package: str | None = None


ENGINES = {
    "numba": EngineEntry("w2v.engines.numba:NumbaEngine", freezes=True, distributes=True),
    "numpy": EngineEntry("w2v.engines.numpy:NumpyEngine", lacks=(), freezes=True, distributes=True),
    "jax": EngineEntry("w2v.engines.jax:JaxEngine", package="jax"),
    "gensim": EngineEntry(
        "w2v.engines.gensim:GensimEngine",
        losses=("negsample", "hsoftmax"),
        lacks=("subwords",),
        only=(("combine", "mean"), ("context_gradient", "word2vec")),
        reports_loss=False,
        repeatable=False,
    ),
}
"""The engines by name."""


@dataclass(frozen=True)
class EngineSettings(Settings):
    """Which engine trains, on how many threads, and with which precision."""

    name: str = setting("the engine", one_of(ENGINES), "numba")
    threads: int | None = setting(
        "threads; null: all cores. The vectors do not depend on it, except with gensim",
        at_least(1),
        None,
    )
    precision: str = setting(
        "of the matrix products of engine=jax; tf32 and bfloat16 are faster on a GPU",
        one_of(PRECISIONS),
        "float32",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_installed(self.name)
        if self.name != "jax" and self.precision != "float32":
            self.refuse("precision", f"float32 with engine={self.name}")

    def identity(self) -> dict[str, Any]:
        """Return what the vectors depend on."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "threads" or not ENGINES[self.name].repeatable
        }


def check_installed(engine: str) -> None:
    """Refuse an engine whose package is not installed.

    Raises
    ------
    InputError
        The message names the command that installs it.
    """
    package = ENGINES[engine].package
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"engine={engine}: the package {package} is not installed; install it by "
            f'pip install "w2v-experiments[{package}]"'
        )


def can_train(engine: str, objective: Objective) -> bool:
    """Return whether an engine can train an objective; see `check_objective`."""
    try:
        check_objective(engine, objective)
    except InputError:
        return False
    return True


def check_objective(engine: str, objective: Objective) -> None:
    """Check that an engine can train an objective.

    Raises
    ------
    InputError
        It lacks the loss or the architecture.
    """
    losses, lacks = ENGINES[engine].losses, ENGINES[engine].lacks
    if losses is not None and objective.loss.name not in losses:
        raise InputError(
            f"loss={objective.loss.name}: engine={engine} cannot train it; it has "
            f"{', '.join(losses)} only"
        )
    for key, name in (("loss", objective.loss.name), ("model", objective.name)):
        if name in lacks:
            raise InputError(f"{key}={name}: engine={engine} cannot train it; engine=numpy can")
    if objective.subwords and "subwords" in lacks:
        raise InputError(f"subwords=true: engine={engine} cannot train them; engine=numpy can")
    for name, only in ENGINES[engine].only:
        given = getattr(objective, name, only)
        if given != only:
            raise InputError(f"{name}={given}: must be {only} with engine={engine}")


def check_freezing(engine: str) -> None:
    """Check that an engine can leave vectors as they are.

    Raises
    ------
    InputError
        It cannot.
    """
    if not ENGINES[engine].freezes:
        able = [name for name, entry in ENGINES.items() if entry.freezes]
        raise InputError(
            f"freeze: engine={engine} cannot leave vectors as they are; {' and '.join(able)} can"
        )


@contextmanager
def compiled_ahead(name: str) -> Iterator[None]:
    """Compile an engine's kernels in another process while the block runs, if none are on disk.

    Compiling takes seconds, once on a machine. While the text is read it costs little time, and
    the engine later loads the compiled kernels or waits for them.
    """
    home = Path(__file__).parent
    kept = Path(os.environ.get("NUMBA_CACHE_DIR") or home / "__pycache__")
    if name != "numba" or next(kept.rglob("kernels.train-*.nbi"), None):
        yield
        return
    script = "from w2v.engines.numba import compile_kernels; compile_kernels()"
    command = [sys.executable, "-c", script]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=home.parents[1], stdout=quiet, stderr=quiet) as child:
        try:
            yield
        finally:
            child.terminate()


def make_engine(name: str, task: Task) -> Engine:
    """Make an engine.

    Parameters
    ----------
    name
        A key of `ENGINES`.
    task
        What to train; the engine updates its model.

    Raises
    ------
    InputError
        The engine is not installed, or cannot train this objective, or not with one of the
        settings.
    """
    check_installed(name)
    check_objective(name, task.objective)
    if task.frozen is not None:
        check_freezing(name)
    module, attribute = ENGINES[name].path.split(":")
    engine: Callable[[Task], Engine] = getattr(import_module(module), attribute)
    return engine(task)
