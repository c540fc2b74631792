"""Tokenize a source of documents, and write the tokenized corpus into a folder.

`w2v.text.tokens` describes the files of this folder. The source is read in blocks of documents.
Large texts are tokenized by compiled kernels (`w2v.text.scanner`), in one or more threads. Small
texts are tokenized in plain Python, because loading the kernels takes time. So are all texts whose
tokens are made by a pattern or function of the user. Kernels and plain Python give the same result.
The types (distinct tokens) are numbered by first appearance in the corpus, whatever the number of
threads.
"""

import ctypes
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.text.blocks import Block, Numbering, TokenizedBlock
from w2v.text.sources import Source, document_texts, read_blocks
from w2v.text.token_lists import SplitTexts, TokenLists
from w2v.text.tokenizer import Tokenizer
from w2v.text.tokens import ArrayWriter

if TYPE_CHECKING:
    from w2v.text.scanner import CompiledTypeTable

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL_BYTES = 1 << 25
"""Up to this size of a text, loading the compiled kernels takes longer than their speed saves."""


@dataclass(frozen=True)
class CorpusSize:
    """The size of a tokenized corpus, and signs of damage in its text.

    Attributes
    ----------
    documents, bytes, tokens, types
        The numbers of documents with text, of bytes in UTF-8, of tokens, and of types (distinct
        tokens).
    empty_documents
        The number of documents without text, such as blank lines.
    longest_document
        The length of the longest document in tokens.
    invalid_utf8
        The number of invalid byte sequences that were replaced or left out.
    nul_bytes, crlf, byte_order_marks
        The numbers of NUL bytes, of CR LF line ends, and of byte order marks at the start of files.
    unsegmented
        The number of tokens that are too long for one word, in scripts without spaces, such as
        Chinese or Thai.
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
    unsegmented: int


def write_corpus(
    folder: Path,
    source: Source | TokenLists | SplitTexts,
    tokenizer: Tokenizer,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int, float | None], None] = lambda *_: None,
) -> CorpusSize:
    """Tokenize a source of documents in one pass into a folder; return the size of the corpus.

    Memory holds the types (distinct tokens) and a few blocks of the text.

    Parameters
    ----------
    folder
        An existing folder; `w2v.text.tokens` describes the files that are written into it.
    source
        The documents. `tokenizer` is not applied to `TokenLists`, which are tokens already, nor to
        `SplitTexts`, which have their own function.
    limit
        Stop after this many documents that are not blank; None for all.
    workers
        The number of threads that tokenize a text of more than `SMALL_BYTES`. If the tokenizer is
        custom (a pattern or function of the user), a number above 1 starts processes instead.
    progress
        Called after each block with the number of documents and bytes so far, and the fraction of
        the source that has been read, or None if unknown.

    Raises
    ------
    InputError
        There are no documents or no tokens, a document cannot be read, a custom tokenizer fails, or
        a token is not valid.
    """
    if isinstance(source, TokenLists | SplitTexts):
        writer = CorpusWriter(folder, TypeTable(), limit, progress)
        size = writer.write(source.tokenized(limit))
        if isinstance(source, SplitTexts):
            return size
        # Lists of tokens have no text: each token counts with a separator after it.
        lengths = map(len, bytes(writer.types.lines_of_types()).split(b"\n")[:-1])
        per_token = np.fromiter(lengths, np.int64, size.types) + 1
        return replace(size, bytes=int(per_token @ writer.types.totals()))
    blocks = read_blocks(source, None if tokenizer.custom else tokenizer.border, limit)
    first, large = read_first(blocks, limit)
    blocks = chain(drain(first), blocks)
    with ExitStack() as stack:
        tokenized: Iterable[tuple[Block, TokenizedBlock]]
        types: TypeTable | CompiledTypeTable = TypeTable()
        if large:
            from w2v.text import scanner

            scanner.prepare()
            types = scanner.CompiledTypeTable()
        if not large or (tokenizer.custom and workers == 1):
            tokenized = ((block, tokenize_plain(tokenizer, block)) for block in blocks)
        else:
            pool: Executor
            if tokenizer.custom:
                tokenize, shared = tokenize_plain, tokenizer.plain()
                pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            else:
                tokenize, shared = tokenize_compiled, tokenizer
                pool = ThreadPoolExecutor(workers)
            ahead = stack.enter_context(closing(prefetch(blocks)))
            stack.enter_context(pool)
            tokenized = map_ordered(
                lambda block: pool.submit(tokenize, shared, block), ahead, workers + 1
            )
        return CorpusWriter(folder, types, limit, progress).write(tokenized)


# Tokenizing a block


def tokenize_plain(tokenizer: Tokenizer, block: Block) -> TokenizedBlock:
    """Tokenize a block of documents in plain Python, with any tokenizer.

    Raises
    ------
    InputError
        A custom tokenizer (with a pattern or function of the user) fails, or gives something that
        is not a token.
    """
    numbering = Numbering()
    number = numbering.__getitem__
    ids: list[int] = []
    ends: list[int] = []
    filled: list[bool] = []
    find = tokenizer.find
    for text in document_texts(block):
        if tokenizer.custom:  # the others treat a line end as white space
            text = text.removesuffix("\n").removesuffix("\r")
        ids.extend(map(number, find(text)))
        ends.append(len(ids))
        filled.append(bool(text) and not text.isspace())
    if tokenizer.custom:
        tokenizer.check(numbering)
    lines = "".join(f"{word}\n" for word in numbering)
    return TokenizedBlock(
        np.array(ids, np.int32),
        np.array(ends, np.int64),
        np.array(filled, np.bool_),
        (lines if tokenizer.custom else tokenizer.fold(lines)).encode("utf-8"),
        len(numbering),
    )


def tokenize_compiled(tokenizer: Tokenizer, block: Block) -> TokenizedBlock:
    """Tokenize a block of documents with compiled (Numba) kernels.

    The tokenizer must not be custom (with a pattern or function of the user).
    """
    from w2v.text import scanner

    data = np.frombuffer(block.data, np.uint8)
    ids, ends, filled, lines, size = scanner.scan(data, block.stops, tokenizer.kinds)
    folded = tokenizer.fold(lines.tobytes().decode("utf-8")).encode("utf-8")
    return TokenizedBlock(ids, ends, filled, folded, size)


# The types of the corpus


class TypeTable:
    """The types (distinct tokens) of a corpus, numbered by first appearance, and their counts."""

    def __init__(self) -> None:
        self.numbering = Numbering()
        self.counts = np.zeros(0, np.int64)

    def add(self, lines: bytes, count: int, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Add the new types (distinct tokens) of a block of documents, and count all its tokens.

        The table gives each type an id, and counts how often the type occurs in the corpus.

        Parameters
        ----------
        lines
            The types of the block in UTF-8, each followed by a line feed.
        count
            The number of types in `lines`.
        ids : int32 (tokens,)
            The tokens of the block, each the index of its type in `lines`.

        Returns
        -------
        int32 (tokens,)
            The same tokens, each the id of its type in this table.
        """
        words = lines.split(b"\n")[:count]
        known = np.array([self.numbering[word] for word in words], np.int32)
        renumbered: NDArray[np.int32] = known[ids]
        counts = np.bincount(renumbered, minlength=len(self.numbering)).astype(np.int64)
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return renumbered

    def lines_of_types(self) -> memoryview:
        """Return the types (distinct tokens) as lines of UTF-8 text, in the order of their ids."""
        return memoryview(b"".join(b"%b\n" % word for word in self.numbering))

    def totals(self) -> NDArray[np.int64]:
        """Return how often each type (distinct token) occurs so far, by id: int64 (types,)."""
        return self.counts


