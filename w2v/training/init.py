"""Make the initial vectors of a training from given word vectors."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.objectives import Model, Objective, initial_model
from w2v.vectors import OUTSIDE, VECTORS, VOCABULARY, WordVectors, find_vectors
from w2v.vectors.formats import NGRAMS, SUBWORDS, parquet_parts


def given_files(path: str | Path) -> list[Path]:
    """Return the files that hold the word vectors at a path.

    If the vectors are in a folder, these are all of its files with vectors, words or n-grams;
    otherwise, the vectors are in one file.

    Parameters
    ----------
    path
        Any path that `find_vectors` accepts.

    Raises
    ------
    InputError
        There are no vectors at the path, or it cannot be read.
    """
    try:
        found = find_vectors(path)
    except InputError as error:
        raise InputError(f"init={error}") from None
    if not found.is_dir():
        return [found]
    files = [found / name for name in (VECTORS, VOCABULARY, OUTSIDE, SUBWORDS, NGRAMS)]
    return [file for file in files if file.is_file()] or parquet_parts(found)


def fingerprint(path: Path, hashes: FileHashes | None = None) -> list[str]:
    """Return the SHA-256, in hexadecimal, of each file that holds the word vectors at `path`.

    `given_files` lists these files. `hashes` caches the hashes of unchanged files; without it,
    every file is read.
    """
    return (hashes or FileHashes()).sha256(given_files(path))


def given_vectors(path: str | Path) -> WordVectors:
    """Read word vectors, with their outside vectors if there are any.

    Parameters
    ----------
    path
        Any path that `WordVectors.load` accepts.

    Raises
    ------
    InputError
        There are no vectors, or the files are damaged or do not belong together.
    """
    given_files(path)
    return WordVectors.load(path)


def check_given(path: str | Path, objective: Objective) -> None:
    """Raise `InputError` if training cannot begin with the word vectors at a path.

    This is a quick check that reads only one of the vectors and, if there are n-grams, the n-gram
    lengths and the number of buckets (hash values). `check_shape` compares the vector's dimension,
    these lengths and this number with `objective`. Damage in the rest of the files is found later,
    when `given_vectors` reads them.
    """
    given_files(path)
    with warnings.catch_warnings():  # they are shown when all vectors are read
        warnings.simplefilter("ignore")
        given = WordVectors.load(path, limit=1)
    check_shape(given, objective, str(path))


def check_shape(given: WordVectors, objective: Objective, name: str) -> None:
    """Raise `InputError` if given vectors, or their n-grams, do not fit an objective.

    The vectors must have the dimension of `objective`. If `objective` has subwords, there must also
    be vectors of n-grams, with the n-gram lengths and the number of buckets (hash values) that
    `objective` has. These n-grams must have been hashed as UTF-8 bytes, as in training: in a
    fastText model with another encoding, the same n-gram may have another hash. `name` is what the
    error message calls the vectors.
    """
    dim = objective.dim
    if given.dimensions != dim:
        raise InputError(
            f"init={name}: its vectors have {given.dimensions} numbers, and dim is {dim}; "
            "the two must be equal"
        )
    if not objective.subwords:
        return
    ngrams = given.subwords
    wanted = objective.min_n, objective.max_n, objective.buckets
    if ngrams is None:
        raise InputError(
            f"init={name}: its words have no n-grams; set subwords=false, or give a run with "
            "subwords or a .bin of fastText"
        )
    if ngrams.encoding not in ("utf-8", "ascii"):
        raise InputError(
            f"init={name}: its n-grams are those of words in {ngrams.encoding}, and training makes "
            "n-grams of words in utf-8; set subwords=false"
        )
    found = ngrams.shortest, ngrams.longest, len(ngrams.rows)
    if found != wanted:
        raise InputError(
            f"init={name}: its n-grams have min_n={found[0]}, max_n={found[1]} and "
            f"buckets={found[2]}; set them, not {wanted[0]}, {wanted[1]} and {wanted[2]}"
        )


def model_from(
    given: WordVectors,
    words: Sequence[str],
    objective: Objective,
    random: np.random.Generator,
    name: str,
) -> tuple[Model, int]:
    """Make the initial model of a training from given vectors.

    The second result is the number of words of the vocabulary, `words`, that have a given vector.
    `random` draws the center vectors of words that are not in `given`, as in `initial_model`; with
    subwords, they are made from n-grams instead (`fill_subwords`). Outside vectors that are not
    given are zero, and so are the vectors of the inner nodes with hierarchical softmax. `name` is
    what error messages call the given vectors.

    Raises
    ------
    InputError
        The given vectors do not fit `objective` (see `check_shape`) or are not finite, or none of
        their words is in the vocabulary.
    """
    check_shape(given, objective, name)
    rows = np.array([i for i, word in enumerate(words) if word in given], np.int64)
    given_rows = np.array([given.row(words[i]) for i in rows], np.int64)
    if len(rows) == 0:
        raise InputError(
            f"init={name}: none of its {len(given):,} words is among the {len(words):,} "
            "of the vocabulary"
        )
    model = initial_model(objective, len(words), random)
    if objective.subwords:
        fill_subwords(model.center, given, words, rows, given_rows)
    else:
        model.center[rows] = given.vectors[given_rows]
    if given.outside is not None and objective.loss.output_vectors == "words":
        model.outside[rows] = given.outside[given_rows]
    if not all(np.isfinite(array.sum(dtype=np.float64)) for array in model):
        raise InputError(f"init={name}: a vector holds NaN or an infinity")
    return model, len(rows)


def fill_subwords(
    table: NDArray[np.float32],
    given: WordVectors,
    words: Sequence[str],
    rows: NDArray[np.int64],
    given_rows: NDArray[np.int64],
) -> None:
    """Fill `table`, the matrix of input vectors (V + buckets, d), from a given model with n-grams.

    The rows of n-grams are copied. The row of a word of the given model is set such that its mean
    with the rows of the word's n-grams is the given vector. The row of any other word is the mean
    of the rows of its n-grams.

    `words` is the vocabulary. `rows` and `given_rows` are the indices, in `words` and in `given`,
    of the words that both have. The n-grams of `given` must fit the objective of the training
    (`check_shape`).
    """
    ngrams = given.subwords
    assert ngrams is not None  # see `check_shape`
    encoded = [word.encode("utf-8", "replace") for word in words]
    table[: len(words)] = ngrams.means(encoded)
    table[len(words) :] = ngrams.rows
    table[rows] = ngrams.own([encoded[row] for row in rows], given.vectors[given_rows])
