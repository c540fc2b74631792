"""Corpora that are read from an archive: their base class, and functions for reading archives.

The archive is downloaded if need be. `ArchiveSource` yields the documents of such a corpus. It
reads the archive as a stream; nothing is extracted to disk.
"""

import lzma
import os
import tarfile
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from w2v.errors import InputError
from w2v.files import local_path
from w2v.hashes import FileHashes
from w2v.limits import matching
from w2v.settings import setting
from w2v.text.corpora.base import Corpus
from w2v.text.download import ShowDownload, download
from w2v.text.sources import Progress

DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
"""What the functions that read an archive raise if it is damaged."""

Open = Callable[[str], IO[bytes]]
"""A function that opens the file of a given name for reading its decompressed bytes."""


def open_member(path: Path, name: str, open: Open) -> IO[bytes]:
    """Open the member called `name` of a zip archive, or `path` itself if it is not a zip archive.

    The member may be in any folder of the archive. The result yields decompressed bytes. If `path`
    is not a zip archive, ``open(path)`` opens it and must decompress it.

    Raises
    ------
    InputError
        The archive holds no member or several members of this name, or the member needs a password
        or a method of compression that Python lacks.
    """
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
    """Yield the content of a file in blocks of at most one mebibyte."""
    return iter(lambda: file.read(1 << 20), b"")


def decode(data: bytes, where: str, offset: int = 0) -> str:
    """Return the text that `data` holds in UTF-8.

    Parameters
    ----------
    where
        The name of the file or archive member, for the error message.
    offset
        The position of the first byte of `data` in the file, for the error message.

    Raises
    ------
    InputError
        The bytes are not valid UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at, byte = offset + error.start, data[error.start]
        raise InputError(f"{where}: byte {at} (0x{byte:02x}) is not UTF-8") from None


@dataclass(frozen=True)
class ArchiveSource:
    """An object that yields the documents of an archive, which it downloads first if need be.

    Attributes
    ----------
    path
        The archive.
    read
        A function that takes the path and yields the documents.
    read_settings
        The settings that change what `read` yields. `fingerprint` includes them.
    hashes
        Computes the SHA-256 of the archive for `fingerprint` if `sha256` is None.
    url, sha256
        When documents are read, the archive is downloaded from this address to `path`, unless a
        file with this SHA-256 is already there. If either is None, the file at `path` is read
        unchecked.
    show_download
        Called with the progress of the download (`w2v.text.download.download`).
    """

    path: Path
    read: Callable[[Path], Iterator[str]]
    read_settings: Mapping[str, object]
    hashes: FileHashes
    url: str | None = None
    sha256: str | None = None
    show_download: ShowDownload = lambda *_: None

    def documents(self) -> Iterator[str]:
        """Download the archive if need be, and yield its documents in the order of the archive.

        Raises
        ------
        InputError
            The download fails, or the archive is damaged or not the expected one.
        """
        if self.url is not None and self.sha256 is not None:
            try:
                download(self.url, self.sha256, self.path, self.show_download)
            except InputError as reason:
                raise InputError(
                    f"{self.url}: the download failed ({reason}); try again, or save the file as "
                    f"{self.path} (SHA-256 {self.sha256})"
                ) from None
        try:
            yield from self.read(self.path)
        except DAMAGE as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from None

    def fingerprint(self) -> dict[str, object]:
        """Return a JSON-serializable dict that changes when the documents change.

        It has the SHA-256 of the archive as ``sha256``, and the settings that change how documents
        are read from it (the attribute `read_settings`).

        Raises
        ------
        InputError
            The archive must be hashed, because `sha256` is None, but cannot be read.
        """
        try:
            sha256 = self.sha256 or self.hashes.sha256([self.path])[0]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from None
        return {"sha256": sha256, **self.read_settings}


@dataclass(frozen=True, kw_only=True)
class ArchiveCorpus(Corpus):
    """Base class of the settings of a corpus that is read from an archive.

    The archive is downloaded and checked against a SHA-256, unless the setting `path` names a copy,
    which is not checked. The method `read` of a subclass yields the documents.
    """

    path: str | None = setting("a copy to read instead of downloading", default=None)
    url: str = setting(
        "address of the archive",
        matching("https?://.*[^/]", "the http:// or https:// address of a file"),
    )
    sha256: str = setting(
        "SHA-256 of the archive",
        matching("(?-i:[0-9a-f]{64})", "64 hexadecimal digits, lower-case"),
    )

    @abstractmethod
    def read(self, path: Path) -> Iterator[str]:
        """Yield the documents of the archive at `path`."""

    def read_settings(self) -> dict[str, object]:
        """Return the settings that change which documents `read` yields, in a dict.

        For text8, for example, it has the number of words per document; for a corpus without such
        settings, it is empty. The dict is part of the fingerprint by which the pipeline recognizes
        a text that it has cached.
        """
        return {}

    def source(
        self,
        outputs: Path,
        hashes: FileHashes | None = None,
        show_download: ShowDownload = lambda *_: None,
        show_hashing: Progress = lambda *_: None,  # noqa: ARG002
    ) -> ArchiveSource:
        """Return an object that downloads the archive if need be, and yields its documents.

        The parameters are those of `Corpus.source`; `show_hashing` is not called.

        Raises
        ------
        InputError
            The setting `path` names no file.
        """
        reading = self.read, self.read_settings(), hashes or FileHashes()
        if self.path is None:
            path = outputs / "corpora" / self.url.rpartition("/")[2]
            return ArchiveSource(path, *reading, self.url, self.sha256, show_download)
        path = local_path(self.path)
        if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises an error for long names)
            raise InputError(f"path={self.path}: no such file; it must be a copy of {self.url}")
        return ArchiveSource(path, *reading)
