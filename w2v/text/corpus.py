"""From a source and a tokenizer to a corpus folder (see `w2v.text.tokens`).

Blocks of documents are read, scanned and merged. Scanning one gives its tokens as numbers by
first appearance in the block, on any core; merging, in the order of the text, gives them their
numbers by first appearance in the corpus. So what is written does not depend on how many scan,
nor on where the blocks are cut.

There are two ways to scan and to merge, with the same result: plain Python, which is there at
once, and compiled (`w2v.text.scanner`), which is several times as fast but
must be compiled or loaded.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.text.sources import Block, Source, blocks_of, document_texts
from w2v.text.tokenizer import Tokenizer
from w2v.text.tokens import ArrayWriter

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL = 1 << 25
"""Bytes of text up to which compiling, or loading what is compiled, takes longer than it saves."""


@dataclass(frozen=True)
class CorpusSize:
    """What was read.

    Attributes
    ----------
    documents, bytes, tokens, types
        Of the text; bytes of UTF-8.
    empty_documents
        Blank lines, or files without text: not among ``documents``.
    longest_document
        In tokens.
    invalid_utf8
        Sequences of bytes that are not UTF-8 and were replaced or left out.
    nul_bytes, crlf, byte_order_marks
        What text is better without: NUL, line ends of two characters, and marks at the start of
        files. None of them is part of a word.
    """

    documents: int
    bytes: int
    tokens: int
    types: int
    empty_documents: int
    longest_document: int
    invalid_utf8: int
    nul_bytes: int
    crlf: int
    byte_order_marks: int


class Part(NamedTuple):
    """A block that was scanned.

    Attributes
    ----------
    ids : int32 (tokens,)
        Numbers of the types by first appearance in the block.
    ends : int64 (documents,)
        Tokens up to the end of each document.
    filled : bool (documents,)
        Whether the document holds anything but white space.
    lines, size
        The types as lines of UTF-8, and how many they are; folding may have made some equal.
    """

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    filled: NDArray[np.bool_]
    lines: bytes
    size: int


class Numbering(dict[Any, int]):
    """Gives each new key the next number."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


def scan_plainly(tokenizer: Tokenizer, block: Block) -> Part:
    """Scan a block in Python, with any tokenizer."""
    numbering = Numbering()
    number = numbering.__getitem__
    ids: list[int] = []
    ends: list[int] = []
    filled: list[bool] = []
    find = tokenizer.find
    for text in document_texts(block):
        if tokenizer.own:  # others take the end of the line for white space
            text = text.removesuffix("\n").removesuffix("\r")
        ids.extend(map(number, find(text)))
        ends.append(len(ids))
        filled.append(bool(text) and not text.isspace())
    if tokenizer.own:
        tokenizer.check(list(numbering))
    lines = "".join(f"{word}\n" for word in numbering)
    return Part(
        np.array(ids, np.int32),
        np.array(ends, np.int64),
        np.array(filled, np.bool_),
        (lines if tokenizer.own else tokenizer.fold(lines)).encode("utf-8"),
        len(numbering),
    )


def scan_compiled(tokenizer: Tokenizer, block: Block) -> Part:
    """Scan a block by the kernels: ``words`` or ``whitespace``."""
    from w2v.text import scanner

    scan = scanner.scan_block(block.data, block.stops, tokenizer.kinds)
    lines = tokenizer.fold(scan.lines.tobytes().decode("utf-8")).encode("utf-8")
    return Part(scan.ids, scan.ends, scan.filled, lines, scan.size)


