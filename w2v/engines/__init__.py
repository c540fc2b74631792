"""The interface `Engine` of all training engines, and the table `ENGINES` of engines by name.

An engine runs the inner loop of training: it reads text and updates the word vectors. Everything
else is in ``w2v.training``, which cuts the text into shards, gives each shard its learning rates,
adds up the losses and decides when to stop. To add an engine, write one file and add one entry to
`ENGINES`.
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
from w2v.limits import at_least, one_of
from w2v.objectives import Model, Objective
from w2v.settings import Settings, setting
from w2v.sums import Sums
from w2v.text.tokens import Text


class Tally(NamedTuple):
    """The number of words and pairs that an engine has processed, and their summed loss.

    Attributes
    ----------
    words
        The number of tokens that are words of the vocabulary, before sub-sampling.
    pairs
        The summed weight of the (center, outside) pairs; None if the engine does not report it.
        With a dynamic window, the weight is the probability that the window contains the outside
        word, otherwise 1. For CBOW, the number of predicted words.
    loss
        The weighted sum of the losses of the pairs; None if the engine does not report it. In
        training, the loss of a pair is computed before the update to which the pair contributes.
    setup_seconds
        Seconds spent on preparation, such as compiling, which do not count as training time.
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
        """The mean loss per pair; None if there were no pairs or the engine reports no loss."""
        return self.loss / self.pairs if self.pairs and self.loss is not None else None


class Frozen(NamedTuple):
    """The vectors that training must not change.

    Attributes
    ----------
    center, outside : bool (V,)
        For each word of the vocabulary, whether its center (input) vector is frozen, and whether
        its outside (output) vector is.
    """

    center: NDArray[np.bool_]
    outside: NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A training task: the model, the objective and the size of the text.

    Attributes
    ----------
    model : Model
        The vectors that training starts from. An engine may train copies of them: the trained
        vectors are in the attribute ``task.model`` of the engine.
    counts : int64 (V,)
        How often each word of the vocabulary occurs.
    words
        The number of tokens in one epoch that are words of the vocabulary, before sub-sampling.
    epochs
        The number of epochs over which the learning rate falls.
    frozen
        The vectors that training must not change; None if there are none.
    subwords
        For each word, the weighted sum of rows of ``model.center`` that is its center vector; None
        without subwords.
    precision
        For ``engine=jax``, the precision of matrix products: ``float32``, ``tf32`` or ``bfloat16``.
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
    """Interface of training engines. An engine runs the training loop of one `Task`."""

    task: Task
    """The training task. Training updates its model; the memory layout of the model's arrays
    depends on the engine."""

    shard_words: int
    """The number of tokens that a shard given to `train` should have."""

    compile_seconds: float
    """Seconds spent on compiling kernels, or on loading compiled ones from disk."""

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train once on a shard, which is a part of the text; update the model of `Engine.task`.

        Return the number of the shard's tokens that are words of the vocabulary, before
        sub-sampling; the summed weight of its (center, outside) pairs; and the weighted sum of
        their losses (`Tally`). Pairs and loss are None if the engine does not report them.

        Parameters
        ----------
        text
            The documents of the shard, usually at most about `Engine.shard_words` tokens.
        rates
            The learning rate at the start and at the end of the shard.
        random
            The generator of all random numbers.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, by name, that later updates depend on in addition to the model.

        An example is the sums of squared gradients of an adaptive optimizer.
        """
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Prepare to continue the training that another engine of this kind began on the same task.

        Before the call, the caller copies the vectors of the earlier training into the arrays of
        ``self.task.model``. The argument is what the method `state` of the earlier engine returned.
        """
        ...


PRECISIONS = ("float32", "tf32", "bfloat16")
"""The number formats to which ``engine=jax`` can round the factors of a matrix product. Products
are added up in float32."""


