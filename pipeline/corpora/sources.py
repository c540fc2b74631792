"""Make the source of documents that the corpus settings describe."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipeline.config.settings import (
    Corpus,
    DownloadedCorpus,
    FilesCorpus,
    ImdbCorpus,
    PyDocsCorpus,
    SstCorpus,
    Text8Corpus,
)
from pipeline.corpora.download import ShowDownload
from pipeline.corpora.downloadable import ArchiveSource, read_imdb, read_sst, read_text8
from pipeline.corpora.files import find_files, open_decompressed, open_raw
from w2v.text import sources
from w2v.text.records import files_or_records


def make_source(
    corpus: Corpus,
    outputs: Path,
    show_download: ShowDownload = lambda *_: None,
    show_hashing: sources.Progress = lambda *_: None,
) -> sources.Source:
    """Return the source of documents for the settings of a corpus.

    Parameters
    ----------
    outputs
        Downloads are kept in the folder ``corpora`` in it.
    show_download
        Called while an archive is downloaded, which happens when its documents are first read.
    show_hashing
        Called while the checksums of files are computed.

    Raises
    ------
    InputError
        If no file is found where the settings point, or files of records need ``corpus.field``.
    """

    def downloadable(
        corpus: DownloadedCorpus, read: Callable[[Path], Iterator[str]], *settings: object
    ) -> ArchiveSource:
        return ArchiveSource(corpus, outputs / "corpora", read, settings, show_download)

    match corpus:
        case PyDocsCorpus():
            return sources.PyDocs(tuple(corpus.packages), workers=os.cpu_count() or 1)
        case FilesCorpus():
            files = sources.Files(
                find_files(corpus.path if isinstance(corpus.path, list) else [corpus.path]),
                corpus.unit,
                open_decompressed,
                corpus.errors,
                open_raw,
                show_hashing,
            )
            return files_or_records(files, corpus.field)
        case Text8Corpus():
            words = corpus.document_words
            return downloadable(corpus, partial(read_text8, words=words), words)
        case SstCorpus():
            return downloadable(corpus, read_sst)
        case ImdbCorpus():
            splits = tuple(sorted(corpus.splits))
            return downloadable(corpus, partial(read_imdb, splits=splits), *splits)
        case _:
            raise TypeError(f"no source for {type(corpus).__name__}")
