"""Initial vectors from a file: words that it has start from there, other words at random."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import NPY_ERRORS, file_sha256, local_path
from w2v.objectives import Model, initial_model
from w2v.vectors import OUTSIDE, VECTORS, VOCABULARY, WordVectors, find_vectors


def given_files(path: str | Path) -> list[Path]:
    """Return the files that `given_vectors` reads.

    Raises
    ------
    InputError
        There are no vectors at that path.
    """
    try:
        found = find_vectors(path)
    except InputError as error:
        raise InputError(f"init={error}") from None
    if not found.is_dir():
        return [found]
    files = [found / name for name in (VECTORS, VOCABULARY, OUTSIDE)]
    return [file for file in files if file.is_file()]


def fingerprint(path: Path) -> list[str]:
    """Return the SHA-256 of every file that is read; equal for equal vectors at any path."""
    return [file_sha256(file) for file in given_files(path)]


def given_vectors(path: str | Path) -> tuple[WordVectors, NDArray[np.float32] | None]:
    """Read word vectors and, if there are any, their outside vectors.

    Parameters
    ----------
    path
        Whatever `WordVectors.load` reads; only a folder has outside vectors.

    Raises
    ------
    InputError
        There are no vectors, or the files are damaged or do not match.
    """
    path = local_path(path)
    files = given_files(path)
    vectors = WordVectors.load(path)
    if files[-1].name != OUTSIDE:
        return vectors, None
    try:
        outside = np.load(files[-1], mmap_mode="r", allow_pickle=False)
    except NPY_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{files[-1]}: cannot be read ({reason})") from None
    shape, dtype = vectors.vectors.shape, np.float32
    if getattr(outside, "shape", None) != shape or outside.dtype != dtype:
        raise InputError(f"{files[-1]}: float32 of shape {shape} is needed, as in {VECTORS}")
    return vectors, outside


def model_from(
    path: Path, words: Sequence[str], dim: int, random: np.random.Generator
) -> tuple[Model, int]:
    """Make an initial model from vectors in a file.

    Parameters
    ----------
    path
        See `given_vectors`.
    words
        The words of the vocabulary.
    dim
        The length of a vector.
    random
        Draws the vectors of words that the file does not have, as `initial_model` does.

    Returns
    -------
    model : Model
        Outside vectors are zero for words without a given one.
    int
        How many words have a given vector.

    Raises
    ------
    InputError
        The given vectors have another length, are not finite, or share no word with the
        vocabulary.
    """
    vectors, outside = given_vectors(path)
    if vectors.dimensions != dim:
        raise InputError(
            f"init={path}: its vectors have {vectors.dimensions} numbers; "
            f"set dim={vectors.dimensions}, not {dim}"
        )
    rows = np.array([i for i, word in enumerate(words) if word in vectors], np.int64)
    given_rows = np.array([vectors.row(words[i]) for i in rows], np.int64)
    if len(rows) == 0:
        raise InputError(
            f"init={path}: none of its {len(vectors):,} words is among the {len(words):,} "
            "of the vocabulary"
        )
    model = initial_model(len(words), dim, random)
    model.center[rows] = vectors.vectors[given_rows]
    if outside is not None:
        model.outside[rows] = outside[given_rows]
    if not all(np.isfinite(array.sum(dtype=np.float64)) for array in model):
        raise InputError(f"init={path}: a vector holds NaN or an infinity")
    return model, len(rows)
