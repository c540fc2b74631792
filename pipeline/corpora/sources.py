"""From the settings of a corpus to its source of documents."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from pipeline.config.schema import (
    Corpus,
    FilesCorpus,
    ImdbCorpus,
    NamedCorpus,
    PyDocsCorpus,
    SstCorpus,
    Text8Corpus,
)
from pipeline.corpora import archives as named
from pipeline.corpora.download import Received
from pipeline.corpora.records import records_or_files
from w2v.errors import InputError
from w2v.text import sources


def make_source(
    corpus: Corpus,
    outputs: Path,
    received: Callable[[Received], None] = lambda _: None,
    hashed: sources.Progress = lambda *_: None,
) -> sources.Source:
    """The source that the settings describe.

    Parameters
    ----------
    outputs
        Downloads are kept in its folder ``corpora``.
    received
        Told of a download, which begins when documents are wanted.
    hashed
        Told how far files have been read for their checksums.

    Raises
    ------
    InputError
        Nothing is found where the settings point.
    """
    match corpus:
        case PyDocsCorpus():
            return sources.PyDocs(tuple(corpus.packages), workers=os.cpu_count() or 1)
        case FilesCorpus():
            paths = expand(corpus.path if isinstance(corpus.path, list) else [corpus.path])
            files = sources.Files(
                paths,
                cast(Any, corpus.unit),
                open_any,
                cast(Any, corpus.errors),
                open_stored,
                hashed,
            )
            return records_or_files(files, corpus.field)
        case Text8Corpus():
            read = partial(named.text8, words=corpus.document_words, open=open_any)
            return named_source("text8", corpus, outputs, read, (corpus.document_words,), received)
        case SstCorpus():
            return named_source(
                "sst", corpus, outputs, partial(named.sst, open=open_any), (), received
            )
        case ImdbCorpus():
            splits = tuple(sorted(corpus.splits))
            read = partial(named.imdb, splits=splits)
            return named_source("imdb", corpus, outputs, read, splits, received)
        case _:
            raise TypeError(f"no source for {type(corpus).__name__}")


def named_source(
    name: str,
    corpus: NamedCorpus,
    outputs: Path,
    read: Callable[[Path], Iterator[str]],
    settings: tuple[object, ...],
    received: Callable[[Received], None],
) -> named.Named:
    """The source of a corpus that has a name."""
    folder = outputs / "corpora"
    return named.Named(
        name, corpus.path, corpus.url, corpus.sha256, folder, read, settings, received
    )


def expand(paths: Sequence[str]) -> list[str]:
    """The files that paths, folders, globs and addresses stand for, in a fixed order.

    Raises
    ------
    InputError
        One of them stands for no file.
    """
    files: list[str] = []
    for path in paths:
        if "://" in path or Path(path).is_file():
            found = [path]
        elif Path(path).is_dir():
            found = sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
        else:
            matches = glob.glob(path, recursive=True)  # noqa: PTH207 (it takes absolute patterns)
            found = sorted(name for name in matches if Path(name).is_file())
        if not found:
            raise InputError(
                f"corpus.path={path}: no such file; give a path, a folder, a glob or a list"
            )
        files += found
    return files


def open_any(path: str) -> IO[bytes]:
    """Open a file for reading bytes, unpacked: local, or of a kind that smart_open knows."""
    if "://" not in path and not path.endswith(".zst"):
        return sources.open_unpacked(path)
    file = open_stored(path)
    from smart_open.compression import compression_wrapper

    unpacked = compression_wrapper(file, "rb", filename=urlsplit(path).path)
    return file if unpacked is file else cast(IO[bytes], sources.Unpacked(file, unpacked))


def open_stored(path: str) -> IO[bytes]:
    """Open a file for reading its bytes as they lie: local, or of a kind that smart_open knows."""
    if "://" not in path:
        return sources.open_raw(path)
    from smart_open import open as smart_open

    try:
        file: IO[bytes] = smart_open(path, "rb", compression="disable")
    # A scheme whose library is not installed, that smart_open does not know, or a bad address.
    except (ImportError, NotImplementedError, ValueError) as error:
        raise InputError(f"corpus.path={path}: cannot be opened ({error})") from None
    return file
