"""Sources of documents: what a source is, and the source that reads text files.

A source is any object with two methods: ``documents()`` yields one string for each document, in a
fixed order; ``fingerprint()`` returns a JSON-serializable dict that changes when the text changes.
By this dict, the pipeline recognizes a text whose tokens it has cached. A source that the pipeline
does not read may return None instead.

A source may also have a method ``blocks()``, which yields many documents at once as bytes. Because
this is faster, ``blocks()`` is then called instead of ``documents()``.
"""

import codecs
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import IO, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from w2v.compression import Decompressed, open_binary, open_raw
from w2v.errors import InputError
from w2v.files import local_path
from w2v.hashes import FileHashes, stamp
from w2v.limits import Limit, one_of
from w2v.settings import Settings, setting
from w2v.text.blocks import Block
from w2v.text.formats import HEAD_BYTES, refuse_nul, refuse_what_is_not_text
from w2v.text.paths import FoundFiles

BLOCK_BYTES = 1 << 22
"""The approximate size of a block in bytes; large, so that few blocks pass between threads."""
READ_BYTES = 1 << 20
"""How many bytes are read from a file at a time."""

BLANKS = bytes(range(ord("\t"), ord(" ") + 1))
"""The ASCII characters from tab to space: white space and some control characters."""

WIDE_BLANKS = "".join(filter(str.isspace, map(chr, range(0x80, 0x3001))))
"""The white space that is not ASCII, such as no-break and ideographic spaces."""

BLANK_BYTES = np.isin(np.arange(256), [*BLANKS, *WIDE_BLANKS.encode("utf-8")])
"""Whether each byte occurs in `BLANKS` or in the UTF-8 of `WIDE_BLANKS`, bool (256,)."""

Border = Callable[[bytes], int]
"""A function that returns where a text may be cut; see `w2v.text.tokenizer.Tokenizer.border`."""

Progress = Callable[[int, float | None], None]
"""Called with the bytes read so far and their fraction of all bytes, or None if unknown."""


class Source(Protocol):
    """A source of documents: any object with the methods `documents` and `fingerprint`."""

    def documents(self) -> Iterator[str]:
        """Yield each document, in a fixed order.

        As long as the documents are unchanged, the order is the same in every run of the program,
        so that its results can be reproduced.
        """
        ...

    def fingerprint(self) -> Any:
        """Return a JSON-serializable dict that changes when the text changes.

        By this dict, the pipeline recognizes a text whose tokens it has cached. A source that the
        pipeline does not read may return None.
        """
        ...


@runtime_checkable
class BlockSource(Protocol):
    """A source that yields its documents in blocks of bytes, each with many documents."""

    def blocks(self, border: Border | None, limit: int | None) -> Iterator[Block]:
        """Yield the documents in blocks of bytes.

        Parameters
        ----------
        border
            A function that takes UTF-8 text and returns the last position at which a document that
            is too long for a block may be cut; 0 if there is none. None: documents are never cut.
        limit
            The source may stop after this many documents that hold more than white space, because
            the caller uses no more. None: the caller uses all documents.
        """
        ...


def read_blocks(source: Source, border: Border | None, limit: int | None) -> Iterator[Block]:
    """Yield the documents of a source in blocks of bytes.

    The blocks come from the source's method `blocks` if it has one, else from
    `documents_to_blocks`, which never cuts a document.

    Parameters
    ----------
    border
        A function that takes UTF-8 text and returns the last position at which a document that is
        too long for a block may be cut; 0 if there is none. None: documents are never cut.
    limit
        Stop after this many documents that hold more than white space; None: yield all. A source's
        own method `blocks` may yield more, so the caller must stop by itself.
    """
    if isinstance(source, BlockSource):
        return source.blocks(border, limit)
    return documents_to_blocks(((text, None) for text in source.documents()), limit)