class EngineEntry(NamedTuple):
    """An entry of the table of engines: the class of an engine, and what the engine supports.

    Attributes
    ----------
    path
        The class of the engine, as ``module:class``. It is imported when an engine is made.
    losses
        The names of the losses that the engine can train; None: all but those in `lacks`.
    lacks
        What the engine cannot train: names of losses and of architectures, or ``subwords``.
    only
        Names of settings of the architecture, each with the only value that the engine supports. A
        setting that the architecture does not have is ignored.
    reports_loss
        Whether the engine reports a training loss.
    freezes
        Whether the engine can keep chosen vectors unchanged.
    distributes
        Whether several workers can train one model together (`w2v.cluster`).
    repeatable
        Whether the trained vectors are bit-identical for any number of threads.
    package
        The optional Python package, and the extra of the same name, that the engine needs; None if
        it needs none.
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
    "numba": EngineEntry("w2v.engines.numba:NumbaEngine", lacks=(), freezes=True, distributes=True),
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
"""The table of engines: for each name, the class of the engine and what the engine supports."""


@dataclass(frozen=True)
class EngineSettings(Settings):
    """The settings of the training engine: name, number of threads and precision."""

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
        """Return, by name, the settings that can change the trained vectors.

        Vectors trained earlier are reused only if these settings are the same. They include the
        number of threads only for engines whose vectors depend on it.
        """
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "threads" or not ENGINES[self.name].repeatable
        }


def check_installed(engine: str) -> None:
    """Check that the optional package that an engine needs is installed, if it needs one.

    Raises
    ------
    InputError
        The package is missing. The message has the command that installs it.
    """
    package = ENGINES[engine].package
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"engine={engine}: the package {package} is not installed; install it by "
            f'pip install "w2v-experiments[{package}]"'
        )


def can_train(engine: str, objective: Objective) -> bool:
    """Return whether an engine can train an objective, as decided by `check_objective`."""
    try:
        check_objective(engine, objective)
    except InputError:
        return False
    return True


def check_objective(engine: str, objective: Objective) -> None:
    """Check that an engine can train the loss, the architecture and the settings of an objective.

    Raises
    ------
    InputError
        The engine does not support one of them.
    """
    losses, lacks = ENGINES[engine].losses, ENGINES[engine].lacks
    if losses is not None and objective.loss.name not in losses:
        raise InputError(
            f"loss={objective.loss.name}: engine={engine} cannot train it; it has "
            f"{', '.join(losses)} only"
        )
    for key, name in (("loss", objective.loss.name), ("model", objective.name)):
        if name in lacks:
            raise InputError(f"{key}={name}: engine={engine} cannot train it; engine=numba can")
    if objective.subwords and "subwords" in lacks:
        raise InputError(f"subwords=true: engine={engine} cannot train them; engine=numba can")
    for name, only in ENGINES[engine].only:
        given = getattr(objective, name, only)
        if given != only:
            raise InputError(f"{name}={given}: must be {only} with engine={engine}")


def check_freezing(engine: str, objective: Objective) -> None:
    """Check that an engine can leave the vectors of chosen words unchanged during training.

    Raises
    ------
    InputError
        The engine does not support this; or the model has subwords, so that a change of one word
        also changes other words that contain the same n-grams.
    """
    if not ENGINES[engine].freezes:
        able = [name for name, entry in ENGINES.items() if entry.freezes]
        raise InputError(
            f"freeze: engine={engine} cannot leave vectors as they are; {' and '.join(able)} can"
        )
    if objective.subwords:
        raise InputError(
            "freeze: must be empty with subwords, where a word shares the rows of its n-grams with "
            "other words"
        )


def are_kernels_compiled() -> bool:
    """Return whether kernels (compiled functions) of ``engine=numba`` are on disk.

    The answer is also True if they were compiled from an older version of the code.
    """
    kept = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "compiled"
    return next(Path(kept).rglob("loop.train-*.nbi"), None) is not None


@contextmanager
def compiled_ahead(name: str) -> Iterator[None]:
    """Context manager: compile the kernels of an engine in a child process while the block runs.

    Kernels are functions that are compiled to machine code. This takes seconds, during which the
    ``with`` block can, for example, read the text. The compiled kernels are kept on disk. The child
    process is terminated at the end of the block, even if it has not finished. Nothing is compiled
    if the engine has no kernels, or if any are already on disk, even from older code.

    Parameters
    ----------
    name
        The name of the engine, a key of `ENGINES`.
    """
    if name != "numba" or are_kernels_compiled():
        yield
        return
    home = Path(__file__).parent
    script = "from w2v.engines.numba import compile_kernels; compile_kernels()"
    command = [sys.executable, "-c", script]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=home.parents[1], stdout=quiet, stderr=quiet) as child:
        try:
            yield
        finally:
            child.terminate()


def make_engine(name: str, task: Task) -> Engine:
    """Make an engine for a training task.

    Parameters
    ----------
    name
        The name of the engine, a key of `ENGINES`.
    task
        The model to train, with the objective and the text size.

    Raises
    ------
    InputError
        A package or a device that the engine needs is missing; or the engine cannot train this
        objective or one of its settings, or cannot keep vectors unchanged, as the task requires.
    """
    check_installed(name)
    check_objective(name, task.objective)
    if task.frozen is not None:
        check_freezing(name, task.objective)
    module, attribute = ENGINES[name].path.split(":")
    engine: Callable[[Task], Engine] = getattr(import_module(module), attribute)
    return engine(task)
