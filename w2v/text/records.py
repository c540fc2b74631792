"""Documents in one field of JSON lines or Parquet files, read as a stream."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from w2v.errors import InputError
from w2v.text.sources import (
    Block,
    Border,
    Files,
    bytes_of,
    document_texts,
    documents_to_blocks,
    size_of,
    valid_utf8,
)

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
PARQUET_ROWS = 1024
"""Number of rows that are read at a time."""


def format_suffix(path: str) -> str:
    """Return the suffix that tells the format of a file: ``.jsonl`` for ``a.jsonl.gz``."""
    name = PurePosixPath(path)
    compressed = name.suffix.lower() in (".gz", ".bz2", ".xz", ".zst")
    return (name.with_suffix("") if compressed else name).suffix.lower()


@dataclass(frozen=True)
class Records:
    """Documents in a field of records: rows of Parquet, or JSON objects, one per line.

    Files that end in ``.parquet`` or ``.pq`` are read as Parquet, all others as JSON lines.

    Parameters
    ----------
    files
        The paths, how to open them, and what to do about bytes that are not UTF-8.
    field
        The name of the field that holds the text. A null there is an empty document.
    """

    files: Files
    field: str

    def documents(self) -> Iterator[str]:
        """Yield the documents that are not blank.

        Raises
        ------
        InputError
            If a file cannot be read, a line is not a JSON object, or the field is missing or does
            not hold text.
        """
        for block in self.blocks():
            yield from (text for text in document_texts(block) if text and not text.isspace())

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (a record is never split)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """Yield all documents in blocks; see `w2v.text.sources.BlockSource`.

        Raises
        ------
        InputError
            See `documents`.
        """
        return documents_to_blocks(self._texts(), limit)

    def fingerprint(self) -> list[Any]:
        """Return the name of the field and the fingerprint of the files."""
        return [self.field, *self.files.fingerprint()]

    def _texts(self) -> Iterator[tuple[str, float | None]]:
        """Yield each document with the fraction of all bytes read so far, if known."""
        paths = self.files.paths
        total, before = size_of(paths), 0
        for path in paths:
            read = self._parquet if format_suffix(path) in PARQUET else self._json_lines
            for text, position in read(path):
                yield text, min(1.0, (before + position) / total) if total else None
            before += (size_of([path]) or 0) if total else 0

    def _json_lines(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield each document with the position in the file."""
        rest, number = b"", 0
        chunks = valid_utf8(path, bytes_of(path, self.files.open), self.files.errors)
        for chunk in chunks:
            *lines, rest = (rest + chunk.data).split(b"\n")
            for line in lines:
                number += 1
                if line.strip():
                    yield self._text_of(line, f"{path}: line {number}"), chunk.place
        if rest.strip():
            yield self._text_of(rest, f"{path}: line {number + 1}"), chunk.place

    def _text_of(self, line: bytes, where: str) -> str:
        """Return the text in a line of JSON."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not JSON ({error})") from None
        if not isinstance(record, dict):
            raise InputError(f"{where} is not a JSON object with fields")
        if self.field not in record:
            raise InputError(
                f"{where} has no field {self.field!r}; field must name one of "
                f"{', '.join(map(repr, record)) or 'its fields, and it has none'}"
            )
        text = record[self.field]
        if not isinstance(text, str | None):
            raise InputError(
                f"{where}: the field {self.field!r} holds {type(text).__name__}, not text"
            )
        return self._without_surrogates(text or "", where)

    def _without_surrogates(self, text: str, where: str) -> str:
        r"""Refuse, replace or drop unpaired surrogates, such as ``\ud83d`` in JSON stands for."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            if self.files.errors == "strict":
                raise InputError(
                    f"{where} holds half of a surrogate pair, which is no text; set "
                    "corpus.errors=replace or ignore"
                ) from None
            replacement = "" if self.files.errors == "ignore" else "\ufffd"
            return "".join(replacement if "\ud800" <= c <= "\udfff" else c for c in text)
        return text

    def _parquet(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield each document with the position in the file."""
        # pyarrow is slow to import, and few runs need it.
        import pyarrow
        import pyarrow.parquet

        try:
            with self.files.open(path) as file:
                table = pyarrow.parquet.ParquetFile(file)
                names = table.schema_arrow.names
                if self.field not in names:
                    raise InputError(
                        f"{path}: no field {self.field!r}; field must name one of "
                        f"{', '.join(map(repr, names))}"
                    )
                kind = table.schema_arrow.field(self.field).type
                if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
                    raise InputError(f"{path}: the field {self.field!r} holds {kind}, not text")
                for batch in table.iter_batches(PARQUET_ROWS, columns=[self.field]):
                    for value in batch.column(0):
                        yield value.as_py() or "", file.tell()
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; corpus.path must name text files") from None
        except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as Parquet ({error})") from None


def files_or_records(files: Files, field: str | None) -> Files | Records:
    """Return the source for files of plain text, or of records where a field is named.

    Raises
    ------
    InputError
        If no field is named and a file's suffix says that it holds records.
    """
    if field is not None:
        return Records(files, field)
    for path in files.paths:
        if format_suffix(path) in (*JSON_LINES, *PARQUET):
            raise InputError(f"{path}: its text is in a field; name it by field, as in field=text")
    return files
