"""Parquet tables of word vectors: one file, or a folder of files as Spark writes a model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.compression import first_bytes
from w2v.errors import InputError
from w2v.files import written_aside
from w2v.vectors.formats.contents import Contents
from w2v.vectors.formats.selection import EVERYTHING, Selection
from w2v.vectors.formats.words import check_words, require_finite

MAGIC = b"PAR1"
"""The first bytes of Parquet files."""

SPARK_DENSE = 1
"""The ``type`` of Spark's dense vectors. Sparse vectors, which omit zeros, have the type 0."""

ROWS = 1 << 14
"""The number of rows of a Parquet table that are read at a time. Rows of other words than those
wanted are not kept."""


def write_parquet(path: Path, contents: Contents) -> None:
    """Write a Parquet table with the columns ``word``, ``count`` (if known) and ``vector``.

    A vector is a list of float32.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, or not valid Unicode.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_words(contents.words, "", path.name)
    flat = pa.array(np.ascontiguousarray(contents.vectors, np.float32).reshape(-1))
    columns: dict[str, Any] = {"word": pa.array(contents.words, pa.string())}
    if contents.counts is not None:
        columns["count"] = pa.array(contents.counts)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, contents.vectors.shape[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        pq.write_table(pa.table(columns), aside)


def is_parquet(path: Path) -> bool:
    """Return whether a file seems to be Parquet: it begins with `MAGIC` or is called ``*.parquet``.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return first_bytes(path).startswith(MAGIC) or path.suffix == ".parquet"


def parquet_parts(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder; empty if there are none, or if it is not a folder.

    If its subfolder ``data``, which Spark writes, has Parquet files, these are returned instead.
    """
    if not folder.is_dir():
        return []
    for place in (folder / "data", folder):
        if parts := sorted(place.glob("*.parquet")):
            return parts
    return []


def read_parquet(path: Path, parts: Sequence[Path], selection: Selection = EVERYTHING) -> Contents:
    """Read Parquet tables with the columns ``word``, ``vector`` and, optionally, ``count``.

    Parameters
    ----------
    path
        The name of the table in error messages.
    parts
        The files of the table. A vector is a list of numbers, or a dense vector of Spark.
    selection
        Which words are read.

    Raises
    ------
    InputError
        A file cannot be read, lacks one of the columns ``word`` and ``vector``, or lacks a value;
        or the vectors have different lengths, are not finite, or are sparse vectors of Spark.

    Warns
    -----
    UserWarning
        Words are repeated (the first of each is kept) or blank (these are skipped).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    words: dict[str, None] = {}  # in the order of the file; a dictionary finds repetitions
    repeated = blank = 0
    arrays: list[NDArray[np.float32]] = []
    counts: list[NDArray[np.int64]] = []
    try:
        for part in parts:
            if selection.full(len(words)):
                break
            with pq.ParquetFile(part) as file:
                names = file.schema_arrow.names
                columns = ["word", "vector", *[name for name in names if name == "count"]]
                if not set(columns) <= set(names):
                    raise pa.ArrowInvalid(f"its columns are {', '.join(names)}")
                for batch in file.iter_batches(ROWS, columns=columns):
                    table = pa.table(batch)
                    found = table.column("word").cast(pa.string()).to_pylist()
                    rows, again, empty = _new_rows(found, selection, words)
                    repeated, blank = repeated + again, blank + empty
                    if rows:
                        if len(rows) < len(found):
                            table = table.take(rows)
                        arrays.append(_vectors_of(table.column("vector").combine_chunks()))
                        if "count" in columns:
                            column = table.column("count").cast(pa.int64())
                            if column.null_count:
                                raise pa.ArrowInvalid("a count is missing")
                            counts.append(column.to_numpy())
                    if selection.full(len(words)):
                        break
        if None in words or len({array.shape[1] for array in arrays}) > 1:
            raise pa.ArrowInvalid("a word is missing, or the vectors have different lengths")
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: cannot be read ({reason}); the columns word and vector are needed"
        ) from None
    if repeated:
        note = f"{repeated:,} repeated words; the first of each is kept"
        warnings.warn(f"{path}: {note}", stacklevel=3)
    if blank:
        warnings.warn(f"{path}: {blank:,} blank words are skipped", stacklevel=3)
    vectors = np.concatenate(arrays) if arrays else np.empty((0, 1), np.float32)
    kept = [*words]
    require_finite(path, kept, vectors)
    known = len(counts) == len(arrays) > 0
    return Contents(kept, vectors, np.concatenate(counts) if known else None)


def _new_rows(
    found: Sequence[str], selection: Selection, words: dict[str, None]
) -> tuple[list[int], int, int]:
    """Choose the rows of a table whose words are wanted and new, and add these words to `words`.

    Parameters
    ----------
    found
        The word of each row.
    selection
        Which words are wanted. As soon as all of them have been found, the search ends.
    words
        The wanted words of earlier rows.

    Returns
    -------
    rows : list of int
        The indices of the chosen rows.
    repeated : int
        The number of rows whose word is wanted, but is also the word of an earlier row.
    blank : int
        The number of rows whose word is only white space.
    """
    rows, repeated, blank = [], 0, 0
    for row, word in enumerate(found):
        if isinstance(word, str) and not word.strip():
            blank += 1
        elif word in words:
            repeated += 1
        elif selection.words is None or word in selection.words:
            words[word] = None
            rows.append(row)
            if selection.full(len(words)):
                break
    return rows, repeated, blank


def _vectors_of(column: Any) -> NDArray[np.float32]:
    """Convert an Arrow column of vectors to an array: (rows, d) float32."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = None
    if pa.types.is_struct(column.type):  # Spark's type of vectors
        kinds, column = (pc.struct_field(column, name) for name in ("type", "values"))
    lists = column.cast(pa.list_(pa.float32()))
    if lists.null_count or lists.flatten().null_count:
        raise pa.ArrowInvalid("a vector or a number is missing")
    if kinds is not None and kinds.to_pylist() != [SPARK_DENSE] * len(kinds):
        raise pa.ArrowInvalid("a vector is sparse; write them as dense vectors")
    if len(lists.value_lengths().unique()) != 1:
        raise pa.ArrowInvalid("the vectors have different lengths")
    vectors: NDArray[np.float32] = lists.flatten().to_numpy().reshape(len(lists), -1)
    return vectors
