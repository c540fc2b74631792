"""Save the result of a training in a folder, and read it again to train more epochs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.files import written_aside
from w2v.objectives import Model, Objective
from w2v.text.vocabulary import Vocabulary
from w2v.training.checkpoint import Snapshot
from w2v.training.history import Epoch, Point
from w2v.training.train import INNER_NODES, OWN_ROWS, Trained, finished_state
from w2v.vectors import OUTSIDE, VECTORS, WordVectors
from w2v.vectors.formats import ENGINE, HISTORY, SUBWORDS, write_folder
from w2v.vectors.ngrams import Subwords


def save_result(folder: Path, vocabulary: Vocabulary, trained: Trained) -> None:
    """Write the vectors, the history and the engine's state of a training into a folder.

    The folder can be read by `WordVectors.load`, by `read_history`, and, to train more epochs, by
    `read_state`.
    """
    vectors = word_vectors(vocabulary, trained.model, trained.objective)
    write_result(folder, vectors, trained.epochs, trained.points, trained.engine_state)


def word_vectors(vocabulary: Vocabulary, model: Model, objective: Objective) -> WordVectors:
    """Return the words with their center vectors and, if there are any, their outside vectors.

    With hierarchical softmax there are no outside vectors: the output vectors belong to the inner
    nodes of the tree. With subwords, a word's center vector is the mean of the word's row of the
    input matrix and the rows of its n-grams, and the result includes the vectors of the n-grams.
    """
    center, outside = map(np.ascontiguousarray, model)
    of_words = objective.loss.output_vectors == "words"
    subwords = None
    if objective.subwords:
        center, rows = np.split(center, [len(vocabulary)])
        subwords = Subwords(rows, objective.min_n, objective.max_n)
        encoded = [word.encode("utf-8", "replace") for word in vocabulary.words]
        center = subwords.means(encoded, center.copy())
    return WordVectors(
        vocabulary.words, center, vocabulary.counts, outside if of_words else None, subwords
    )


def write_result(
    folder: Path,
    vectors: WordVectors,
    epochs: Sequence[Epoch],
    points: Sequence[Point],
    engine_state: Mapping[str, NDArray[Any]],
) -> None:
    """Write vectors, the training history and the engine's state into a folder.

    Parameters
    ----------
    folder
        The folder; files of an earlier result in it are replaced or removed.
    vectors
        The words with their center vectors and, if there are any, outside vectors and n-grams.
    epochs, points
        The history of the training, with a `Point` for each shard (a part of the text).
    engine_state
        Other arrays that are needed to train more epochs, by name; if there are none, it is empty,
        and ``engine.npz`` is not written.
    """
    write_folder(folder, vectors.contents())
    if engine_state:
        with written_aside(folder / ENGINE) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **engine_state)  # type: ignore[arg-type]
    history = {
        "epochs": [asdict(epoch) for epoch in epochs],
        "points": [point._asdict() for point in points],
    }
    with written_aside(folder / HISTORY) as aside:
        aside.write_text(json.dumps(history, allow_nan=False), encoding="utf-8")


def read_history(folder: Path) -> tuple[list[Point], list[Epoch]]:
    """Read the training history from the folder of a result.

    A shard is a part of the text that is trained on in one call. Return a `Point` for each shard:
    its mean loss, and, at its end, the learning rate and the words and seconds so far. Return an
    `Epoch` for each epoch: its losses, learning rate, training time, numbers of words and pairs,
    and scores of the vectors.
    """
    history = json.loads((folder / HISTORY).read_bytes())
    points = [Point(**point) for point in history["points"]]
    return points, [Epoch(**epoch) for epoch in history["epochs"]]


def read_state(folder: Path) -> Snapshot:
    """Read the state at the end of a training, from which more epochs can be trained.

    Matrices in ``.npy`` files are memory-mapped, except that with subwords the input matrix is put
    together in memory. Other arrays are read into memory.
    """
    points, epochs = read_history(folder)
    engine_state = read_engine_state(folder)
    center = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    if OWN_ROWS in engine_state:
        rows = np.load(folder / SUBWORDS, mmap_mode="r", allow_pickle=False)
        center = np.concatenate([engine_state[OWN_ROWS], rows])
    if INNER_NODES in engine_state:
        outside = engine_state[INNER_NODES]
    else:
        outside = np.load(folder / OUTSIDE, mmap_mode="r", allow_pickle=False)
    return finished_state(Model(center, outside), engine_state, epochs, points)


def read_engine_state(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays, by name, that training more epochs needs in addition to the vectors.

    The dict is empty if there are none.
    """
    if not (folder / ENGINE).is_file():
        return {}
    # NumPy would leave a file open that is damaged.
    with (folder / ENGINE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
