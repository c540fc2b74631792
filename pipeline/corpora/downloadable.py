"""Downloadable corpora: text8, the Stanford Sentiment Treebank and the IMDB movie reviews.

An archive is downloaded when its documents are first read, checked against the SHA-256 in the
settings, and read as a stream: nothing is extracted to disk.
"""

import gzip
import html
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipeline.config.settings import DownloadedCorpus
from pipeline.corpora.download import ShowDownload, download
from pipeline.corpora.files import open_decompressed
from w2v.errors import InputError
from w2v.files import file_sha256

MAX_WORD_BYTES = 1 << 20
"""A file with a longer word than this cannot be text8."""


@dataclass(frozen=True)
class ArchiveSource:
    """The documents in the archive of a downloadable corpus.

    Parameters
    ----------
    corpus
        The settings of the corpus: the address and checksum of the archive, or a copy of it.
    folder
        Where a downloaded archive is kept.
    read
        Yields the documents of the archive at a path.
    read_settings
        The settings of `read`, as JSON values: a part of the fingerprint.
    show_download
        Called while the archive is downloaded.
    """

    corpus: DownloadedCorpus
    folder: Path
    read: Callable[[Path], Iterator[str]]
    read_settings: tuple[object, ...]
    show_download: ShowDownload

    def documents(self) -> Iterator[str]:
        """Yield the documents in the order of the archive.

        Raises
        ------
        InputError
            If the archive cannot be downloaded, or is damaged, or is another file.
        """
        path = self._archive()
        try:
            yield from self.read(path)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        except (tarfile.TarError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None

    def fingerprint(self) -> list[object]:
        """Return the SHA-256 of the archive or of the given copy, and the settings."""
        if self.corpus.path is None:
            return [self.corpus.sha256, *self.read_settings]
        return [file_sha256(self._archive()), *self.read_settings]

    def _archive(self) -> Path:
        corpus = self.corpus
        if corpus.path is not None:
            if not Path(corpus.path).is_file():
                raise InputError(
                    f"corpus.path={corpus.path}: no such file; see conf/corpus/{corpus.name}.yaml"
                )
            return Path(corpus.path)
        path = self.folder / corpus.url.rpartition("/")[2]
        try:
            download(corpus.url, corpus.sha256, path, self.show_download)
        except InputError as reason:
            raise InputError(
                f"corpus={corpus.name}: the download failed ({reason}); try again, or fetch "
                f"{corpus.url} to {path} (SHA-256 {corpus.sha256}), or give corpus.path"
            ) from None
        return path


def read_text8(path: Path, words: int) -> Iterator[str]:
    """Yield the text of text8 in documents of equal length, since it is one long line.

    Parameters
    ----------
    path
        ``text8.zip``, or the file ``text8`` in it, compressed or not.
    words
        Number of words in a document; the last one may have fewer.
    """
    document: list[str] = []
    rest, offset = b"", 0
    with open_member(path, "text8") as file:
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


def read_sst(path: Path) -> Iterator[str]:
    """Yield the sentences of the Stanford Sentiment Treebank.

    Parameters
    ----------
    path
        ``stanfordSentimentTreebank.zip``, its ``datasetSentences.txt``, or a file with one
        sentence per line.
    """
    is_table = False
    with open_member(path, "datasetSentences.txt") as file:
        for number, line in enumerate(file, start=1):
            text = decode(line, f"{path}: line {number}").strip("\r\n")
            if number == 1:
                text = text.removeprefix("\ufeff")
                is_table = text == "sentence_index\tsentence"
                if is_table:
                    continue
            sentence = text.partition("\t")[2] if is_table else text
            if sentence.strip():
                yield sentence


REVIEW = re.compile(r"(?:\./)?aclImdb/(train|test)/(pos|neg|unsup)/\d+_\d+\.txt")
LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
HTML_ENTITY = re.compile(r"&(?:#\d+|#[xX][\da-fA-F]+|\w+);")


def read_imdb(path: Path, splits: tuple[str, ...]) -> Iterator[str]:
    """Yield the reviews of the Large Movie Review Dataset as plain text, one per document.

    Parameters
    ----------
    path
        ``aclImdb_v1.tar.gz``.
    splits
        Some of ``train`` and ``test`` (25,000 labelled reviews each) and ``unsup`` (50,000
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


def open_member(path: Path, name: str) -> IO[bytes]:
    """Open the only file called `name` in a zip archive, or `path` itself if it is no archive."""
    if not zipfile.is_zipfile(path):
        return open_decompressed(str(path))
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
    """Decode UTF-8, or raise an `InputError` that names the first invalid byte.

    `where` is the file or the line for the message, and `offset` the position of `data` in it.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise InputError(
            f"{where}: byte {offset + error.start} (0x{byte:02x}) is not UTF-8"
        ) from None
