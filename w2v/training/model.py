"""The class of trained models, which `w2v.train` returns."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zipfile import BadZipFile

from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import NPY_ERRORS, local_path, refuse_unwritable
from w2v.training.history import Epoch, Point
from w2v.training.movement import Movement
from w2v.training.result import read_engine_state, read_history, write_result
from w2v.vectors import WordVectors, find_vectors

if TYPE_CHECKING:  # it loads Numba
    from w2v.cluster.engine import Costs

DAMAGE: tuple[type[Exception], ...] = (*NPY_ERRORS, RuntimeError, BadZipFile, zlib.error)
"""The exceptions that reading a damaged ``history.json`` or ``engine.npz`` can raise."""


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """Word vectors with the history of their training.

    `save` does not write `corpus`, `vocabulary`, `moved`, `interrupted` and `cluster`. In a loaded
    model, they have their default values, and `words` and `seconds` are of complete epochs only.
    """

    vectors: WordVectors
    """The words with their vectors, float32 (V, d): the center vectors, which are the word vectors
    to use, and ``vectors.outside``. With early stopping, all are those of the best epoch, unless
    Ctrl-C ended the training."""
    epochs: list[Epoch]
    """Number, loss, held-out loss, learning rate, words, pairs and seconds of each epoch."""
    points: list[Point]
    """Loss and learning rate at many points within the epochs, for plots."""
    kept_epoch: int
    """The number of the epoch whose vectors were kept: the last one or, with early stopping, the
    best one. After an interrupted training, and in a loaded model: the number of complete
    epochs."""
    words: int
    """The number of in-vocabulary tokens read in all epochs, before sub-sampling."""
    seconds: float
    """The training time, without compiling, reading the text or measuring held-out losses."""
    corpus: dict[str, Any] = field(default_factory=dict)
    """Statistics of the text, such as the numbers of documents, tokens and types."""
    vocabulary: dict[str, Any] = field(default_factory=dict)
    """Statistics of the vocabulary, such as its size and how much of the text it covers
    (tokens_kept, out_of_vocabulary)."""
    moved: Movement | None = None
    """How far the vectors have moved from those given as ``init``; None if none were given."""
    interrupted: bool = False
    """Whether training was ended early by Ctrl-C."""
    engine_state: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays, by name, that are needed to train more epochs, such as an optimizer's state. Often
    empty."""
    cluster: "Costs | None" = None
    """With several workers, the seconds that they spent computing, combining and waiting, and how
    many bytes they sent; otherwise None."""

    def __repr__(self) -> str:
        final = self.epochs[-1] if self.epochs else None
        loss = "" if final is None or final.loss is None else f", loss {final.loss:.4f}"
        interrupted = ", interrupted" * self.interrupted
        moved = ""
        if self.moved is not None:
            moved = f", {self.moved.words:,} given words at a mean cosine of {self.moved.mean:.3f}"
        return (
            f"TrainedModel({len(self.vectors):,} words, {self.vectors.dimensions} dimensions, "
            f"{len(self.epochs)} epochs{loss}{moved}{interrupted})"
        )

    def save(self, folder: str | Path) -> None:
        """Write the model into a folder, which is created if necessary.

        `load` and `WordVectors.load` read this folder. It can also be given to the pipeline's
        settings ``train.init`` and ``evaluate.vectors``. The files are ``vectors.npy``,
        ``vocabulary.tsv``, ``history.json`` and, if the model has them, ``outside_vectors.npy``,
        ``subwords.npy`` and ``ngrams.json`` (n-grams), and ``engine.npz`` (`engine_state`).

        Raises
        ------
        InputError
            The folder or one of the words cannot be written.
        """
        parts = self.epochs, self.points, self.engine_state
        with refuse_unwritable(f"folder={folder}"):
            write_result(local_path(folder), self.vectors, *parts)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a model from a folder that `save` has written, or that of a run of the pipeline.

        The folder of a run, ``outputs/runs/<date>/<time>``, has a ``summary.json``. This file names
        another folder, from which the run's vectors and history are loaded. The vectors are
        memory-mapped.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        vectors = WordVectors.load(folder)
        path = find_vectors(folder)
        try:
            points, epochs = read_history(path)
            engine_state = read_engine_state(path)
        except DAMAGE as error:
            raise InputError(
                f"{folder}: holds no model with its history ({error}); WordVectors.load reads "
                "vectors alone"
            ) from None
        words, seconds = sum(e.words for e in epochs), sum(e.seconds for e in epochs)
        return cls(vectors, epochs, points, len(epochs), words, seconds, engine_state=engine_state)
