"""Read files of word vectors in every known format, and write them in several formats.

`read` detects the format: that of this project, word2vec, gensim, fastText, GloVe, or a Parquet
table. `FORMATS` lists the formats that vectors can be exported to. Most code uses these through
`w2v.WordVectors.load` and `w2v.WordVectors.export`.
"""

import json
import re
import warnings
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import (
    NPY_ERRORS,
    OPENERS,
    UNPACK_ERRORS,
    first_bytes,
    is_number,
    open_binary,
    read_vocabulary,
    unpacked,
    write_vocabulary,
    written_aside,
)
from w2v.vectors.fasttext import MAGIC, read_model, write_model
from w2v.vectors.file_reader import FileReader
from w2v.vectors.ngrams import Subwords
from w2v.vectors.selection import Selection

VECTORS = "vectors.npy"
VOCABULARY = "vocabulary.tsv"
OUTSIDE = "outside_vectors.npy"
SUBWORDS, NGRAMS = "subwords.npy", "ngrams.json"
"""The files of a folder that `write_folder` writes. With n-grams, ``subwords.npy`` holds their
vectors, and ``ngrams.json`` their lengths."""

Use = Literal["v", "v+u"]
"""Which vectors represent the words: the center vectors, or their sums with the outside vectors."""

USES: tuple[Use, ...] = ("v", "v+u")

FASTTEXT_MAGIC = MAGIC.to_bytes(4, "little")
PARQUET_MAGIC = b"PAR1"
"""The first bytes of Parquet files."""

PARQUET_ROWS = 1 << 14
"""Rows of a Parquet table that are in memory at a time, in addition to the wanted rows."""

MAX_DIMENSIONS = 1 << 16
MAX_WORD = 1 << 16
"""The largest number of dimensions, and of bytes in a word, that a word2vec file may have.

They limit how much is read because of a damaged header.
"""

WHITE_SPACE = b" \t\n\r\v\f"

_NUMBER_BYTES = frozenset(b"0123456789+-.eEnaifNAIF \t\r\n")
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")
_COUNT_LINES = (
    re.compile(r" *(?P<word>.*?[^ \t]) *[\t ,;] *(?P<count>\d{1,18}) *"),
    re.compile(r" *(?P<count>\d{1,18})[ \t]+(?P<word>.*[^ \t]) *"),  # as uniq -c writes
)

_OTHER_FORMATS = {
    b"\x80": (
        "is a pickle, as gensim's save() writes it, and a pickle can run code; write the vectors "
        "by save_word2vec_format()"
    ),
    b"\x93NUMPY": "is an array without words; the folder of vectors.npy and vocabulary.tsv is read",
    b"\x89HDF": "is an HDF5 file",
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
}
"""The first bytes of other formats that people may try to load, and what the message says."""


class Contents(NamedTuple):
    """The content of a file or folder of word vectors.

    Attributes
    ----------
    words
        V words.
    vectors
        (V, d) float32.
    counts
        (V,) int64, how often each word occurs in the corpus; None if unknown.
    outside
        (V, d) float32, the outside vectors; None if there are none.
    subwords
        The n-grams from which unknown words get a vector; None if there are none.
    """

    words: Sequence[str]
    vectors: NDArray[np.float32]
    counts: NDArray[np.int64] | None = None
    outside: NDArray[np.float32] | None = None
    subwords: Subwords | None = None


EVERYTHING = Selection()