class Types(Protocol):
    """All types of a corpus, numbered by first appearance, and their counts."""

    def add(self, lines: bytes, count: int, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Take in a part's types and tokens; returns the tokens by their numbers here."""
        ...

    def types(self) -> memoryview:
        """The types as lines."""
        ...

    def totals(self) -> NDArray[np.int64]:
        """Tokens of each type: int64 (types,)."""
        ...


class PlainTypes:
    """`Types` in Python."""

    def __init__(self) -> None:
        self.numbering = Numbering()
        self.counts = np.zeros(0, np.int64)

    def add(self, lines: bytes, count: int, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """See `Types.add`."""
        words = lines.split(b"\n")[:count]
        known = np.array([self.numbering[word] for word in words], np.int32)
        renumbered: NDArray[np.int32] = known[ids]
        counts = np.bincount(renumbered, minlength=len(self.numbering)).astype(np.int64)
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return renumbered

    def types(self) -> memoryview:
        """See `Types.types`."""
        return memoryview(b"".join(b"%b\n" % word for word in self.numbering))

    def totals(self) -> NDArray[np.int64]:
        """See `Types.totals`."""
        return self.counts


def write_corpus(
    folder: Path,
    source: Source,
    tokenizer: Tokenizer,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int, float | None], None] = lambda *_: None,
) -> CorpusSize:
    """Tokenize a source into a corpus folder, in one pass and in memory for its types alone.

    Parameters
    ----------
    folder
        An existing folder.
    limit
        Stop after so many documents.
    workers
        Threads that scan, or processes for a tokenizer of one's own, where the text is not small.
    progress
        Called now and then with the documents and bytes read so far, and their share of the whole
        where it is known.

    Raises
    ------
    InputError
        No document holds a token; a document cannot be read; or a tokenizer of one's own made
        what is no token.
    """
    border = None if tokenizer.own else tokenizer.border
    first, blocks, large = begun(blocks_of(source, border, limit), limit)
    with ExitStack() as stack:
        parts: Iterable[tuple[Block, Part]]
        types: Types = PlainTypes()
        if large:
            from w2v.text import scanner

            scanner.prepare()
            types = scanner.Table()
        if not large or (tokenizer.own and workers == 1):
            parts = ((block, scan_plainly(tokenizer, block)) for block in chain(first, blocks))
        else:
            pool: Executor
            if tokenizer.own:
                # A copy, without the functions that it has made: they cannot be sent.
                scan, sent = scan_plainly, replace(tokenizer)
                context = get_context("spawn")
                pool = ProcessPoolExecutor(workers, mp_context=context)
            else:
                scan, sent = scan_compiled, tokenizer
                sent.kinds  # noqa: B018 (made once, before threads ask for it)
                pool = ThreadPoolExecutor(workers)
            ahead = stack.enter_context(closing(one_ahead(chain(first, blocks))))
            stack.enter_context(pool)
            parts = in_order(lambda block: pool.submit(scan, sent, block), ahead, workers + 1)
        return Writer(folder, types, limit, progress).write(parts)


def begun(
    blocks: Iterator[Block], limit: int | None
) -> tuple[Iterator[Block], Iterator[Block], bool]:
    """Read as much as tells whether the text is small: (what was read, the rest, it is large)."""
    first: list[Block] = []
    size = documents = 0
    for block in blocks:
        first.append(block)
        size += len(block.data)
        documents += len(block.stops)
        if size > SMALL or (limit is not None and documents >= limit):
            break
    return handed_over(first), blocks, size > SMALL


def handed_over(items: list[Item]) -> Iterator[Item]:
    """The items of a list, which keeps none that was given."""
    waiting = deque(items)
    items.clear()
    while waiting:
        yield waiting.popleft()