# Reading ahead and working in parallel


def read_first(blocks: Iterator[Block], limit: int | None) -> tuple[deque[Block], bool]:
    """Read the first blocks of a text, to find out whether the text is large.

    Stop when they hold more than `SMALL_BYTES` bytes, or at least `limit` documents, blank or not.

    Parameters
    ----------
    limit
        The most documents that the caller uses; None: it uses all.

    Returns
    -------
    blocks
        The blocks that were read.
    large
        Whether these blocks hold more than `SMALL_BYTES` bytes.
    """
    first: deque[Block] = deque()
    size = documents = 0
    for block in blocks:
        first.append(block)
        size += len(block.data)
        documents += len(block.stops)
        if size > SMALL_BYTES or (limit is not None and documents >= limit):
            break
    return first, size > SMALL_BYTES


def drain(items: deque[Item]) -> Iterator[Item]:
    """Remove the items of a queue one by one and yield them, so that their memory can be freed."""
    while items:
        yield items.popleft()


def prefetch(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield the items of an iterator, while a thread computes the next item in advance.

    The iteration ends at an item that is None.
    """
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def map_ordered(
    submit: Callable[[Item], Future[Result]], items: Iterator[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Run a task for each item in parallel; yield the items with their results, in order.

    If `items` raises an `InputError`, the results of the items before are yielded first; then the
    error is raised.

    Parameters
    ----------
    submit
        Starts the task for an item in an executor.
    items
        The items, none of which is None.
    ahead
        How many later items are submitted before this function waits for the result of an item.
    """
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


# Writing


class CorpusWriter:
    """Merges the tokenized blocks of a source of documents, in order, into the files of a folder.

    Parameters
    ----------
    folder
        An existing folder; `w2v.text.tokens` describes the files that are written into it.
    types
        An empty table, which the writer fills with the types (distinct tokens) of the corpus.
    limit
        Stop after this many documents that are not blank; None for all.
    progress
        Called after each block with the number of documents and bytes so far, and the fraction of
        the source that has been read, or None if unknown.
    """

    def __init__(
        self,
        folder: Path,
        types: "TypeTable | CompiledTypeTable",
        limit: int | None,
        progress: Callable[[int, int, float | None], None],
    ) -> None:
        self.folder = folder
        self.types = types
        self.limit = limit
        self.progress = progress
        self.documents = self.bytes = self.tokens = self.empty = self.longest = 0
        self.last_end = 0
        """The number of tokens up to the end of the last complete document."""
        self.open_filled = False
        """Whether a document that continues in the next block has more than white space so far."""
        self.faults = {"invalid_utf8": 0, "nul_bytes": 0, "crlf": 0, "byte_order_marks": 0}

    def write(self, tokenized: Iterable[tuple[Block, TokenizedBlock]]) -> CorpusSize:
        """Write tokenized blocks as the files of a corpus folder; return the size of the corpus.

        `w2v.text.tokens` describes the files.

        Parameters
        ----------
        tokenized
            The blocks of text in order, each with its tokens.

        Raises
        ------
        InputError
            There are no documents or no tokens.
        """
        with (
            closing(ArrayWriter(self.folder / "tokens.npy", np.int32)) as tokens,
            closing(ArrayWriter(self.folder / "offsets.npy", np.int64)) as offsets,
        ):
            offsets.append(np.zeros(1, np.int64))
            for number, (block, found) in enumerate(tokenized):
                ids, ends = self._merge(block, found)
                if number % 2:
                    trim_memory()
                tokens.append(ids)
                offsets.append(ends)
                self.progress(self.documents, self.bytes, block.done)
                if self.documents == self.limit:
                    break
        if self.documents == 0:
            raise InputError("the corpus is empty: no document was found")
        if self.tokens == 0:
            raise InputError(
                f"the corpus holds no word: the tokenizer finds none in {self.documents} documents "
                f"of {self.bytes} bytes"
            )
        counts = self.types.totals()
        lines = self.types.lines_of_types()
        (self.folder / "types.txt").write_bytes(lines)
        np.save(self.folder / "counts.npy", counts)
        return CorpusSize(
            documents=self.documents,
            bytes=self.bytes,
            tokens=self.tokens,
            types=len(counts),
            empty_documents=self.empty,
            longest_document=self.longest,
            **self.faults,
            unsegmented=count_unsegmented(bytes(lines), counts),
        )

    def _merge(
        self, block: Block, found: TokenizedBlock
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Add a block to the table of types (distinct tokens), and to the totals of the corpus.

        Documents beyond the limit on their number are left out; but invalid byte sequences and byte
        order marks are counted in the whole block. `found` has the tokens of `block`.

        Returns
        -------
        ids : int32 (tokens,)
            The type id of each token, in the numbering of the corpus.
        ends : int64 (documents,)
            For each document that ends in the block and is not blank, the number of tokens from the
            start of the corpus to the document's end.
        """
        filled = found.filled.copy()
        filled[:1] |= self.open_filled
        last = len(filled) - (not block.whole)
        self.open_filled = not block.whole and bool(filled[-1])
        data = block.data
        complete = np.flatnonzero(filled[:last])
        if self.limit is not None and self.documents + len(complete) >= self.limit:
            complete = complete[: self.limit - self.documents]
            last = int(complete[-1]) + 1
            data = data[: int(block.stops[last - 1])]
            found = shortened(found, int(found.ends[last - 1]))
        ends = self.tokens + found.ends[complete]
        if len(ends):
            self.longest = max(self.longest, int(np.diff(ends, prepend=self.last_end).max()))
            self.last_end = int(ends[-1])
        self.documents += len(ends)
        self.empty += last - len(ends)
        self.bytes += len(data)
        self.tokens += len(found.ids)
        self.faults["invalid_utf8"] += block.invalid
        self.faults["nul_bytes"] += data.count(b"\0")
        self.faults["crlf"] += data.count(b"\r\n")
        self.faults["byte_order_marks"] += block.byte_order_marks
        return self.types.add(found.lines, found.size, found.ids), ends


UNSEGMENTED = re.compile(
    # Hiragana, Katakana, Han
    "[\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]{5}"
    # Thai, Lao, Burmese, Khmer
    "|[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]{12}"
)
"""Matches a run of letters longer than almost any word, in scripts without spaces between words."""


def count_unsegmented(lines: bytes, counts: NDArray[np.int64]) -> int:
    """Count the tokens that probably consist of several words, in scripts without spaces.

    Such a token has a longer run of, for example, Chinese or Thai letters than words usually have.

    Parameters
    ----------
    lines
        The types (distinct tokens) in UTF-8, each followed by a line feed.
    counts : int64 (types,)
        How often each type occurs.
    """
    text = lines.decode("utf-8")
    if UNSEGMENTED.search(text) is None:  # as in most corpora
        return 0
    long = map(bool, map(UNSEGMENTED.search, text.split("\n")[:-1]))
    return int(counts[np.fromiter(long, np.bool_, len(counts))].sum())


def trim_memory() -> None:
    """Return freed memory to the operating system; do nothing if the C library is not glibc.

    Threads that allocate and free blocks of megabytes leave gaps in the heap of glibc. Without this
    call, the process can take several times the memory that it uses.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def shortened(block: TokenizedBlock, tokens: int) -> TokenizedBlock:
    """Return a block with only its first `tokens` tokens and the types that occur among them.

    Types are distinct tokens. The arrays `ends` and `filled`, which have one item per document, are
    not cut: they keep the items of documents after the last kept token.
    """
    ids = block.ids[:tokens]
    size = int(ids.max(initial=-1)) + 1  # types are numbered by first appearance
    words = block.lines.split(b"\n")[:size]
    return block._replace(ids=ids, lines=b"".join(b"%b\n" % word for word in words), size=size)
