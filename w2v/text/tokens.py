"""The format of a tokenized corpus on disk, and `Text`, documents with vocabulary ids.

A corpus is a folder of four files:

- ``tokens.npy`` (int32): the corpus as ids of types (distinct tokens), which are numbered in order
  of first appearance;
- ``offsets.npy`` (int64): the start of each document in ``tokens.npy``, and the end of the last;
- ``types.txt``: one type a line, in order of the ids;
- ``counts.npy`` (int64): the number of occurrences of each type.

The ids in these files are called provisional: the vocabulary gives the words their final ids.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_A_TOKEN = re.compile(r"^$|\s|[\ud800-\udfff]")
"""Matches in a string that is no token: empty, or with white space or an unpaired surrogate."""

SHARD_TOKENS = 1 << 20
"""The approximate number of tokens in memory at a time while words are counted."""


class ArrayWriter:
    """Writes a one-dimensional ``.npy`` file in blocks, without knowing its length in advance."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self.file: IO[bytes] = path.open("wb")
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._write_header()

    def _write_header(self) -> None:
        # NumPy pads the header, so that one with another length takes the same space.
        header = np.lib.format.header_data_from_array_1_0(np.empty(0, self.dtype))
        np.lib.format.write_array_header_1_0(self.file, {**header, "shape": (self.length,)})

    def append(self, block: NDArray[np.generic]) -> None:
        """Append a one-dimensional block to the file, converted to the file's dtype."""
        self.file.write(block.astype(self.dtype, copy=False).tobytes())
        self.length += len(block)

    def close(self) -> None:
        """Write the number of items into the header of the file, and close it."""
        self.file.seek(0)
        self._write_header()
        self.file.close()


def read_counts(folder: Path) -> NDArray[np.int64]:
    """Return how often each type (distinct token) of a corpus occurs: int64 (types,).

    The types are in order of first appearance.
    """
    counts: NDArray[np.int64] = np.load(folder / "counts.npy", allow_pickle=False)
    return counts


def read_types(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Return the types (distinct tokens) of a corpus and their counts, in order of their ids."""
    text = (folder / "types.txt").read_bytes().decode("utf-8")
    return text.split("\n")[:-1], read_counts(folder)


class Batch(NamedTuple):
    """The words of a part of a text, in order: those in the vocabulary that sub-sampling kept.

    Attributes
    ----------
    ids : int32 (n,)
        The vocabulary id of each word; 0 for padding.
    documents : int32 (n,)
        The index of the document of each word, ascending; -1 for padding, which may be at one or
        both ends of the batch.
    """

    ids: NDArray[np.int32]
    documents: NDArray[np.int32]


class Words(NamedTuple):
    """The words of a text that are in the vocabulary.

    Attributes
    ----------
    ids : int32 (n,)
        The vocabulary id of each word.
    documents : int32 (n,)
        The index of the document of each word, in ascending order.
    positions : int64 (n,)
        The index of each word among all tokens of the text, in the vocabulary or not.
    """

    ids: NDArray[np.int32]
    documents: NDArray[np.int32]
    positions: NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Some or all documents of a tokenized corpus, with the vocabulary ids of their words.

    Attributes
    ----------
    tokens : int32 (n,)
        The tokens of the corpus, each as the id of its type (distinct token). Types are
        numbered by first appearance. Usually memory-mapped.
    ids : int32 (types,)
        The vocabulary id of each type; -1 for a type outside the vocabulary.
    spans : int64 (documents, 2)
        The start and end of each document in `tokens`.
    """

    tokens: NDArray[np.int32]
    ids: NDArray[np.int32]
    spans: NDArray[np.int64]

    @property
    def size(self) -> int:
        """The number of tokens in the documents, inside the vocabulary or not."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())

    def shards(self, size: int) -> list["Text"]:
        """Split the text into consecutive parts, each of fewer than ``2 * size`` tokens.

        Documents of up to `size` tokens stay whole. A longer document is cut into several
        documents, so that no context window reaches across a cut.
        """
        spans = cut(self.spans, size)
        ends = np.cumsum(spans[:, 1] - spans[:, 0])
        number = (ends - 1) // size if len(ends) else ends
        borders = np.flatnonzero(np.diff(number, prepend=-1))
        return [Text(self.tokens, self.ids, part) for part in np.split(spans, borders[1:])]

    def read(self) -> Words:
        """Read the whole text into memory as vocabulary ids; leave out words without such an id."""
        lengths = self.spans[:, 1] - self.spans[:, 0]
        documents = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        ids = self.ids[self._read_tokens()]
        positions = np.flatnonzero(ids >= 0)
        return Words(ids[positions], documents[positions], positions)

    def shuffled(self, random: np.random.Generator) -> "Text":
        """Return a text of the same documents in random order."""
        return Text(self.tokens, self.ids, random.permutation(self.spans))

    def words(self) -> int:
        """Return the number of tokens that are words of the vocabulary."""
        shards = self.shards(SHARD_TOKENS)
        return sum(int((shard.ids[shard._read_tokens()] >= 0).sum()) for shard in shards)

    def _read_tokens(self) -> NDArray[np.int32]:
        starts, ends = self.spans.T
        if len(starts) == 0:
            return np.empty(0, np.int32)
        where: slice | NDArray[np.int64] = slice(starts[0], ends[-1])
        if (starts[1:] != ends[:-1]).any():
            lengths = ends - starts
            shift = starts - (np.cumsum(lengths) - lengths)
            where = np.arange(lengths.sum()) + np.repeat(shift, lengths)
        tokens: NDArray[np.int32] = self.tokens[where]
        return tokens


def cut(spans: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Cut each span of more than `size` tokens into pieces; leave all other spans as they are.

    Parameters
    ----------
    spans : int64 (n, 2)
        The start and end of each span, such as a document, in an array of tokens.

    Returns
    -------
    int64 (m, 2)
        The start and end of each span or piece, in the order of `spans`. Together, they have all
        tokens of `spans`. A piece has `size` tokens; only the last piece of a span may have fewer.
    """
    lengths = spans[:, 1] - spans[:, 0]
    parts = np.maximum(1, -(-lengths // size))
    if (parts == 1).all():
        return spans
    whole = np.repeat(np.arange(len(spans)), parts)
    rank = np.arange(len(whole)) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = spans[whole, 0] + rank * size
    return np.stack([starts, np.minimum(starts + size, spans[whole, 1])], axis=1)


def open_text(folder: Path, ids: NDArray[np.int32]) -> Text:
    """Open all documents of a corpus folder as a memory-mapped text.

    Parameters
    ----------
    folder
        The corpus folder.
    ids : int32 (types,)
        The vocabulary id of each type (distinct token) of the corpus, in order of first appearance;
        -1 for a type outside the vocabulary. The tokens of such types stay in the text; `Text.read`
        leaves them out.
    """
    tokens = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    return Text(tokens, ids, np.stack([offsets[:-1], offsets[1:]], axis=1))