def documents_to_blocks(
    documents: Iterable[tuple[str, float | None]], limit: int | None = None
) -> Iterator[Block]:
    """Encode documents in UTF-8, and yield them in blocks of bytes.

    A block ends with the document that brings it to `BLOCK_BYTES` bytes or more.

    Parameters
    ----------
    documents
        Each document, with the fraction of all input that has been read when the document ends, or
        None if that is unknown.
    limit
        Stop after this many documents that are not only white space; None: encode all.

    Raises
    ------
    InputError
        A document holds an unpaired surrogate, which UTF-8 cannot encode.
    """
    parts: list[bytes] = []
    stops: list[int] = []
    size, done, filled = 0, None, 0
    for text, done in documents:
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"the document that begins {text[:40]!r} holds half of a surrogate pair "
                f"(character {error.start}), which UTF-8 cannot hold"
            ) from None
        parts.append(data)
        size += len(data)
        stops.append(size)
        if size >= BLOCK_BYTES:
            yield Block(b"".join(parts), np.array(stops, np.int64), True, done)
            parts, stops, size = [], [], 0
        filled += bool(text) and not text.isspace()
        if filled == limit:
            break
    if stops:
        yield Block(b"".join(parts), np.array(stops, np.int64), True, done)


def document_texts(block: Block) -> Iterator[str]:
    """Yield each document of a block as a string, including documents of only white space."""
    start = 0
    for stop in block.stops.tolist():
        yield block.data[start:stop].decode("utf-8")
        start = stop


# Files


