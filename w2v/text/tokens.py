"""A tokenized corpus on disk, and the part of it that training reads.

A corpus is a folder of four files: ``tokens.npy`` (int32, ids in order of first appearance),
``offsets.npy`` (int64, where each document starts, and the end), ``types.txt`` (one type a
line, by id) and ``counts.npy`` (int64, by id).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20
"""Tokens read into memory at a time."""


class ArrayWriter:
    """Appends blocks to an ``.npy`` file whose length is known at the end only."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self.file: IO[bytes] = path.open("wb")
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._header()

    def _header(self) -> None:
        # NumPy pads the header so that the length may grow in place.
        header = np.lib.format.header_data_from_array_1_0(np.empty(0, self.dtype))
        np.lib.format.write_array_header_1_0(self.file, {**header, "shape": (self.length,)})

    def append(self, block: NDArray[np.generic]) -> None:
        """Write a one-dimensional block."""
        self.file.write(block.astype(self.dtype, copy=False).tobytes())
        self.length += len(block)

    def close(self) -> None:
        """Write the final length."""
        self.file.seek(0)
        self._header()
        self.file.close()


def read_counts(folder: Path) -> NDArray[np.int64]:
    """How often each type of a corpus folder occurs, by provisional id."""
    counts: NDArray[np.int64] = np.load(folder / "counts.npy", allow_pickle=False)
    return counts


def read_types(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """The types of a corpus folder and their counts, by provisional id."""
    text = (folder / "types.txt").read_bytes().decode("utf-8")
    return text.split("\n")[:-1], read_counts(folder)


class Chunk(NamedTuple):
    """A run of text as the engines take it: in-vocabulary word ids and whose they are.

    Attributes
    ----------
    ids : int32 (n,)
        Vocabulary ids, words outside the vocabulary left out.
    documents : int32 (n,)
        A number for each word's document; it rises by document.
    """

    ids: NDArray[np.int32]
    documents: NDArray[np.int32]


@dataclass(frozen=True)
class Text:
    """Some documents of a corpus, seen through a vocabulary; nothing is read until asked for.

    Attributes
    ----------
    tokens : int32 (n,), may be memory-mapped
        Provisional ids.
    ids : int32 (types,)
        From provisional id to vocabulary id; -1 for a type outside the vocabulary.
    spans : int64 (documents, 2)
        Start and end of each document in ``tokens``.
    """

    tokens: NDArray[np.int32]
    ids: NDArray[np.int32]
    spans: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Tokens, in the vocabulary or not."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())

    def pieces(self, size: int) -> list["Text"]:
        """Consecutive parts of ``size`` tokens on average, each of fewer than twice as many.

        Borders lie between documents where documents are shorter than ``size``; a longer one
        is cut, and windows do not cross the cut.
        """
        spans = cut(self.spans, size)
        ends = np.cumsum(spans[:, 1] - spans[:, 0])
        number = (ends - 1) // size if len(ends) else ends
        borders = np.flatnonzero(np.diff(number, prepend=-1))
        return [Text(self.tokens, self.ids, part) for part in np.split(spans, borders[1:])]

    def chunk(self) -> Chunk:
        """Read the text into memory and drop the words outside the vocabulary."""
        lengths = self.spans[:, 1] - self.spans[:, 0]
        documents = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        ids = self.ids[self._read()]
        known = ids >= 0
        return Chunk(ids[known], documents[known])

    def shuffled(self, random: np.random.Generator) -> "Text":
        """The same documents in random order."""
        return Text(self.tokens, self.ids, random.permutation(self.spans))

    def words(self) -> int:
        """Tokens in the vocabulary."""
        return sum(int((piece.ids[piece._read()] >= 0).sum()) for piece in self.pieces(BLOCK))

    def _read(self) -> NDArray[np.int32]:
        starts, ends = self.spans.T
        if len(starts) == 0:
            return np.empty(0, np.int32)
        where: slice | NDArray[np.int64] = slice(starts[0], ends[-1])
        if (starts[1:] != ends[:-1]).any():
            lengths = ends - starts
            shift = starts - (np.cumsum(lengths) - lengths)
            where = np.arange(lengths.sum()) + np.repeat(shift, lengths)
        read: NDArray[np.int32] = self.tokens[where]
        return read


def cut(spans: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Cut spans (n, 2) so that none is longer than ``size``."""
    lengths = spans[:, 1] - spans[:, 0]
    parts = np.maximum(1, -(-lengths // size))
    if (parts == 1).all():
        return spans
    whole = np.repeat(np.arange(len(spans)), parts)
    rank = np.arange(len(whole)) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = spans[whole, 0] + rank * size
    return np.stack([starts, np.minimum(starts + size, spans[whole, 1])], axis=1)


def open_text(folder: Path, ids: NDArray[np.int32]) -> Text:
    """All documents of a corpus folder, memory-mapped, through a map of types."""
    tokens = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    return Text(tokens, ids, np.stack([offsets[:-1], offsets[1:]], axis=1))


def hold_out(text: Text, fraction: float, generator: np.random.Generator) -> tuple[Text, Text]:
    """Split documents at random into (training, held out).

    ``round(fraction * documents)`` documents are held out; a corpus of so few documents that
    this is 0 keeps them all for training.
    """
    documents = len(text.spans)
    chosen = np.zeros(documents, bool)
    chosen[generator.choice(documents, round(fraction * documents), replace=False)] = True
    return (
        Text(text.tokens, text.ids, text.spans[~chosen]),
        Text(text.tokens, text.ids, text.spans[chosen]),
    )
