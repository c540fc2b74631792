"""The base class of the settings of a corpus."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from w2v.hashes import FileHashes
from w2v.limits import at_least
from w2v.settings import Settings, setting
from w2v.text.download import ShowDownload
from w2v.text.sources import Progress, Source


@dataclass(frozen=True)
class Corpus(Settings, ABC):
    """Base class of the settings of a corpus, with the settings that all corpora have.

    Attributes
    ----------
    name
        The name of the corpus, as in ``corpus=text8``.
    """

    name: ClassVar[str]

    limit: int | None = setting("read at most this many documents", at_least(1), None)
    probes: list[str] | None = setting(
        "words whose neighbours are listed; null: words chosen from the vocabulary", default=None
    )

    @abstractmethod
    def source(
        self,
        outputs: Path,
        hashes: FileHashes | None = None,
        show_download: ShowDownload = lambda *_: None,
        show_hashing: Progress = lambda *_: None,
    ) -> Source:
        """Return an object that yields the documents of the corpus.

        Parameters
        ----------
        outputs
            The folder of all outputs. Archives are downloaded to its subfolder ``corpora`` when
            they are first read. If the text is in a folder that contains `outputs`, the files in
            `outputs` are not read as text.
        hashes
            Computes the SHA-256 of local files; None: a new `FileHashes`.
        show_download, show_hashing
            Called with the progress of downloading, and of computing the SHA-256 of files.

        Raises
        ------
        InputError
            A file that the settings name does not exist, or its text cannot be read.
        """

    @property
    def origin(self) -> str | list[str]:
        """Where the text is from: paths, a URL or names of packages; if none, the corpus's name."""
        places = (getattr(self, key, None) for key in ("path", "url", "packages"))
        return next((place for place in places if place is not None), self.name)