def bytes_of(
    path: str, opener: Callable[[str], IO[bytes]], size: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """Yield the decompressed bytes of a file in parts, each with the position in the stored file.

    Parameters
    ----------
    opener
        A function that opens the file of a given name for reading its decompressed bytes.
    size
        The most bytes in a part; `READ_BYTES` by default.

    Yields
    ------
    data : bytes
        A part of the decompressed bytes.
    position : int
        How many bytes of the file have been read. If the file is compressed, these are compressed
        bytes.

    Raises
    ------
    InputError
        The file cannot be read or decompressed.
    """
    try:
        with opener(path) as file:
            while data := file.read(size or READ_BYTES):
                yield data, position_in(file)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # compression formats and remote stores have errors of their own
        raise read_error(path, error) from None


def position_in(file: IO[bytes]) -> int:
    """Return how many bytes of a file have been read, counted before decompression."""
    return file.raw_position() if isinstance(file, Decompressed) else file.tell()


def read_error(path: str, error: Exception) -> InputError:
    """Return the `InputError` to raise when reading a file has failed with `error`."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; a text file is needed")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder; a text file is needed")
    return InputError(f"{path}: cannot be read ({error})")


def size_of(paths: Sequence[str]) -> int | None:
    """Return the total size of local files in bytes; None if a path is not that of a local file."""
    try:
        return sum(local_path(path).stat().st_size for path in paths)
    except OSError:
        return None


class ValidText(NamedTuple):
    """A part of the text of a file, as valid UTF-8.

    Attributes
    ----------
    data
        The text; it does not begin or end within a character.
    invalid
        How many invalid byte sequences were replaced or left out.
    byte_order_mark
        Whether a byte order mark at the start of the file was left out of `data`; False where the
        codec itself leaves it out, as that of ``utf-16`` does.
    place
        How many bytes of the file, as stored, had been read when this part was complete.
    """

    data: bytes
    invalid: int
    byte_order_mark: bool
    place: int


def read_text(
    path: str, open: Callable[[str], IO[bytes]], encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[ValidText]:
    """Yield the text of a file in parts, as valid UTF-8 without a byte order mark.

    Parameters
    ----------
    path, open
        The name of the file, and a function that opens it for reading its decompressed bytes.
    encoding
        The encoding of the file.
    errors
        What to do about invalid bytes: ``strict`` raises an error, ``replace`` puts U+FFFD in their
        place, ``ignore`` leaves them out.

    Raises
    ------
    InputError
        The file cannot be read or is not text. Or `errors` is ``"strict"``, and bytes of the file
        are invalid in `encoding`. In a UTF-8 file, the text before these bytes is yielded first.
    """
    reads = bytes_of(path, open)
    head, first = b"", []
    for data, place in reads:
        head += data
        first.append((data, place))
        if len(head) >= HEAD_BYTES:
            break
    refuse_what_is_not_text(path, head[:HEAD_BYTES], encoding)
    decode = valid_utf8 if is_utf8(encoding) else partial(decoded, encoding=encoding)
    yield from decode(path, chain(first, reads), errors=errors)


def is_utf8(encoding: str) -> bool:
    """Return whether `encoding` is a name of ASCII or of UTF-8, with or without byte order mark."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def valid_utf8(path: str, reads: Iterable[tuple[bytes, int]], errors: str) -> Iterator[ValidText]:
    """Yield the text of a UTF-8 file in parts that are valid UTF-8.

    Parameters
    ----------
    path
        The name of the file, for messages.
    reads
        The decompressed bytes of the file in parts, each with the number of bytes of the stored
        (perhaps compressed) file that have been read so far (`bytes_of`).
    errors
        What to do about invalid bytes: ``strict`` raises an error, ``replace`` puts U+FFFD in their
        place, ``ignore`` leaves them out.

    Raises
    ------
    InputError
        A part holds too many NUL bytes (`refuse_nul`), or invalid bytes with `errors` ``"strict"``.
        Valid text before the invalid bytes is yielded first.
    """
    rest, offset, place, at_start = b"", 0, 0, True
    reads = iter(reads)
    final = False
    while not final:
        read, place = next(reads, (b"", place))
        refuse_nul(path, read)
        final = not read
        data = rest + read
        if at_start and len(data) < len(codecs.BOM_UTF8) and not final:
            rest = data
            continue
        mark = at_start and data.startswith(codecs.BOM_UTF8)
        if mark:
            data = data[len(codecs.BOM_UTF8) :]
            offset += len(codecs.BOM_UTF8)
        at_start = False
        invalid = 0
        try:
            used = len(data) if data.isascii() else codecs.utf_8_decode(data, "strict", final)[1]
            good = data[:used]
        except UnicodeDecodeError as error:
            at = error.start
            if errors == "strict":
                yield ValidText(data[:at], 0, mark, place)
                raise InputError(
                    f"{path}: byte {offset + at} (0x{data[at]:02x}) is not UTF-8; name the "
                    "encoding, as in encoding=cp1252, or set errors=replace or errors=ignore"
                ) from None
            replaced, used = codecs.utf_8_decode(data, "replace", final)
            ignored, _ = codecs.utf_8_decode(data, "ignore", final)
            invalid = replaced.count("\ufffd") - ignored.count("\ufffd")
            good = (replaced if errors == "replace" else ignored).encode("utf-8")
        yield ValidText(good, invalid, mark, place)
        rest, offset = data[used:], offset + used


def decoded(
    path: str, reads: Iterable[tuple[bytes, int]], errors: str, encoding: str
) -> Iterator[ValidText]:
    """Yield the text of a file of any encoding in parts, converted to UTF-8.

    Parameters
    ----------
    path
        The name of the file, for messages.
    reads
        The decompressed bytes of the file in parts, as `bytes_of` yields them: each with the number
        of bytes of the stored (perhaps compressed) file that have been read so far.
    errors
        What to do about invalid bytes: ``strict`` raises an error, ``replace`` puts U+FFFD in their
        place, ``ignore`` leaves them out.

    Raises
    ------
    InputError
        The file holds invalid bytes, and `errors` is ``"strict"``.
    """
    make = codecs.getincrementaldecoder(encoding)
    decoder = make("strict" if errors == "strict" else "replace")
    without = None if errors == "strict" else make("ignore")
    offset, end, invalid, at_start = 0, 0, 0, True
    for data, place in chain(reads, [(b"", -1)]):
        final = place < 0
        offset += len(data)
        end = end if final else place
        try:
            text = decoder.decode(data, final)
        except UnicodeError as error:
            start = getattr(error, "start", 0) - len(getattr(error, "object", b""))
            raise InputError(
                f"{path}: byte {offset + start} is not {encoding}; name the right encoding, or "
                "set errors=replace or errors=ignore"
            ) from None
        if without is not None:
            ignored = without.decode(data, final)
            invalid = text.count("\ufffd") - ignored.count("\ufffd")
            text = text if errors == "replace" else ignored
        mark = at_start and text.startswith("\ufeff")
        at_start = at_start and not text
        yield ValidText(text[mark:].encode("utf-8", "replace"), invalid, mark, end)


def unit_setting() -> Any:
    meaning = "what a document is: each line, each paragraph (blank lines separate them) or file"
    return setting(meaning, one_of(("line", "paragraph", "file")), "line")


def encoding_setting() -> Any:
    wanted = Limit("the name of a text encoding, such as utf-16 or cp1252", is_encoding)
    return setting("the encoding of the files", wanted, "utf-8")


def is_encoding(name: str) -> bool:
    """Return whether `name` is a text encoding that Python can decode."""
    try:
        codecs.getincrementaldecoder(name)
        b"ab".decode(name, "replace")
    except (LookupError, ValueError):
        return False
    return True


def errors_setting() -> Any:
    meaning = (
        "what to do about bytes that are not UTF-8: strict refuses the file, replace puts U+FFFD "
        "in their place, ignore leaves them out"
    )
    return setting(meaning, one_of(("strict", "replace", "ignore")), "strict")


@dataclass(frozen=True)
class Files(Settings):
    """A source of documents that reads text files.

    Parameters
    ----------
    paths
        The names of the files, in the order in which they are read.
    unit
        What a document is: a ``line``, a ``paragraph`` (blank lines separate paragraphs) or a
        ``file``.
    open
        A function that opens the file of a given name for reading its decompressed bytes.
    errors
        What to do about bytes that are not in `encoding`: ``strict`` raises an error, ``replace``
        puts U+FFFD in their place, ``ignore`` leaves them out.
    raw
        A function that opens a remote file for reading its bytes as stored, to hash them.
    hashed
        A function that is called while files are hashed, with the number of bytes read so far and
        their fraction of all bytes, or None if unknown.
    found
        The result of the search that found `paths`, with the number of skipped files.
    encoding
        The encoding of the files.
    hashes
        Computes and caches the SHA-256 of local files.
    """

    paths: Sequence[str]
    unit: str = unit_setting()
    open: Callable[[str], IO[bytes]] = open_binary
    errors: str = errors_setting()
    raw: Callable[[str], IO[bytes]] = open_raw
    hashed: Progress = lambda *_: None
    found: FoundFiles = field(default_factory=FoundFiles)
    encoding: str = encoding_setting()
    hashes: FileHashes = field(default_factory=FileHashes, compare=False)

    def heads(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the first `HEAD_BYTES` bytes, decompressed, of each local file.

        Raises
        ------
        InputError
            A file cannot be read or is not text.
        """
        for path in self.paths:
            if local_path(path).is_file():
                head = next(bytes_of(path, self.open, HEAD_BYTES), (b"", 0))[0]
                refuse_what_is_not_text(path, head, self.encoding)
                yield path, head

    def read(self, path: str) -> Iterator[ValidText]:
        """Yield the text of one of the files in parts, as valid UTF-8.

        Raises
        ------
        InputError
            The file cannot be read or decompressed, or is not text. Or the setting `errors` is
            ``"strict"``, and bytes of the file are invalid in the encoding (setting `encoding`).
        """
        return read_text(path, self.open, self.encoding, self.errors)

    def documents(self) -> Iterator[str]:
        """Yield the documents that are not only white space, each with its line ends.

        Raises
        ------
        InputError
            A file cannot be read or decompressed, or is not text. Or the setting `errors` is
            ``"strict"``, and bytes of a file are invalid in the encoding (setting `encoding`).
        """
        for block in self.blocks():
            yield from (text for text in document_texts(block) if text and not text.isspace())

    def blocks(
        self,
        border: Border | None = None,
        limit: int | None = None,  # noqa: ARG002 (whoever has enough documents stops iterating)
    ) -> Iterator[Block]:
        """Yield the documents in blocks of UTF-8 text.

        Parameters
        ----------
        border
            A function that takes UTF-8 text and returns the last position at which a document that
            is too long for a block may be cut; 0 if there is none. None: documents are never cut.
        limit
            Not used; the caller stops iterating when it has enough documents.

        Raises
        ------
        InputError
            A file cannot be read or is not text; the setting `errors` is ``"strict"``, and bytes
            are invalid; or documents are lines or paragraphs, and the lines of a file end in
            carriage returns alone. Complete documents read before are yielded first.
        """
        builder = BlockBuilder(self.unit, border)
        total, before = size_of(self.paths), 0
        try:
            for path in self.paths:
                ends: set[int] = set()
                for text in self.read(path):
                    ends |= {end for end in b"\r\n" if end in text.data}
                    done = min(1.0, (before + text.place) / total) if total else None
                    yield from builder.add(text, done)
                if ends == {*b"\r"} and self.unit != "file":
                    raise InputError(
                        f"{path}: its lines end in carriage returns alone; make them line feeds "
                        "(tr '\\r' '\\n'), or set unit=file"
                    )
                builder.end_file()
                before += (size_of([path]) or 0) if total else 0
        except InputError:
            yield from builder.end()
            raise
        yield from builder.end()

    def stamps(self) -> list[tuple[str, str]]:
        """Return, for each local file, its path and a string that changes when the file changes.

        The files are not read: the string holds the size, the times and the inode of the file.
        """
        found = []
        for path in self.paths:
            with suppress(OSError):
                found.append((path, stamp(local_path(path).stat())))
        return found

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-serializable dict that changes when the documents change.

        It holds the settings that affect the documents, and the SHA-256 of each file as stored,
        without decompressing it.

        Raises
        ------
        InputError
            A file cannot be read.
        """
        total, read = size_of(self.paths), 0

        def on_read(size: int) -> None:
            nonlocal read
            read += size
            self.hashed(read, read / total if total else None)

        local = [path for path in self.paths if "://" not in path]
        try:
            digests = dict(zip(local, self.hashes.sha256(local, on_read), strict=True))
        except OSError as error:
            raise read_error(str(error.filename), error) from None
        for path in self.paths:
            if path not in digests:
                digests[path] = self._remote_sha256(path, on_read)
        changed = {"errors": self.errors} if self.errors != "strict" else {}
        changed |= {"encoding": self.encoding} if not is_utf8(self.encoding) else {}
        return {"unit": self.unit, **changed, "files": [digests[path] for path in self.paths]}

    def _remote_sha256(self, path: str, on_read: Callable[[int], None]) -> str:
        digest = hashlib.sha256()
        for data, _ in bytes_of(path, self.raw):
            digest.update(data)
            on_read(len(data))
        self.hashes.seen[path] = digest.hexdigest()
        return digest.hexdigest()


class BlockBuilder:
    """Collects the text of files into blocks that end where documents end, if possible.

    Parameters
    ----------
    unit
        What a document is: a ``line``, a ``paragraph`` (blank lines separate paragraphs) or a
        ``file``.
    border
        A function that takes UTF-8 text and returns the last position at which a document that is
        too long for a block may be cut; 0 if there is none. None: documents are never cut.
    """

    def __init__(self, unit: str, border: Border | None) -> None:
        self.unit = unit
        self.border = border
        self.parts: list[bytes] = []
        self.length = 0
        self.enough = BLOCK_BYTES
        """How many bytes must be collected before `add` tries to make a block."""
        self.finished = -1
        """The byte of the collected text where the last complete document ends; -1 if none does."""
        self.file_ends: list[int] = []
        self.open = False
        """Whether the last block ended inside a document."""
        self.invalid = self.marks = 0
        self.done: float | None = None

    def add(self, text: ValidText, done: float | None) -> Iterator[Block]:
        """Add the next part of a file to the collected text; yield a block if that is long enough.

        Long enough means about `BLOCK_BYTES` bytes. The block ends with the last document that is
        complete. If none is complete, the block ends inside a document, at the last place in `text`
        where the function `border` allows a cut. If there is no such place either, no block is
        yielded yet.

        `done` is the fraction of the bytes of all files that has been read, which the block
        reports; None if unknown.
        """
        start, data = self.length, text.data
        self.parts.append(data)
        self.length += len(data)
        self.invalid += text.invalid
        self.marks += text.byte_order_mark
        self.done = done
        if self.unit == "line" and (at := data.rfind(b"\n")) >= 0:
            self.finished = start + at + 1
        if self.length >= self.enough:
            self._find_paragraphs()
            if self.finished >= 0:
                yield self._block(self.finished, True)
            elif self.border is not None and (at := self._cut(data)):
                yield self._block(start + at, False)
            elif self.unit == "paragraph":  # a search scans all the text: search rarely
                self.enough = 2 * self.length

    def end_file(self) -> None:
        """Mark the end of a file, which also ends its last document."""
        rest = self.length > max(0, self.finished)
        if self.unit == "file" or rest or (self.open and self.finished < 0):
            self.file_ends.append(self.length)
            self.finished = self.length

    def end(self) -> Iterator[Block]:
        """Yield the last block: the documents that no block has yet. Yield nothing if none is left.

        If a file could not be read to its end, the document in which reading stopped is left out.
        """
        self._find_paragraphs()
        if self.finished >= 0:
            yield self._block(self.finished, True)

    def _block(self, end: int, whole: bool) -> Block:
        data = b"".join(self.parts)
        head, rest = data[:end], data[end:]
        stops = np.array([*self.file_ends, *([] if whole else [end])], np.int64)
        if self.unit == "line":
            ends = np.flatnonzero(np.frombuffer(head, np.uint8) == ord("\n")) + 1
            stops = np.sort(np.concatenate([ends, stops]), kind="stable")
        elif self.unit == "paragraph":
            ends = paragraph_ends(head, self.file_ends, self.open)
            stops = np.unique(np.concatenate([ends, stops, [end]]))
        block = Block(head, stops, whole, self.done, self.invalid, self.marks)
        self.parts, self.length, self.enough = [rest], len(rest), BLOCK_BYTES
        self.finished, self.file_ends, self.open = -1, [], not whole
        self.invalid = self.marks = 0
        return block

    def _find_paragraphs(self) -> None:
        """Set the attribute `finished` to the end of the last complete paragraph collected so far.

        Leave it as it is if no paragraph is complete, or if documents are lines or files.
        """
        if self.unit == "paragraph":
            self.parts = [b"".join(self.parts)]
            ends = paragraph_ends(self.parts[0], self.file_ends, self.open)
            self.finished = max(self.finished, *ends[-1:].tolist(), -1)

    def _cut(self, data: bytes) -> int:
        """Return the last position in `data` where a long document may be cut; 0 if there is none.

        `data` is the UTF-8 text that was last passed to `add`; positions are in bytes. The function
        ``self.border`` returns the last position at which a cut splits neither a token nor a CR LF.
        If documents are paragraphs, the result is instead the start of the white space right before
        this position, because a cut must not separate the two line ends that end a paragraph.
        """
        assert self.border is not None
        at = self.border(data)
        if self.unit != "paragraph":
            return at
        # The line ends around a cut must stay together, for two of them end a paragraph.
        return len(data[:at].decode("utf-8").rstrip(BLANKS.decode() + WIDE_BLANKS).encode("utf-8"))


def paragraph_ends(data: bytes, file_ends: Sequence[int], continued: bool) -> NDArray[np.int64]:
    """Return where paragraphs end: before each line that is not blank but follows a blank line.

    Blank lines therefore belong to the paragraph before them.

    Parameters
    ----------
    data, file_ends
        The text of one or more files, and the positions in it where files end.
    continued
        Whether `data` begins in the middle of a line that is not blank.

    Returns
    -------
    int64 (paragraphs,)
        Positions in `data`, in bytes, increasing. The end of `data` is not among them. The end of a
        file is among them only if it is between a blank line and a line that is not blank.
    """
    if not data:
        return np.zeros(0, np.int64)
    values = np.frombuffer(data, np.uint8)
    line_ends = np.flatnonzero(values == ord("\n")) + 1
    starts = np.unique(np.concatenate([[0], line_ends, file_ends])).astype(np.int64)
    starts = starts[starts < len(data)]
    filled = np.logical_or.reduceat((values > BLANKS[-1]) | (values < BLANKS[0]), starts)
    if not data.isascii():
        # Few lines begin and end with such bytes; the last byte but one is before the line feed.
        stops = np.append(starts[1:], len(data))
        maybe = filled & BLANK_BYTES[values[starts]] & BLANK_BYTES[values[stops - 2]]
        for line in np.flatnonzero(maybe).tolist():
            filled[line] = not data[starts[line] : stops[line]].decode("utf-8").isspace()
    filled[0] |= continued
    return starts[1:][filled[1:] & ~filled[:-1]]
