"""A trained model: what `w2v.train` returns, and its folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import local_path
from w2v.training.history import Epoch, Point
from w2v.training.movement import Movement
from w2v.training.result import read_engine_state, read_history, write_result
from w2v.vectors import WordVectors


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """Word vectors with the history of their training.

    Attributes
    ----------
    vectors : WordVectors
        The center vectors of the words, which people use; ``vectors.outside`` are the outside
        vectors, float32 (V, d). With early stopping they are those of the best epoch.
    epochs : list of w2v.training.history.Epoch
        Number, loss, held-out loss, learning rate, words, pairs and seconds of each epoch.
    points : list of w2v.training.history.Point
        The same at more points in time, for curves.
    kept_epoch
        The epoch after which the vectors are as given; 0 where training was interrupted before
        the end of the first.
    words, seconds
        Words of the vocabulary read over all epochs, before sub-sampling, and the time of the
        training alone.
    corpus, vocabulary : dict
        Figures about the text (documents, tokens, types, ...) and about how much of it the words
        cover (size, tokens_kept, out_of_vocabulary, ...). Empty for a loaded model.
    moved : Movement or None
        With ``init=``, how far the given vectors have moved; see `w2v.training.movement`.
    interrupted
        Whether training ended early by Ctrl-C.
    engine_state
        Arrays that the engine needs to go on, by name; usually none.
    """

    vectors: WordVectors
    epochs: list[Epoch]
    points: list[Point]
    kept_epoch: int
    words: int
    seconds: float
    corpus: dict[str, Any] = field(default_factory=dict)
    vocabulary: dict[str, Any] = field(default_factory=dict)
    moved: Movement | None = None
    interrupted: bool = False
    engine_state: dict[str, NDArray[Any]] = field(default_factory=dict)

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
        """Write the model into a folder, which is created.

        `WordVectors.load` and `load` read it, and so do the settings ``train.init`` and
        ``evaluate.vectors`` of the pipeline. Its files are ``vectors.npy``,
        ``outside_vectors.npy`` (float32), ``vocabulary.tsv``, ``history.json`` and, for the
        exact softmax, ``engine.npz``.

        Raises
        ------
        InputError
            The folder cannot be written.
        """
        try:
            parts = self.epochs, self.points, self.engine_state
            write_result(local_path(folder), self.vectors, *parts)
        except OSError as error:
            raise InputError(f"folder={folder}: cannot be written ({error})") from None

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what `save` or a training of the pipeline wrote; vectors are mapped into memory.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        vectors = WordVectors.load(folder)
        path = local_path(folder)
        try:
            points, epochs = read_history(path)
            engine_state = read_engine_state(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder}: holds no model with its history ({error}); WordVectors.load reads "
                "vectors alone"
            ) from None
        words, seconds = sum(e.words for e in epochs), sum(e.seconds for e in epochs)
        return cls(vectors, epochs, points, len(epochs), words, seconds, engine_state=engine_state)
