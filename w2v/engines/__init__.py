"""Engines: what turns text into updates of the model, behind one interface.

An engine owns the inner loop and nothing else. ``w2v.training`` cuts the text into pieces, decays
the learning rate, adds up what the engine reports and decides when to stop; so every engine has
the same epochs, the same schedule and the same loss, and a new one is one file and one line in
`ENGINES`.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.objectives import Model, SkipGram, Softmax
from w2v.text.tokens import Text


class Tally(NamedTuple):
    """What an engine did: sums over the pairs it trained.

    Attributes
    ----------
    words
        In-vocabulary words read, before sub-sampling.
    pairs
        (centre, outside) pairs, by weight; ``None`` where the engine does not tell.
    loss
        The objective summed over those pairs, each as it was before its own update; ``None``
        where the engine does not tell.
    setup_seconds
        Spent on what is not training: handing the text over to another program.
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
        """The objective per pair; ``None`` where there was no pair or the engine does not tell."""
        return self.loss / self.pairs if self.pairs and self.loss is not None else None


@dataclass(frozen=True)
class Task:
    """What an engine is set up for.

    Attributes
    ----------
    model : Model
        Where training starts.
    objective : SkipGram
    counts : int64 (V,)
        Of the vocabulary's words in the corpus: for sub-sampling and noise.
    words
        In-vocabulary words that an epoch reads, before sub-sampling.
    epochs
        How often they will be read.
    threads
        Threads that the engine may use.
    """

    model: Model
    objective: SkipGram
    counts: NDArray[np.int64]
    words: int
    epochs: int = 1
    threads: int = 1


class Engine(Protocol):
    """The interface."""

    task: Task
    """What it was set up for, with the model that it updates, laid out as it likes."""

    piece_words: int
    """Tokens that ``train`` is given at a time."""

    compile_seconds: float
    """Spent on compiling, or on loading what was compiled before, when the engine was made."""

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Update the model on a piece of text, once.

        Parameters
        ----------
        text
            Documents of up to about ``piece_words`` tokens.
        rates
            The learning rate at the start and at the end of the piece.
        random
            The only source of chance: a function of seed, epoch and piece.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What later updates depend on beside the model: the optimiser's arrays, by name."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave, from an engine set up for the same task."""
        ...


ENGINES = {
    "numpy": "w2v.engines.numpy:NumpyEngine",
    "numba": "w2v.engines.numba:NumbaEngine",
    "gensim": "w2v.engines.gensim:GensimEngine",
}
"""The engines by name. Each is imported when it is first made."""

WITHOUT_SOFTMAX = {"gensim": "loss=softmax: engine=gensim has negative sampling only"}
"""The engines that lack the exact softmax, and the line that refuses it."""

WITHOUT_LOSS = ("gensim",)
"""The engines that report no training loss; every one has a held-out loss."""


@contextmanager
def compiled_ahead(name: str) -> Iterator[None]:
    """Meanwhile, compile an engine's kernels in another process, where none are on disk.

    Compiling takes seconds, once on a machine. Beside the reading of the text they cost little;
    the engine waits for them, or finds them.
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
    """Set up an engine.

    Parameters
    ----------
    name
        In `ENGINES`; otherwise a `KeyError`.

    Raises
    ------
    InputError
        A setting that the engine cannot honour.
    """
    if isinstance(task.objective.loss, Softmax) and name in WITHOUT_SOFTMAX:
        raise InputError(WITHOUT_SOFTMAX[name])
    module, attribute = ENGINES[name].split(":")
    engine: Callable[[Task], Engine] = getattr(import_module(module), attribute)
    return engine(task)
