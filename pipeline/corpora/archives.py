"""Corpora that have a name: archives of fixed content, read as streams, unpacked nowhere.

No file is made under a name that an archive gives. What is not the expected text, such as a
link or a path that leads out of the folder, is passed over.
"""

import gzip
import hashlib
import html
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.corpora.download import Received, fetch
from w2v.errors import InputError

LINE = 1 << 20
"""Bytes of the longest line, word or review: a real one has a hundredth of it."""

MEMBER = 64 << 20
"""Bytes of the largest member of aclImdb_v1.tar.gz, with room: a real one has 41 MB."""


Open = Callable[[str], IO[bytes]]
"""Opens a file for reading bytes, unpacked."""


@dataclass(frozen=True)
class Named:
    """An archive that is fetched when its text is first wanted, or a copy of it.

    Parameters
    ----------
    name
        Of the corpus.
    path
        The copy, or ``None``.
    url, sha256
        Of the archive.
    folder
        Where a fetched archive is kept.
    read
        From the file to its documents.
    settings
        What else the documents depend on: JSON-able.
    received
        Told of the download.
    """

    name: str
    path: str | None
    url: str
    sha256: str
    folder: Path
    read: Callable[[Path], Iterator[str]]
    settings: tuple[object, ...]
    received: Callable[[Received], None]

    def documents(self) -> Iterator[str]:
        """Yield the documents in the order of the archive.

        Raises
        ------
        InputError
            The archive is not there and cannot be fetched, or is not what it should be.
        """
        path = self._file()
        try:
            yield from self.read(path)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        except (tarfile.TarError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None

    def fingerprint(self) -> list[object]:
        """The SHA-256 of the archive, fetched or not, or of the copy; and the settings."""
        if self.path is None:
            return [self.sha256, *self.settings]
        with self._file().open("rb") as file:
            return [hashlib.file_digest(file, "sha256").hexdigest(), *self.settings]

    def _file(self) -> Path:
        if self.path is not None:
            if not Path(self.path).is_file():
                raise InputError(
                    f"corpus.path={self.path}: no such file; see conf/corpus/{self.name}.yaml"
                )
            return Path(self.path)
        path = self.folder / self.url.rpartition("/")[2]
        try:
            fetch(self.url, self.sha256, path, self.received)
        except InputError as reason:
            raise InputError(
                f"corpus={self.name}: the download failed ({reason}); fetch {self.url} to {path} "
                f"(SHA-256 {self.sha256}), or give corpus.path"
            ) from None
        return path


def text8(path: Path, words: int, open: Open) -> Iterator[str]:
    """The words of text8, cut into documents of so many, for it has none of its own.

    Parameters
    ----------
    path
        ``text8.zip``, or the file in it, packed or not.
    """
    held: list[str] = []
    with open_member(path, "text8", open) as file:
        for text in whole_words(file, path):
            held += text.split()
            full = len(held) - len(held) % words
            for first in range(0, full, words):
                yield " ".join(held[first : first + words])
            del held[:full]
    if held:
        yield " ".join(held)


def sst(path: Path, open: Open) -> Iterator[str]:
    """The sentences of the Stanford Sentiment Treebank.

    Parameters
    ----------
    path
        ``stanfordSentimentTreebank.zip``, its ``datasetSentences.txt``, or one sentence a line.
    """
    with open_member(path, "datasetSentences.txt", open) as file:
        table = False
        for number, line in enumerate(iter(lambda: file.readline(LINE), b""), start=1):
            if len(line) >= LINE:  # readline of a zip member may give more than asked
                raise InputError(f"{path}: line {number} is longer than {LINE} bytes")
            text = utf8(line, f"{path}: line {number}").strip("\r\n")
            if number == 1:
                text = text.removeprefix("\ufeff")
                if text == "sentence_index\tsentence":
                    table = True
                    continue
            sentence = text.partition("\t")[2] if table else text
            if sentence.strip():
                yield sentence


REVIEW = re.compile(r"(?:\./)?aclImdb/(train|test)/(pos|neg|unsup)/\d+_\d+\.txt")
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);")


def imdb(path: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """The reviews of the Large Movie Review Dataset, one a document, without their mark-up.

    Parameters
    ----------
    path
        ``aclImdb_v1.tar.gz``.
    splits
        Some of ``train`` and ``test`` (25,000 labelled reviews each) and ``unsup`` (50,000
        unlabelled ones, which lie in the folder ``train``).
    """
    found = 0
    with cast(IO[bytes], gzip.open(path)) as unpacked:
        metered = Metered(unpacked, path)
        # "r|": forwards only, so what is passed over is not kept.
        with tarfile.open(fileobj=metered, mode="r|") as archive:
            while (member := archive.next()) is not None:
                # tarfile lists what it has seen, of no use here; its stubs lack the list.
                archive.members.clear()  # type: ignore[attr-defined]
                metered.left = MEMBER
                match = REVIEW.fullmatch(member.name)
                if match is None or not member.isreg() or member.issparse():
                    continue
                found += 1
                if ("unsup" if match[2] == "unsup" else match[1]) not in splits:
                    continue
                where = f"{path}: {member.name}"
                file = archive.extractfile(member)
                data = file.read(LINE + 1) if file else b""
                if len(data) > LINE:
                    raise InputError(f"{where} is longer than {LINE} bytes")
                text = utf8(data, where)
                yield ENTITY.sub(lambda found: html.unescape(found[0]), BREAK.sub(" ", text))
        for _ in file_blocks(unpacked):
            pass  # gzip compares its checksum at the end
    if not found:
        raise InputError(f"{path}: no review is in it; it must be aclImdb_v1.tar.gz")


class Metered(io.RawIOBase):
    """A file that refuses to give more than `left` bytes: tarfile reads headers whole."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file = file
        self.path = path
        self.left = MEMBER

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or fewer at the end."""
        self.left -= size
        if self.left < 0:
            raise InputError(f"{self.path}: a member is larger than {MEMBER} bytes")
        return self.file.read(size)


def open_member(path: Path, name: str, open: Open) -> IO[bytes]:
    """The file of that name in a zip archive, as a stream; or ``path`` itself, unpacked."""
    if not zipfile.is_zipfile(path):
        return open(str(path))
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if PurePosixPath(m.filename).name == name]
        if len(members) != 1:
            raise InputError(f"{path}: the archive holds {len(members) or 'no'} {name}, not one")
        try:
            return archive.open(members[0])
        except RuntimeError as error:  # a password, or a packing that zipfile lacks
            raise InputError(f"{path}: cannot be read ({error})") from None


def file_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time."""
    return iter(lambda: file.read(1 << 20), b"")


def whole_words(file: IO[bytes], path: Path) -> Iterator[str]:
    """The text of a file in pieces that end between two words."""
    offset, rest = 0, b""
    for block in file_blocks(file):
        head, space, rest = (rest + block).rpartition(b" ")
        if len(rest) > LINE:
            raise InputError(f"{path}: no space in {LINE} bytes; it must be the text of text8")
        yield utf8(head + space, str(path), offset)
        offset += len(head + space)
    yield utf8(rest, str(path), offset)


def utf8(data: bytes, where: str, offset: int = 0) -> str:
    """The text, or a line that says where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise InputError(
            f"{where}: byte {offset + error.start} (0x{byte:02x}) is not UTF-8"
        ) from None
