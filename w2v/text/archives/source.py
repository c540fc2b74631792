"""The documents of an archive, which is downloaded if need be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text.archives import DAMAGE
from w2v.text.download import ShowDownload, download


@dataclass(frozen=True)
class ArchiveSource:
    """A source of documents that reads an archive.

    Attributes
    ----------
    path
        The archive.
    read
        Takes the path and yields the documents.
    read_settings
        The arguments of `read` that change the documents.
    hashes
        Computes the SHA-256 of an archive without an address.
    url, sha256
        Where the archive is downloaded from when its documents are first read, and its SHA-256;
        None if it is at `path` already.
    show_download
        Called with the progress of the download.
    """

    path: Path
    read: Callable[[Path], Iterator[str]]
    read_settings: Mapping[str, object]
    hashes: FileHashes
    url: str | None = None
    sha256: str | None = None
    show_download: ShowDownload = lambda *_: None

    def documents(self) -> Iterator[str]:
        """Yield the documents in the order of the archive.

        Raises `InputError` if the download fails or the archive is damaged.
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
        """Return what identifies the documents: the archive's SHA-256 and `read_settings`."""
        return {"sha256": self.sha256 or self.hashes.sha256([self.path])[0], **self.read_settings}