def one_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items, each one made by another thread while the one before is used."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def in_order(
    submit: Callable[[Item], Future[Result]], items: Iterator[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, ``ahead`` more being worked on. Where making an item fails, the
    results before it still come."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    failed: InputError | None = None
    more = True
    while more or waiting:
        try:
            coming = next(items, None) if more else None
        except InputError as error:
            coming, failed = None, error
        more = coming is not None
        if coming is not None:
            waiting.append((coming, submit(coming)))
        if waiting and (len(waiting) > ahead or not more):
            item, result = waiting.popleft()
            yield item, result.result()
    if failed is not None:
        raise failed


class Writer:
    """Merges parts, in order, into the files of a corpus folder."""

    def __init__(
        self,
        folder: Path,
        types: Types,
        limit: int | None,
        progress: Callable[[int, int, float | None], None],
    ) -> None:
        self.folder = folder
        self.types = types
        self.limit = limit
        self.progress = progress
        self.documents = self.bytes = self.tokens = self.empty = self.longest = 0
        self.last_end = 0
        """Where the last document ended, in tokens of the corpus."""
        self.open_filled = False
        """Whether the document that goes on holds more than white space already."""
        self.faults = {"invalid_utf8": 0, "nul_bytes": 0, "crlf": 0, "byte_order_marks": 0}

    def write(self, parts: Iterable[tuple[Block, Part]]) -> CorpusSize:
        """Write all files; see `write_corpus`."""
        with (
            closing(ArrayWriter(self.folder / "tokens.npy", np.int32)) as tokens,
            closing(ArrayWriter(self.folder / "offsets.npy", np.int64)) as offsets,
        ):
            offsets.append(np.zeros(1, np.int64))
            for number, (block, part) in enumerate(parts):
                ids, ends = self._merge(block, part)
                if number % 2:
                    trim_memory()
                tokens.append(ids)
                offsets.append(ends)
                self.progress(self.documents, self.bytes, block.done)
                if self.documents == self.limit:
                    break
        self._check()
        counts = self.types.totals()
        (self.folder / "types.txt").write_bytes(self.types.types())
        np.save(self.folder / "counts.npy", counts)
        return CorpusSize(
            documents=self.documents,
            bytes=self.bytes,
            tokens=self.tokens,
            types=len(counts),
            empty_documents=self.empty,
            longest_document=self.longest,
            **self.faults,
        )

    def _merge(self, block: Block, part: Part) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Take in a part; returns what it adds to the tokens and to the offsets."""
        filled = part.filled.copy()
        filled[:1] |= self.open_filled
        last = len(filled) - (not block.whole)
        self.open_filled = not block.whole and bool(filled[-1])
        size = len(block.data)
        complete = np.flatnonzero(filled[:last])
        if self.limit is not None and self.documents + len(complete) >= self.limit:
            complete = complete[: self.limit - self.documents]
            last = int(complete[-1]) + 1
            size = int(block.stops[last - 1])
            part = shortened(part, int(part.ends[last - 1]))
        data = block.data if size == len(block.data) else block.data[:size]
        ends = self.tokens + part.ends[complete]
        if len(ends):
            self.longest = max(self.longest, int(np.diff(ends, prepend=self.last_end).max()))
            self.last_end = int(ends[-1])
        self.documents += len(ends)
        self.empty += last - len(ends)
        self.bytes += size
        self.tokens += len(part.ids)
        self.faults["invalid_utf8"] += block.invalid
        self.faults["nul_bytes"] += data.count(b"\0")
        self.faults["crlf"] += data.count(b"\r\n")
        self.faults["byte_order_marks"] += block.byte_order_marks
        return self.types.add(part.lines, part.size, part.ids), ends

    def _check(self) -> None:
        """Refuse a corpus without documents or without words."""
        if self.documents == 0:
            raise InputError(
                "the corpus is empty: no document was found; corpus.path must hold text"
            )
        if self.tokens == 0:
            raise InputError(
                f"the corpus holds no word: the tokenizer finds none in {self.documents} documents "
                f"of {self.bytes} bytes"
            )


def trim_memory() -> None:
    """Give freed memory back to the system.

    Blocks of several megabytes that come and go on several threads leave glibc's heaps full of
    holes: without this they grow to several times what is in use.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def shortened(part: Part, tokens: int) -> Part:
    """A part up to a token: of its types, which are in order of appearance, those that appear."""
    ids = part.ids[:tokens]
    size = int(ids.max(initial=-1)) + 1
    words = part.lines.split(b"\n")[:size]
    return part._replace(ids=ids, lines=b"".join(b"%b\n" % word for word in words), size=size)
