"""A corpus whose archive is downloaded when its documents are first read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.settings import DownloadedCorpus
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text.archives import DAMAGE
from w2v.text.download import ShowDownload, download


@dataclass(frozen=True)
class ArchiveSource:
    """The documents of a corpus archive, which is downloaded or read from ``corpus.path``."""

    corpus: DownloadedCorpus
    folder: Path  # of downloaded archives
    read: Callable[[Path], Iterator[str]]  # yields the documents of an archive
    read_settings: Mapping[str, object]  # arguments of `read` that change the documents
    show_download: ShowDownload
    hashes: FileHashes

    def __post_init__(self) -> None:
        path, name = self.corpus.path, self.corpus.name
        if path is not None and not Path(path).is_file():
            raise InputError(f"corpus.path={path}: no such file; see conf/corpus/{name}.yaml")

    def documents(self) -> Iterator[str]:
        """Yield the documents in the order of the archive; raise `InputError` if it is damaged."""
        path = self._archive()
        try:
            yield from self.read(path)
        except DAMAGE as error:
            raise InputError(f"{path}: cannot be read ({error})") from None

    def fingerprint(self) -> dict[str, object]:
        """Return what identifies the documents: the archive's SHA-256 and `read_settings`."""
        given = self.corpus.path is not None
        sha256 = self.hashes.sha256([self._archive()])[0] if given else self.corpus.sha256
        return {"sha256": sha256, **self.read_settings}

    def _archive(self) -> Path:
        corpus = self.corpus
        if corpus.path is not None:
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
