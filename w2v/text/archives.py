"""Read the documents of well-known corpora from their archives, as streams.

These are text8, the Stanford Sentiment Treebank and the IMDB movie reviews. Nothing is extracted to
disk.
"""

import gzip
import html
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, cast

from w2v.errors import InputError
from w2v.files import open_binary

DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
"""What the functions here raise for a damaged archive."""

MAX_WORD_BYTES = 1 << 20
"""A file with a longer word than this cannot be text8."""

Open = Callable[[str], IO[bytes]]
"""Opens a file for reading its decompressed bytes."""


def read_text8(path: Path, words: int, open: Open = open_binary) -> Iterator[str]:
    """Yield the text of text8 in documents of a number of words, since it is one long line.

    `path` is ``text8.zip``, or the file ``text8`` in it, compressed or not.
    """
    document: list[str] = []
    rest, offset = b"", 0
    with open_member(path, "text8", open) as file:
        for block in chain(blocks(file), [b" "]):
            text, space, rest = (rest + block).rpartition(b" ")
            if len(rest) > MAX_WORD_BYTES:
                raise InputError(
                    f"{path}: no space in {MAX_WORD_BYTES} bytes; it must be the text of text8"
                )
            document += decode(text, str(path), offset).split()
            offset += len(text + space)
            full = len(document) - len(document) % words
            for first in range(0, full, words):
                yield " ".join(document[first : first + words])
            del document[:full]
    if document:
        yield " ".join(document)


def read_sst(path: Path, open: Open = open_binary) -> Iterator[str]:
    """Yield the sentences of the Stanford Sentiment Treebank.

    `path` is ``stanfordSentimentTreebank.zip``, its ``datasetSentences.txt``, or a file with one
    sentence per line.
    """
    with open_member(path, "datasetSentences.txt", open) as file:
        lines = (
            decode(line, f"{path}: line {number}").strip("\r\n")
            for number, line in enumerate(file, start=1)
        )
        first = next(lines, "").removeprefix("\ufeff")
        is_table = first == "sentence_index\tsentence"
        for text in lines if is_table else chain([first], lines):
            sentence = text.partition("\t")[2] if is_table else text
            if sentence.strip():
                yield sentence


REVIEW = re.compile(r"(?:\./)?aclImdb/(train|test)/(pos|neg|unsup)/\d+_\d+\.txt")
LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
HTML_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);")


def read_imdb(path: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """Yield the reviews in ``aclImdb_v1.tar.gz`` as plain text, one per document.

    The splits are ``train`` and ``test`` (25,000 labelled reviews each) and ``unsup`` (50,000
    unlabelled reviews, which the archive keeps in the folder ``train``).
    """
    found = False
    with cast(IO[bytes], gzip.open(path)) as unpacked:
        # "r|" reads a stream, without seeking.
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            while (member := archive.next()) is not None:
                # tarfile keeps every member it has read: 100,000 here. Its stubs lack the list.
                archive.members.clear()  # type: ignore[attr-defined]
                match = REVIEW.fullmatch(member.name)
                if match is None or not member.isreg():
                    continue
                found = True
                split = "unsup" if match[2] == "unsup" else match[1]
                file = archive.extractfile(member) if split in splits else None
                if file is not None:
                    text = decode(file.read(), f"{path}: {member.name}")
                    text = LINE_BREAK.sub(" ", text)
                    yield HTML_ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        for _ in blocks(unpacked):
            pass  # gzip compares its checksum only at the end of the file
    if not found:
        raise InputError(f"{path}: no review is in it; it must be aclImdb_v1.tar.gz")


def open_member(path: Path, name: str, open: Open) -> IO[bytes]:
    """Open the only file called `name` in a zip archive, or `path` itself if it is no archive."""
    if not zipfile.is_zipfile(path):
        return open(str(path))
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if PurePosixPath(m.filename).name == name]
        if len(members) != 1:
            raise InputError(
                f"{path}: the archive must hold one {name}; it holds {len(members) or 'none'}"
            )
        try:
            return archive.open(members[0])
        except RuntimeError as error:  # a password, or a compression that zipfile lacks
            raise InputError(f"{path}: cannot be read ({error})") from None


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file in blocks of one mebibyte."""
    return iter(lambda: file.read(1 << 20), b"")


def decode(data: bytes, where: str, offset: int = 0) -> str:
    """Decode UTF-8 at a position of a file or line, which the message for invalid bytes names."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at, byte = offset + error.start, data[error.start]
        raise InputError(f"{where}: byte {at} (0x{byte:02x}) is not UTF-8") from None
