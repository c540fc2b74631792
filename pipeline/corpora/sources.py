"""Create the source of documents that the settings ``corpus.*`` describe."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipeline.config import settings
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.text import sources
from w2v.text.archives.imdb import read_imdb
from w2v.text.archives.source import ArchiveSource
from w2v.text.archives.sst import read_sst
from w2v.text.archives.text8 import read_text8
from w2v.text.download import ShowDownload
from w2v.text.paths import find_files
from w2v.text.records import files_or_records
from w2v.text.remote import open_decompressed, open_raw


def make_source(
    corpus: settings.Corpus,
    outputs: Path,
    show_download: ShowDownload = lambda *_: None,
    show_hashing: sources.Progress = lambda *_: None,
    hashes: FileHashes | None = None,
) -> sources.Source:
    """Return the source of documents for the settings of a corpus.

    Archives are downloaded to the folder ``corpora`` in `outputs` when they are first read.
    `show_download` and `show_hashing` are called with the progress. `hashes` computes the SHA-256
    of files.
    """
    hashes = hashes or FileHashes()

    def archive(read: Callable[[Path], Iterator[str]], **of_read: object) -> ArchiveSource:
        assert isinstance(corpus, settings.DownloadedCorpus)
        if corpus.path is None:
            path = outputs / "corpora" / corpus.url.rpartition("/")[2]
            download = (corpus.url, corpus.sha256, show_download)
            return ArchiveSource(path, read, of_read, hashes, *download)
        if not Path(corpus.path).is_file():
            where = f"see conf/corpus/{corpus.name}.yaml"
            raise InputError(f"corpus.path={corpus.path}: no such file; {where}")
        return ArchiveSource(Path(corpus.path), read, of_read, hashes)

    match corpus:
        case settings.PyDocsCorpus():
            return sources.PyDocs(tuple(corpus.packages), workers=os.cpu_count() or 1)
        case settings.FilesCorpus():
            try:
                paths = corpus.path if isinstance(corpus.path, list) else [corpus.path]
                found = find_files(paths, [outputs], "cache/tokenize")
            except InputError as error:
                raise InputError(f"corpus.{error}") from None
            files = sources.Files(
                *(found.paths, corpus.unit, open_decompressed, corpus.errors, open_raw),
                *(show_hashing, found, corpus.encoding, hashes),
            )
            return files_or_records(files, corpus.field)
        case settings.Text8Corpus():
            words = corpus.document_words
            return archive(
                partial(read_text8, words=words, open=open_decompressed), document_words=words
            )
        case settings.SstCorpus():
            return archive(partial(read_sst, open=open_decompressed))
        case settings.ImdbCorpus():
            splits = tuple(sorted(corpus.splits))
            return archive(partial(read_imdb, splits=splits), splits=[*splits])
        case _:
            raise TypeError(f"no source for {type(corpus).__name__}")
