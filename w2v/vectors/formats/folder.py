"""This project's own format of vectors: a folder with arrays and with a table of their words.

- ``vectors.npy`` has the word vectors, float32 or float16 (V, d).
- ``vocabulary.tsv`` has their words and, if known, the counts.
- ``outside_vectors.npy`` (V, d) has the outside vectors, if there are any.
- If there are n-grams, ``subwords.npy`` (buckets, d) has a vector for each bucket (hash value), and
  ``ngrams.json`` has the smallest and the largest length of an n-gram in characters, and the
  encoding that converts words to bytes before their n-grams are hashed.

When a folder is read, its arrays can be mapped into memory.
"""

import codecs
import json
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import NPY_ERRORS, read_vocabulary, write_vocabulary, written_aside
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.selection import EVERYTHING, Selection
from w2v.vectors.formats.words import check_words
from w2v.vectors.ngrams import Subwords

VECTORS = "vectors.npy"
VOCABULARY = "vocabulary.tsv"
OUTSIDE = "outside_vectors.npy"
SUBWORDS, NGRAMS = "subwords.npy", "ngrams.json"
"""The names of the two files with the n-grams in a folder of vectors."""

HISTORY, ENGINE = "history.json", "engine.npz"
"""The names of the files that a trained model has beside its vectors (`w2v.training.result`)."""

Use = Literal["v", "v+u"]
"""Which vectors represent the words: the center vectors, or their sums with the outside vectors."""

USES: tuple[Use, ...] = ("v", "v+u")


def write_folder(folder: Path, contents: Contents) -> None:
    """Write vectors, their words and, if known, the counts into a folder, created if necessary.

    The files are ``vectors.npy`` and ``vocabulary.tsv``; for outside vectors
    ``outside_vectors.npy``; and for n-grams ``subwords.npy`` and ``ngrams.json``. When all new
    files are complete, older files of these names are replaced or removed, and ``history.json`` and
    ``engine.npz`` of an older model are removed. If the process is killed meanwhile, the folder may
    lack ``vocabulary.tsv`` and be unreadable, but never has new vectors with older words.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains a tab or a line feed, or is not valid
        Unicode.
    """
    check_words(contents.words, "\t\n", VOCABULARY)
    folder.mkdir(parents=True, exist_ok=True)
    subwords = contents.subwords
    rows = None if subwords is None else subwords.rows
    arrays = {VECTORS: contents.vectors, OUTSIDE: contents.outside, SUBWORDS: rows}
    with ExitStack() as stack:  # renames the files in reverse order
        aside = stack.enter_context(written_aside(folder / VOCABULARY))
        write_vocabulary(aside, contents.words, contents.counts)
        for name, array in arrays.items():
            if array is not None:
                with stack.enter_context(written_aside(folder / name)).open("wb") as file:
                    np.save(file, array, allow_pickle=False)
        if subwords is not None:
            _, shortest, longest, encoding = subwords
            facts = {"min_n": shortest, "max_n": longest, "encoding": encoding}
            aside = stack.enter_context(written_aside(folder / NGRAMS))
            aside.write_text(json.dumps(facts), encoding="utf-8")
        absent = (name for name in arrays if arrays[name] is None)
        for name in (VOCABULARY, NGRAMS, HISTORY, ENGINE, *absent):
            (folder / name).unlink(missing_ok=True)


def read_folder(folder: Path, use: Use = "v", selection: Selection = EVERYTHING) -> Contents:
    """Read words and their vectors from a folder that `write_folder` wrote.

    Parameters
    ----------
    use
        Which vectors represent the words. ``v``: center vectors, which are mapped into memory
        unless `selection` lists words. ``v+u``: the sums of center and outside vectors, which are
        computed in memory; the result then has no outside vectors and no n-grams.
    selection
        Which words are read.

    Raises
    ------
    InputError
        A file is missing or damaged, the shapes of center and outside vectors differ, or `use` is
        ``v+u`` and there are no outside vectors.
    """
    vectors = _map_array(folder / VECTORS)
    words, counts = read_vocabulary(folder / VOCABULARY)
    outside = None
    if use == "v+u" and not (folder / OUTSIDE).is_file():
        raise InputError(f"{folder}: has no outside vectors ({OUTSIDE}); use=v needs none")
    if (folder / OUTSIDE).is_file():
        outside = _map_array(folder / OUTSIDE)
        if outside.shape != vectors.shape:
            raise InputError(
                f"{folder / OUTSIDE}: has the shape {outside.shape}; the vectors have "
                f"{vectors.shape}"
            )
    if not selection.everything and vectors.ndim == 2 and len(words) == len(vectors):
        # A slice stays mapped into memory; chosen rows are copied.
        rows = slice(selection.limit) if selection.words is None else selection.rows(words)
        words = np.array(words, object)[rows].tolist()
        counts = None if counts is None else counts[rows]
        vectors, outside = vectors[rows], None if outside is None else outside[rows]
    if use == "v+u" and outside is not None:
        return Contents(words, vectors + outside, counts)
    return Contents(words, vectors, counts, outside, read_subwords(folder, vectors.shape[1:]))


def read_subwords(folder: Path, shape: tuple[int, ...]) -> Subwords | None:
    """Read the n-grams from a folder that `write_folder` wrote; return None if it has none.

    Parameters
    ----------
    shape
        The shape of a word vector, (d,), which the vectors of the n-grams must have.

    Raises
    ------
    InputError
        A file is damaged, ``ngrams.json`` is there without ``subwords.npy``, or the vectors of
        n-grams do not have d numbers each.
    """
    path = folder / NGRAMS
    if not path.is_file():
        return None
    rows = _map_array(folder / SUBWORDS)
    try:
        facts = json.loads(path.read_bytes())
        shortest, longest = int(facts["min_n"]), int(facts["max_n"])
        encoding = codecs.lookup(facts.get("encoding", "utf-8")).name  # older files have none
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); it is damaged") from None
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1:] != shape:
        raise InputError(f"{folder / SUBWORDS}: has the shape {rows.shape}; it is damaged")
    return Subwords(rows, shortest, longest, encoding)


_PARSING = Lock()
"""A lock for `np.load`, which parses the header of a file as Python. In Python 3.11, this can raise
a SystemError if several threads parse at once (python/cpython#106905)."""


def _map_array(path: Path) -> NDArray[np.float32]:
    """Map an ``.npy`` file into memory; the array has the file's dtype, float32 or float16.

    A float16 array is returned unchanged, although the annotation names only float32.

    Raises
    ------
    InputError
        The file cannot be read, or has another dtype.
    """
    try:
        with _PARSING:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except NPY_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read ({reason}); "
            f"a directory with {VECTORS} and {VOCABULARY} is needed"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float16):
        raise InputError(
            f"{path}: holds {getattr(array, 'dtype', 'no array')}; float32 or float16 is needed"
        )
    return array
