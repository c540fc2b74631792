"""Read files of word vectors in every known format, and write them in several formats.

There is a module for each format. `read` detects the format of a file, and `FORMATS` lists those to
which vectors can be exported. Most code calls `w2v.WordVectors.load` and `w2v.WordVectors.export`
instead.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from w2v.errors import InputError
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.counts import read_counts
from w2v.vectors.formats.fasttext import is_fasttext, read_fasttext, write_fasttext
from w2v.vectors.formats.folder import (
    ENGINE,
    HISTORY,
    NGRAMS,
    OUTSIDE,
    SUBWORDS,
    USES,
    VECTORS,
    VOCABULARY,
    Use,
    read_folder,
    write_folder,
)
from w2v.vectors.formats.parquet import is_parquet, parquet_parts, read_parquet, write_parquet
from w2v.vectors.formats.projector import write_projector
from w2v.vectors.formats.selection import EVERYTHING, Selection
from w2v.vectors.formats.word2vec import read_word2vec, write_word2vec

__all__ = [
    "ENGINE",
    "FORMATS",
    "HISTORY",
    "NGRAMS",
    "OUTSIDE",
    "SUBWORDS",
    "USES",
    "VECTORS",
    "VOCABULARY",
    "Contents",
    "Format",
    "Selection",
    "Use",
    "export",
    "parquet_parts",
    "read",
    "read_counts",
    "read_word2vec",
    "write_folder",
    "write_projector",
    "write_word2vec",
]


class Format(NamedTuple):
    """A format that vectors can be exported to.

    Attributes
    ----------
    name
        The name of the file or folder that is written.
    write
        The function that writes this file or folder. Its two arguments are the path, and a
        `Contents` with the words and vectors.
    """

    name: str
    write: Callable[[Path, Contents], None]


FORMATS = {
    "word2vec-text": Format("vectors.txt", write_word2vec),
    "word2vec-binary": Format("vectors.bin", partial(write_word2vec, binary=True)),
    "glove-text": Format("vectors.glove.txt", partial(write_word2vec, header=False)),
    "fasttext": Format("vectors.fasttext.bin", write_fasttext),
    "parquet": Format("vectors.parquet", write_parquet),
    "tensorboard": Format("tensorboard", write_projector),
}
"""The formats that `w2v.WordVectors.export` and the setting ``evaluate.export`` accept, by name."""


def export(folder: Path, names: Sequence[str], contents: Contents) -> None:
    """Write words and vectors into a folder, in one or more formats (keys of `FORMATS`)."""
    for name in names:
        target = FORMATS[name]
        target.write(folder / target.name, contents)


def read(
    path: Path, use: Use = "v", encoding: str = "utf-8", selection: Selection = EVERYTHING
) -> Contents:
    """Read word vectors from a file or a folder, whatever its format.

    Parameters
    ----------
    path
        A folder written by `write_folder`; a Parquet file; a folder of Parquet files, as written by
        Spark; or a file in the text or binary format of word2vec, gensim, fastText or GloVe.
    use
        ``v``: the center vectors; ``v+u``: the sums of center and outside vectors.
    encoding
        How the words of a file of word2vec, fastText or GloVe are encoded.

    Raises
    ------
    InputError
        The file is missing, damaged or of another format, holds none of the selected words, or has
        no outside vectors although `use` is ``v+u``. (Only a folder written by `write_folder` may
        have them.)

    Warns
    -----
    UserWarning
        Some of ``selection.words`` are missing although ``selection.limit`` is None, or the file
        has faults that can be passed over, such as repeated words.
    """
    parts = [] if (path / VECTORS).is_file() else parquet_parts(path)
    if not path.is_file() and not parts:
        found = read_folder(path, use, selection)
    elif use != "v":
        raise InputError(f"{path}: has no outside vectors; only the folder of a model has them")
    elif parts:
        found = read_parquet(path, parts, selection)
    elif is_parquet(path):
        found = read_parquet(path, [path], selection)
    elif is_fasttext(path):
        found = read_fasttext(path, encoding, selection)
    else:
        found = read_word2vec(path, None, None, encoding, selection)
    if selection.words is not None:
        missing = sorted({*selection.words} - {*found.words})
        if not found.words:
            raise InputError(f"{path}: has none of the {len(selection.words):,} words")
        if missing and selection.limit is None:
            line = f"{path}: {len(missing):,} words are not in it, such as {missing[0]!r}"
            warnings.warn(line, stacklevel=3)
    return found