def read(
    path: Path, use: Use = "v", encoding: str = "utf-8", selection: Selection = EVERYTHING
) -> Contents:
    """Read word vectors from a file or a folder, whatever its format.

    Parameters
    ----------
    path
        A folder written by `write_folder`, whose vectors are mapped into memory; a Parquet table,
        or a folder of such tables as Spark writes it; or a file in the text or binary format of
        word2vec, gensim, fastText or GloVe.
    use
        ``v``: center vectors. ``v+u``: the sums of center and outside vectors, which are possible
        only for a folder of a trained model.
    encoding
        How the words of a file of word2vec, fastText or GloVe are encoded.
    selection
        Which words are read. Only their vectors take memory.

    Raises
    ------
    InputError
        The file is missing, damaged or of another format, has no outside vectors, or holds none
        of the wanted words.

    Warns
    -----
    UserWarning
        Some of the wanted words are missing; or words are blank, repeated or not in the encoding.
    """
    parts = [] if (path / VECTORS).is_file() else parquet_parts(path)
    if not path.is_file() and not parts:
        found = read_folder(path, use, selection)
    elif use != "v":
        raise InputError(f"{path}: has no outside vectors; only the folder of a model has them")
    elif parts:
        found = read_parquet(path, parts, selection)
    elif first_bytes(path).startswith(PARQUET_MAGIC) or path.suffix == ".parquet":
        found = read_parquet(path, [path], selection)
    elif _is_fasttext(path):
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


