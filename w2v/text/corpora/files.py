"""The corpus of the user's own files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.limits import Limit, text
from w2v.settings import setting
from w2v.text.corpora.base import Corpus
from w2v.text.download import ShowDownload
from w2v.text.paths import OUTPUTS, find_files
from w2v.text.records import Records, files_or_records
from w2v.text.remote import open_decompressed, open_raw
from w2v.text.sources import Files, Progress, encoding_setting, errors_setting, unit_setting


def are_paths(value: Any) -> bool:
    """Return whether a value is a non-empty string, or a non-empty list of non-empty strings."""
    paths = value if isinstance(value, list) else [value]
    return bool(paths) and all(isinstance(path, str) and path for path in paths)


@dataclass(frozen=True, kw_only=True)
class FilesCorpus(Corpus):
    """Settings of a corpus made of the user's files: text, JSON, CSV, TSV or Parquet."""

    name = "files"

    path: Any = setting(
        "a path, a folder, a glob, an address, or a list of them",
        Limit("a path, a folder, a glob, or a list of them", are_paths),
    )
    unit: str = unit_setting()
    field: str | None = setting(
        "the field or column that holds the text, for JSON, CSV, TSV and Parquet; a.text is nested",
        text("the name of a field"),
        None,
    )
    encoding: str = encoding_setting()
    errors: str = errors_setting()

    def source(
        self,
        outputs: Path,
        hashes: FileHashes | None = None,
        show_download: ShowDownload = lambda *_: None,  # noqa: ARG002
        show_hashing: Progress = lambda *_: None,
    ) -> Files | Records:
        """Find the files that the settings name; return an object that yields their documents.

        The parameters are those of `Corpus.source`; `show_download` is not used.

        Raises
        ------
        InputError
            There is no file at a path, or a file cannot be read as the settings say.
        """
        paths = self.path if isinstance(self.path, list) else [self.path]
        try:
            found = find_files(paths, [outputs], OUTPUTS)
        except OSError as error:
            raise InputError(f"path={error.filename}: cannot be read ({error.strerror})") from None
        files = Files(
            *(found.paths, self.unit, open_decompressed, self.errors, open_raw),
            *(show_hashing, found, self.encoding, hashes or FileHashes()),
        )
        return files_or_records(files, self.field)
