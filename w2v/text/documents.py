"""Make a source of documents from paths, strings, or lists of tokens, as `w2v.train` takes them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from glob import has_magic
from itertools import chain
from pathlib import Path
from typing import Any

from w2v.errors import InputError
from w2v.files import local_path
from w2v.limits import text
from w2v.settings import Settings, setting
from w2v.text.blocks import Block
from w2v.text.formats import COMPRESSED, JSON, JSON_LINES, PARQUET, TABLES
from w2v.text.paths import OUTPUTS, find_files
from w2v.text.records import Records, files_or_records
from w2v.text.remote import open_decompressed, open_raw
from w2v.text.sources import (
    Border,
    Files,
    documents_to_blocks,
    encoding_setting,
    errors_setting,
    unit_setting,
)
from w2v.text.token_lists import TokenLists, shown

MAX_PATH = 4096
"""The most characters of a string that `is_path` takes for a path."""

SUFFIXES = (".txt", *JSON, *JSON_LINES, *TABLES, *PARQUET, *COMPRESSED)
"""A string that ends in one of these, and has no white space, is a path, not a text."""


@dataclass(frozen=True)
class FileSettings(Settings):
    """The settings for reading text files.

    They say what a document is, how files are encoded, what to do about invalid bytes, and which
    field or column of JSON, CSV, TSV and Parquet files holds the text.
    """

    unit: str = unit_setting()
    field: str | None = setting("the field or column that holds the text", text("a name"), None)
    encoding: str = encoding_setting()
    errors: str = errors_setting()


class Texts:
    """A source of documents that are Python strings.

    It has no checksum (`fingerprint` returns None), because computing one would use up an iterator.

    Parameters
    ----------
    texts
        An iterable of strings, one per document.
    """

    def __init__(self, texts: Iterable[Any]) -> None:
        self.texts = texts

    def documents(self) -> Iterator[str]:
        """Yield each document.

        Raises
        ------
        InputError
            A document is not a string.
        """
        for number, document in enumerate(self.texts, start=1):
            if not isinstance(document, str):
                raise InputError(
                    f"documents: document {number} is {shown(document)}; a string is needed, as "
                    "documents are all texts or all lists"
                )
            yield document

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (no document is cut)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """Yield the documents in blocks of UTF-8 text, each of many whole documents.

        Parameters
        ----------
        border
            Not used: it would say where a long document may be cut, and none is cut.
        limit
            Stop after this many documents that are not only white space; None: read all.

        Raises
        ------
        InputError
            A document is not a string, or cannot be encoded in UTF-8.
        """
        return documents_to_blocks(((text, None) for text in self.documents()), limit)

    def fingerprint(self) -> None:
        """Return None: computing a checksum would use up the documents if they are an iterator."""


def source_of(documents: Any, files: FileSettings) -> Files | Records | Texts | TokenLists:
    """Return the source that reads the documents given as paths, strings or lists of tokens.

    Parameters
    ----------
    documents
        A string or `pathlib.Path` is a path: a file, a folder, a glob pattern or a URL. A list or
        tuple is a list of paths if `is_path` is true for its first item. Everything else is an
        iterable of documents: all of them strings, or all of them iterables of tokens.
    files
        How to read files.

    Raises
    ------
    InputError
        There are no documents, or their type is wrong (only the first document of an iterable is
        checked here). There is no file at a path, or a local file cannot be read as text. A setting
        in `files` is not the default, although `documents` are not paths.
    """
    if isinstance(documents, str | Path):
        return _files([documents], files)
    if isinstance(documents, bytes | Mapping) or hasattr(documents, "columns"):
        _refuse(documents)
    if isinstance(documents, list | tuple) and documents and is_path(documents[0]):
        for one in documents:
            if not isinstance(one, str | Path):
                raise InputError(f"documents: {documents[0]} is a path and {shown(one)} is none")
        return _files(documents, files)
    changed = [one.name for one in fields(files) if getattr(files, one.name) != one.default]
    if changed:
        value = getattr(files, changed[0])
        raise InputError(f"{changed[0]}={value}: is for files; the documents are no paths")
    try:
        iterator = iter(documents)
    except TypeError:
        _refuse(documents)
    for first in iterator:
        if isinstance(first, str):
            return Texts(chain([first], iterator))
        if isinstance(first, bytes | Mapping) or not isinstance(first, Iterable):
            raise InputError(
                f"documents: the first document is {shown(first)}; strings or lists of tokens "
                "are needed"
            )
        return TokenLists(chain([first], iterator))
    raise InputError("documents: there are none; paths, strings or lists of tokens are needed")


def _refuse(documents: object) -> Any:
    raise InputError(
        f"documents={shown(documents)}: a path, a list of paths, or an iterable of strings or of "
        "lists of tokens is needed"
    )


def is_path(item: object) -> bool:
    """Return whether an item is a path, as opposed to the text of a document.

    A `pathlib.Path` is a path; other objects that are not strings are no paths. For a string, the
    first rule that applies decides:

    - An empty string, or one with a line feed or more than `MAX_PATH` characters, is not a path.
    - A URL without white space is a path.
    - A glob pattern without white space is a path only if it has a slash or a suffix, as ``*.text``
      has: ``why?`` is a word.
    - A string without white space that ends in one of `SUFFIXES`, such as ``.txt``, is a path.
    - Any other string is a path if it names an existing file or folder.
    """
    if not isinstance(item, str):
        return isinstance(item, Path)
    if not 0 < len(item) <= MAX_PATH or "\n" in item:
        return False
    if item.split() == [item]:
        if has_magic(item) or "://" in item:
            return "/" in item or Path(item).suffix != ""
        if item.lower().endswith(SUFFIXES):
            return True
    try:
        return local_path(item).exists()
    except (OSError, ValueError):  # too long a name, or a NUL byte
        return False


def _files(paths: Sequence[str | Path], settings: FileSettings) -> Files | Records:
    """Return the source that reads the files at `paths` (files, folders, glob patterns or URLs)."""
    try:
        found = find_files([str(path) for path in paths], marker=OUTPUTS)
    except InputError as error:
        text = str(paths[0])
        if len(paths) == 1 and len(text.split()) > 1:  # it was meant as the text itself
            error = InputError(f"{error}; a text goes into a list, as in [text]")
        raise error from None
    except (OSError, ValueError):
        raise InputError(
            f"path={shown(str(paths[0]))}: is no path; a text goes into a list, as in [text]"
        ) from None
    files = Files(
        found.paths,
        settings.unit,
        open_decompressed,
        settings.errors,
        open_raw,
        found=found,
        encoding=settings.encoding,
    )
    return files_or_records(files, settings.field)