def read_counts(path: Path, words: Sequence[str]) -> NDArray[np.int64]:
    """Read the number of occurrences of words from a file of words and counts.

    Parameters
    ----------
    path
        A text file in UTF-8, decompressed if its name ends in .gz, .bz2 or .xz. Each line is a
        word, then a tab, a space, a comma or a semicolon, then a count; or first the count, then
        the word. The first line may be a header.
    words
        V words.

    Returns
    -------
    (V,) int64
        The count of each of `words`; 0 for words that the file lacks.

    Raises
    ------
    InputError
        The file cannot be read, a line has another form, or no word has a count.

    Warns
    -----
    UserWarning
        Some words have no count.
    """
    try:
        with open_binary(path) as file:
            lines = file.read().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except (OSError, EOFError, LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    counted: dict[str, int] = {}
    pattern = max(_COUNT_LINES, key=lambda form: sum(map(bool, map(form.fullmatch, lines[:100]))))
    for number, line in enumerate(lines, start=1):
        found = pattern.fullmatch(line.strip("\r"))
        if found:
            word, count = found["word"], int(found["count"])
            counted.setdefault(word, count)
            if len(word) > 2 and word[0] == word[-1] == '"':  # as CSV files quote it
                counted.setdefault(word[1:-1].replace('""', '"'), count)
        elif line.strip() and number > 1:
            raise InputError(
                f"{path}: line {number} is {line[:80]!r}; a word, a tab, a space or a comma, and "
                "a count are needed"
            )
    counts = np.array([counted.get(word, 0) for word in words], np.int64)
    lacking = [word for word in words if word not in counted]
    if len(lacking) == len(words):
        raise InputError(f"{path}: has no count of any of the {len(words):,} words")
    if lacking:
        warnings.warn(
            f"{path}: {len(lacking):,} of {len(words):,} words have no count, such as "
            f"{lacking[0]!r}; they count 0",
            stacklevel=3,
        )
    return counts


# The folder of this project


def write_folder(folder: Path, contents: Contents) -> None:
    """Write ``vectors.npy`` and ``vocabulary.tsv`` (words and counts) into a folder.

    Outside vectors, if there are any, go to ``outside_vectors.npy``, and n-grams to
    ``subwords.npy`` and ``ngrams.json``. If there are none, older files of these names are removed,
    because they would belong to other vectors.

    Raises
    ------
    InputError
        A word is empty, contains a tab or a line feed, or is not valid Unicode.
    """
    check_words(contents.words, "\t\n", VOCABULARY)
    folder.mkdir(parents=True, exist_ok=True)
    subwords = contents.subwords
    rows = None if subwords is None else subwords.rows
    (folder / NGRAMS).unlink(missing_ok=True)
    arrays = {VECTORS: contents.vectors, OUTSIDE: contents.outside, SUBWORDS: rows}
    for name, array in arrays.items():
        if array is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with written_aside(folder / name) as aside, aside.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    if subwords is not None:
        lengths = {"min_n": subwords.shortest, "max_n": subwords.longest}
        with written_aside(folder / NGRAMS) as aside:
            aside.write_text(json.dumps(lengths), encoding="utf-8")
    write_vocabulary(folder / VOCABULARY, contents.words, contents.counts)


def read_folder(folder: Path, use: Use = "v", selection: Selection = EVERYTHING) -> Contents:
    """Read a folder that `write_folder` wrote.

    Parameters
    ----------
    use
        ``v``: center vectors, which are mapped into memory. ``v+u``: the sums of center and outside
        vectors, which are computed in memory; the result then has no outside vectors.
    selection
        Which words are read.

    Raises
    ------
    InputError
        A file is missing or damaged, or the shapes of center and outside vectors differ.
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
    """Read the n-grams of a folder that `write_folder` wrote; return None if it has none.

    Parameters
    ----------
    shape
        The shape of a vector, (d,).

    Raises
    ------
    InputError
        A file is damaged, or its vectors have another length.
    """
    path = folder / NGRAMS
    if not path.is_file():
        return None
    rows = _map_array(folder / SUBWORDS)
    try:
        lengths = json.loads(path.read_bytes())
        shortest, longest = int(lengths["min_n"]), int(lengths["max_n"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); it is damaged") from None
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1:] != shape:
        raise InputError(f"{folder / SUBWORDS}: has the shape {rows.shape}; it is damaged")
    return Subwords(rows, shortest, longest)


def _map_array(path: Path) -> NDArray[np.float32]:
    """Map an array of float32 or float16 in an ``.npy`` file into memory.

    Raises
    ------
    InputError
        The file cannot be read, or its dtype is another.
    """
    try:
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


# Parquet


def write_parquet(path: Path, contents: Contents) -> None:
    """Write a Parquet table with the columns ``word``, ``count`` (if known) and ``vector``.

    A vector is a list of float32.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(contents.vectors, np.float32).reshape(-1))
    columns: dict[str, Any] = {"word": pa.array(contents.words, pa.string())}
    if contents.counts is not None:
        columns["count"] = pa.array(contents.counts)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, contents.vectors.shape[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        pq.write_table(pa.table(columns), aside)


def parquet_parts(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder, or in its subfolder ``data``, which Spark writes."""
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
        A file cannot be read or lacks these columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    words: list[str] = []
    arrays: list[NDArray[np.float32]] = []
    counts: list[NDArray[np.int64]] = []
    try:
        for part in parts:
            with pq.ParquetFile(part) as file:
                names = file.schema_arrow.names
                columns = ["word", "vector", *[name for name in names if name == "count"]]
                if not set(columns) <= set(names):
                    raise pa.ArrowInvalid(f"its columns are {', '.join(names)}")
                for batch in file.iter_batches(PARQUET_ROWS, columns=columns):
                    table = _wanted_rows(pa.table(batch), selection, len(words))
                    if len(table):
                        words += table.column("word").cast(pa.string()).to_pylist()
                        arrays.append(_vectors_of(table.column("vector").combine_chunks()))
                        if "count" in columns:
                            counts.append(table.column("count").cast(pa.int64()).to_numpy())
                    if selection.full(len(words)):
                        break
        if None in words or len({array.shape[1] for array in arrays}) > 1:
            raise pa.ArrowInvalid("a word is missing, or the vectors have different lengths")
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: cannot be read ({reason}); the columns word and vector are needed"
        ) from None
    vectors = np.concatenate(arrays) if arrays else np.empty((0, 1), np.float32)
    known = len(counts) == len(arrays) > 0
    return Contents(words, vectors, np.concatenate(counts) if known else None)


def _wanted_rows(table: Any, selection: Selection, before: int) -> Any:
    """Return the rows of an Arrow table whose words are wanted.

    Parameters
    ----------
    selection
        Which words are wanted.
    before
        The number of rows already taken from earlier parts of the file, which count towards the
        limit of the selection.
    """
    if selection.everything:
        return table
    rows = selection.rows(table.column("word").to_pylist())
    return table.take(rows[: None if selection.limit is None else selection.limit - before])


def _vectors_of(column: Any) -> NDArray[np.float32]:
    """Convert an Arrow column of vectors to an array: (rows, d) float32."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_struct(column.type):  # Spark's type of vectors
        column = pc.struct_field(column, "values")
    lists = column.cast(pa.list_(pa.float32()))
    if lists.null_count or lists.flatten().null_count:
        raise pa.ArrowInvalid("a vector or a number is missing")
    if len(lists.value_lengths().unique()) != 1:
        raise pa.ArrowInvalid("the vectors have different lengths")
    vectors: NDArray[np.float32] = lists.flatten().to_numpy().reshape(len(lists), -1)
    return vectors


# fastText


def _is_fasttext(path: Path) -> bool:
    try:
        with unpacked(path) as (file, _):
            return file.read(len(FASTTEXT_MAGIC)) == FASTTEXT_MAGIC
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def read_fasttext(
    path: Path, encoding: str = "utf-8", selection: Selection = EVERYTHING
) -> Contents:
    r"""Read a model in fastText's binary format, which `w2v.vectors.fasttext` describes.

    Parameters
    ----------
    path
        The file, compressed or not. The vectors of n-grams are mapped into memory if it is not
        compressed, or else read.
    encoding
        How the words are encoded. Bytes of other encodings become escapes such as ``\xe2``.
    selection
        Which words are read.

    Raises
    ------
    InputError
        The file is damaged, quantized or of another version, or a vector is not finite.

    Warns
    -----
    UserWarning
        Words are repeated, or not in the encoding.
    """
    check_encoding(encoding)
    wanted = selection.encoded(encoding)

    def choose(words: Sequence[bytes]) -> NDArray[np.intp]:
        if wanted is None:
            return np.arange(len(words))[: selection.limit]
        rows = [row for row, word in enumerate(words) if word in wanted]
        return np.array(rows, np.intp)[: selection.limit]

    try:
        with unpacked(path) as (file, packed):
            model = read_model(file, path, not packed, choose)
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    words, rows = _decode_all(path, model.words, model.vectors, encoding, [])
    return Contents(words, model.vectors[rows], model.counts[rows], subwords=model.subwords)


# TensorBoard's projector


def write_projector(folder: Path, contents: Contents) -> None:
    """Write ``vectors.tsv`` and ``metadata.tsv``, the files of TensorBoard's embedding projector.

    Both have one line per word. The vectors are written with nine significant digits, from which
    every float32 can be recovered exactly. The metadata are the words and counts under a header,
    or only the words if there are no counts.

    Raises
    ------
    InputError
        A word is empty, contains a tab or a line break, or is not valid Unicode.
    """
    check_words(contents.words, "\t\n\r", "metadata.tsv")
    folder.mkdir(parents=True, exist_ok=True)
    pattern = "\t".join(["%.9g"] * contents.vectors.shape[1]) + "\n"
    with (
        written_aside(folder / "vectors.tsv") as aside,
        aside.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.writelines(pattern % tuple(vector.tolist()) for vector in contents.vectors)
    if contents.counts is not None:
        write_vocabulary(folder / "metadata.tsv", contents.words, contents.counts)
        return
    with written_aside(folder / "metadata.tsv") as aside:
        # The projector would take the header of a single column for a word.
        aside.write_bytes("".join(f"{word}\n" for word in contents.words).encode())


# word2vec, fastText and GloVe


def check_words(words: Sequence[str], forbidden: str, name: str) -> None:
    """Check that words can be written to a file.

    Parameters
    ----------
    words
        Any words.
    forbidden
        The characters that separate words in the file.
    name
        The name of the file, for messages.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains a forbidden character, or is not valid
        Unicode.
    """
    pattern = re.compile(f"[{re.escape(forbidden)}\ud800-\udfff]")
    for word in words:
        if not word or pattern.search(word) or len(word.encode()) > MAX_WORD:
            raise InputError(
                f"the word {word[:40]!r} cannot be written to {name}; a word there is Unicode "
                f"text of 1 to {MAX_WORD:,} bytes without any of {forbidden!r}"
            )


def write_word2vec(
    path: Path, contents: Contents, binary: bool = False, header: bool = True
) -> None:
    """Write a word2vec file: a header ``V d``, then each word with the d numbers of its vector.

    Parameters
    ----------
    path
        The file, compressed if its name ends in .gz, .bz2 or .xz.
    contents
        The words and vectors; counts are not part of this format.
    binary
        Write the numbers as little-endian float32. Otherwise they are written as text with nine
        significant digits, from which every float32 can be recovered exactly.
    header
        False omits the header, which gives the text format of GloVe.

    Raises
    ------
    InputError
        A word is empty, longer than 65,536 bytes, contains ASCII white space, or is not valid
        Unicode; or a binary file is requested without a header, which no tool reads.
    """
    if binary and not header:
        raise InputError("binary files need the header: it says where a vector ends")
    words, vectors = contents.words, contents.vectors
    check_words(words, WHITE_SPACE.decode(), path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pattern = " ".join(["%.9g"] * vectors.shape[1])
    with written_aside(path) as aside, OPENERS.get(path.suffix, open)(aside, "wb") as file:
        if header:
            file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(words, vectors, strict=True):
            if binary:
                file.write(word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n")
            else:
                file.write(f"{word} {pattern % tuple(vector.tolist())}\n".encode())


def read_word2vec(
    path: Path,
    binary: bool | None = None,
    header: bool | None = True,
    encoding: str = "utf-8",
    selection: Selection = EVERYTHING,
) -> Contents:
    r"""Read the formats of word2vec, gensim (``save_word2vec_format``), fastText (text) and GloVe.

    In text, the last d fields of a line are the vector, and the rest is the word, which may contain
    spaces. Blank words and blank lines are skipped. Memory grows with the number of bytes read; the
    sizes that the header states are not trusted.

    Parameters
    ----------
    path
        The file, decompressed if its first bytes are those of gzip, bzip2, xz, Zstandard or zip.
    binary
        Whether the numbers are float32 instead of text. None: detect it from the bytes after the
        first word.
    header
        Whether the first line is ``words dimensions``. False: text as GloVe writes it. None: detect
        it from this line.
    encoding
        How the words are encoded.
    selection
        Which words are read. As soon as all of them have been found, reading stops.

    Returns
    -------
    Contents
        Without counts, which the format lacks. Bytes that are not in the encoding, such as a
        character cut in two by the word2vec tool, become escapes such as ``\xe2``, so that
        different words stay different. If a word occurs several times, the first is kept.

    Raises
    ------
    InputError
        The file cannot be read, ends inside a row, contains a number that is not finite in
        float32, or has another format; or the encoding is unknown. The message names the offset
        in (decompressed) bytes.

    Warns
    -----
    UserWarning
        The header states another number of rows, or words are blank, repeated, end in a number
        or are not in the encoding. The message says how many.
    """
    check_encoding(encoding)
    try:
        with unpacked(path) as (file, _):
            source = _Word2vecFile(file, str(path), header)
            found, vectors = source.read(binary, selection, selection.encoded(encoding))
    except UNPACK_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    words, rows = _decode_all(path, found, vectors, encoding, source.notes)
    return Contents(words, vectors if len(rows) == len(vectors) else vectors[rows])


def check_encoding(encoding: str) -> None:
    """Check that an encoding exists and extends ASCII; otherwise raise an `InputError`."""
    try:
        b"a".decode(encoding)
    except UnicodeDecodeError:
        raise InputError(
            f"encoding={encoding}: has characters of several bytes only; convert the file to UTF-8"
        ) from None
    except (LookupError, ValueError):
        raise InputError(
            f"encoding={encoding}: no such encoding; utf-8, latin-1 and cp1252 are the most common"
        ) from None


def _decode_all(
    path: Path,
    found: Sequence[bytes],
    vectors: NDArray[np.float32],
    encoding: str,
    notes: list[str],
) -> tuple[list[str], NDArray[np.intp]]:
    """Decode the words of a file; drop blank words and repetitions, and issue all warnings.

    Parameters
    ----------
    path
        The name of the file, for messages.
    found
        The words of the file, as bytes.
    vectors
        The vectors of the words, which are only checked.
    notes
        Warnings that were collected while the file was read.

    Returns
    -------
    words : list of str
        The words that are kept.
    rows : intp (words,)
        Their indices in `found`.

    Raises
    ------
    InputError
        A vector is not finite.

    Warns
    -----
    UserWarning
        Each of `notes`; and if words are blank, repeated or not in the encoding.
    """
    words, undecoded = _decode(found, encoding)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        word = words[int(np.argmin(finite))]
        raise InputError(
            f"{path}: the vector of {word!r} holds NaN or an infinity or is no float32"
        )
    # Bytes that are white space in Unicode alone, such as a no-break space, are a blank word, too.
    kept = [row for row, word in enumerate(words) if word.strip()]
    if len(kept) < len(words):
        notes.append(f"{len(words) - len(kept):,} words of white space are skipped")
    first = {words[row]: row for row in reversed(kept)}
    if len(first) < len(kept):
        notes.append(f"{len(kept) - len(first):,} repeated words; the first of each is kept")
        kept = sorted(first.values())
    if undecoded:
        notes.append(
            f"{len(undecoded):,} words are not {encoding}, such as {undecoded[0]!r}; their bytes "
            "became escapes; give encoding=, such as encoding=latin-1, if the file has another"
        )
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=4)
    return [words[row] for row in kept], np.array(kept, np.intp)


def _decode(found: Sequence[bytes], encoding: str) -> tuple[list[str], list[bytes]]:
    """Decode words; bytes that are invalid in the encoding become escapes.

    Returns
    -------
    words : list of str
    undecoded : list of bytes
        The words with invalid bytes.
    """
    words, undecoded = [], []
    for word in found:
        try:
            words.append(word.decode(encoding))
        except UnicodeDecodeError:
            words.append(word.decode(encoding, "backslashreplace"))
            undecoded.append(word)
    return words, undecoded


class _Word2vecFile(FileReader):
    """Reader of word2vec files, text or binary.

    Parameters
    ----------
    file
        The file, opened for reading at its first byte.
    path
        The name of the file, for messages.
    header
        Whether the first line is ``words dimensions``; None: detect it from this line.

    Attributes
    ----------
    notes
        Warnings for the user that `read` has collected.
    dimensions
        d, the number of components of a vector.
    """

    def __init__(self, file: IO[bytes], path: str, header: bool | None) -> None:
        super().__init__(file, path)
        self.notes: list[str] = []
        self.count: int | None = None
        self.wanted: frozenset[bytes] | None = None  # the selected words; None: all
        self.line_is_cut = False  # whether the line read last has no line break
        self.fill(64)
        if self.buffer.startswith(BOM_UTF8):
            self.skip(len(BOM_UTF8))
        for magic, problem in _OTHER_FORMATS.items():
            if self.buffer.startswith(magic):
                self.fail(problem)
        found = _HEADER.match(self.buffer[self.start : self.start + 64])
        if found is None and header:
            self.fail(f"the header is {self._line(64)!r}; 'words dimensions' is needed", 0)
        if found is None or header is False:
            self.fill(MAX_WORD + 64 * MAX_DIMENSIONS)
            first = self.buffer[self.start :].partition(b"\n")[0]
            fields = first.split()
            numbers = list(takewhile(is_number, reversed(fields)))
            self.dimensions = min(len(numbers), len(fields) - (not first[:1].isspace()))
            # Two fields could be a damaged header, unless the caller knows that there is none.
            if self.dimensions < 2 - (header is False):
                self.fail(
                    f"the first line is {first[:40]!r}; the header 'words dimensions', or a word "
                    "and its numbers are needed"
                )
        else:
            self.skip(found.end())
            self.count, self.dimensions = map(int, found.groups())
        if not 1 <= self.dimensions <= MAX_DIMENSIONS:
            self.fail(
                f"{self.dimensions} dimensions are promised; 1 to {MAX_DIMENSIONS} are read", 0
            )

    def read(
        self, binary: bool | None, selection: Selection, wanted: frozenset[bytes] | None
    ) -> tuple[list[bytes], NDArray[np.float32]]:
        """Read words and their vectors.

        Parameters
        ----------
        binary
            Whether the numbers are float32 instead of text; None: detect it.
        selection
            Which words are wanted; reading stops when all of them have been found.
        wanted
            The words of the selection, encoded as in the file; None: all words.

        Returns
        -------
        words : list of bytes
        vectors : float32 (words, d)
        """
        words: list[bytes] = []
        rows = bytearray()
        count = blank = 0
        self.wanted = wanted
        if binary is None:
            binary = self.count is not None and self._looks_binary()
        read_row = self._binary_row if binary else self._text_row
        while (row := read_row(count)) is not None:
            count += 1
            word, vector = row
            blank += not word.strip()
            if word.strip() and vector is not None:
                words.append(word)
                rows += vector
                if selection.full(len(words)):
                    return words, np.frombuffer(rows, "<f4").reshape(len(words), -1)
        if self.count is not None and count < self.count and (count == 0 or self.line_is_cut):
            self._ends_early(max(0, count - 1))
        if self.count not in (None, count):
            self.notes.append(
                f"has {count:,} rows, which are read; its header promises {self.count:,}"
            )
        if blank:
            self.notes.append(f"{blank:,} blank words are skipped")
        if not binary:
            self._check_numbers_in_words(words)
        return words, np.frombuffer(rows, "<f4").reshape(len(words), self.dimensions)

    def _check_numbers_in_words(self, words: Sequence[bytes]) -> None:
        """Warn about words such as ``windows 95``, whose number may belong to the vector.

        If all words end in a number, raise an `InputError`: the header has the wrong number of
        dimensions.
        """
        found = [word for word in words if len(word.split()) > 1 and is_number(word.split()[-1])]
        if found and len(found) == len(words):
            self.fail(
                f"the word {found[0][:40]!r} ends in a number, as every word; are there more "
                f"dimensions than {self.dimensions}?"
            )
        if found:
            self.notes.append(
                f"{len(found):,} words end in a number, such as {found[0][:40]!r}: their lines "
                f"have more than {self.dimensions} numbers"
            )

    def _looks_binary(self) -> bool:
        """Return whether the first vector is binary and not written as decimal numbers."""
        self.fill(MAX_WORD + 64 * self.dimensions)
        start = self.buffer[self.start :].lstrip(b"\n")
        _, _, vector = start.partition(b" ")
        text, _, _ = vector[:64].partition(b"\n")
        if text.strip() and _NUMBER_BYTES.issuperset(text):
            return False
        fields = start.partition(b"\n")[0].split()  # a text file whose word contains spaces
        return len(fields) <= self.dimensions or not all(map(is_number, fields[-self.dimensions :]))

    def _binary_row(self, number: int) -> tuple[bytes, bytes | None] | None:
        """Read a word and its vector from a binary file; return None at the end of the file.

        Parameters
        ----------
        number
            The index of the row, from 0, for messages.

        Returns
        -------
        word : bytes
        vector : bytes or None
            The numbers as float32; None for a word that is not wanted.
        """
        self.fill(MAX_WORD + 2 + 4 * self.dimensions)
        # word2vec ends a vector with a line break, gensim does not.
        while self.buffer.startswith(b"\n", self.start):
            self.skip(1)
        size = 4 * self.dimensions
        if len(self.buffer) - self.start <= size and not self.buffer[self.start :].strip():
            return None
        space = self.buffer.find(b" ", self.start, self.start + MAX_WORD + 1)
        if space < 0 and len(self.buffer) - self.start > MAX_WORD:
            self.fail(f"word {number + 1} has more than {MAX_WORD:,} bytes; is it binary?")
        if space < 0 or len(self.buffer) < space + 1 + size:
            self._ends_early(number)
        word = self.buffer[self.start : space]
        vector = self.buffer[space + 1 : space + 1 + size]
        self.skip(space + 1 + size - self.start)
        return word, vector if self.wanted is None or word in self.wanted else None

    def _text_row(self, number: int) -> tuple[bytes, bytes | None] | None:
        """Read a word and its vector from a line of text; return None at the end of the file.

        Parameters
        ----------
        number
            The index of the row, from 0, for messages.

        Returns
        -------
        word : bytes
        vector : bytes or None
            The numbers, converted to float32; None, without parsing them, for a word that is not
            wanted.
        """
        fields: list[bytes] = []
        while not fields:
            at = self.offset
            line = self._line(MAX_WORD + 64 * self.dimensions)
            if not line:
                return None
            fields = line.split()
        self.line_is_cut = not line.endswith(b"\n")
        word, *values = fields
        if len(fields) == self.dimensions and line[:1].isspace():
            word, values = b"", fields
        elif len(values) > self.dimensions:
            word, *values = line.strip().rsplit(maxsplit=self.dimensions)
        if self.wanted is not None and word not in self.wanted:
            return word, None
        try:
            if len(values) != self.dimensions or len(word) > MAX_WORD:
                raise ValueError
            if b"_" in line and any(b"_" in value for value in values):
                raise ValueError  # `float` takes 1_000
            with np.errstate(over="ignore"):
                vector = np.array(list(map(float, values)), dtype="<f4")
        except ValueError:
            shown = line[:40] + b"..." if len(line) > 40 else line
            self.fail(
                f"row {number + 1} is {shown!r} with {len(values)} values; "
                f"a word and {self.dimensions} numbers are needed",
                at,
            )
        return word, vector.tobytes()

    def _ends_early(self, number: int) -> NoReturn:
        """Raise an `InputError`: the file ends inside the row with the index `number`."""
        self.offset += len(self.buffer) - self.start
        promised = "" if self.count is None else f"; the header promises {self.count} rows"
        self.fail(f"the file ends in row {number + 1}{promised}")

    def _line(self, limit: int) -> bytes:
        """Read a line, or only its first `limit` bytes if it is longer."""
        self.fill(limit)
        end = self.buffer.find(b"\n", self.start, self.start + limit) + 1
        line = self.buffer[self.start : end or self.start + limit]
        self.skip(len(line))
        return line


class Format(NamedTuple):
    """A format that vectors can be exported to.

    Attributes
    ----------
    name
        The name of the file or folder that is written.
    write
        The function that writes it. Its arguments are the path of the file or folder, and the
        vectors.
    """

    name: str
    write: Callable[[Path, Contents], None]


def write_fasttext(path: Path, contents: Contents) -> None:
    """Write a model in fastText's binary format (``.bin``).

    Raises
    ------
    InputError
        A word is empty, is longer than the format allows, contains NUL or is not valid Unicode.
    """
    check_words(contents.words, "\0", path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = [word.encode("utf-8") for word in contents.words]
    write_model(path, encoded, *contents[1:])


FORMATS = {
    "word2vec-text": Format("vectors.txt", write_word2vec),
    "word2vec-binary": Format("vectors.bin", partial(write_word2vec, binary=True)),
    "glove-text": Format("vectors.glove.txt", partial(write_word2vec, header=False)),
    "fasttext": Format("vectors.fasttext.bin", write_fasttext),
    "parquet": Format("vectors.parquet", write_parquet),
    "tensorboard": Format("tensorboard", write_projector),
}
"""By name, the formats of `w2v.WordVectors.export` and of the setting ``evaluate.export``."""
