"""Documents in a named field of JSON lines or Parquet, read as a stream."""

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
    packed,
    size_of,
    valid_utf8,
)

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
ROWS = 1024
"""Of Parquet, read at a time."""


def kind_of(path: str) -> str:
    """The suffix that tells what a file holds, whatever packs it."""
    name = PurePosixPath(path)
    packings = (".gz", ".bz2", ".xz", ".zst")
    return (name.with_suffix("") if name.suffix.lower() in packings else name).suffix.lower()


@dataclass(frozen=True)
class Records:
    """Rows of Parquet files, by their suffix, and lines of all others, which are JSON objects.

    Parameters
    ----------
    files
        The paths, how they are opened, and what is done about bytes that are not UTF-8.
    field
        The name of the field that holds the text. Null there is an empty document.
    """

    files: Files
    field: str

    def documents(self) -> Iterator[str]:
        """Yield the documents.

        Raises
        ------
        InputError
            A file that cannot be read; a line that is not a JSON object; no such field, or one
            that does not hold text.
        """
        for block in self.blocks():
            yield from (text for text in document_texts(block) if text and not text.isspace())

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (a record is whole in memory anyhow)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """See `w2v.text.sources.BlockSource`.

        Raises
        ------
        InputError
            See `documents`.
        """
        return packed(self._texts(), limit)

    def fingerprint(self) -> list[Any]:
        """The field, and what the files' own says."""
        return [self.field, *self.files.fingerprint()]

    def _texts(self) -> Iterator[tuple[str, float | None]]:
        paths = self.files.paths
        total, before = size_of(paths), 0
        for path in paths:
            read = self._parquet if kind_of(path) in PARQUET else self._json_lines
            for text, place in read(path):
                yield text, min(1.0, (before + place) / total) if total else None
            before += (size_of([path]) or 0) if total else 0

    def _json_lines(self, path: str) -> Iterator[tuple[str, int]]:
        rest, number = b"", 0
        chunks = valid_utf8(path, bytes_of(path, self.files.open), self.files.errors)
        for chunk in chunks:
            *lines, rest = (rest + chunk.data).split(b"\n")
            for line in lines:
                number += 1
                if line.strip():
                    yield self._text(path, number, line), chunk.place
        if rest.strip():
            yield self._text(path, number + 1, rest), chunk.place

    def _text(self, path: str, number: int, line: bytes) -> str:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: line {number} is not JSON ({error})") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}: line {number} is not a JSON object with fields")
        if self.field not in record:
            raise InputError(
                f"{path}: line {number} has no field {self.field!r}; corpus.field must name one of "
                f"{', '.join(map(repr, record)) or 'its fields, and it has none'}"
            )
        text = record[self.field]
        if not isinstance(text, str | None):
            raise InputError(
                f"{path}: line {number}: the field {self.field!r} holds "
                f"{type(text).__name__}, not text"
            )
        return self._encodable(path, number, text or "")

    def _encodable(self, path: str, number: int, text: str) -> str:
        """The text without halves of surrogate pairs, which an escape in JSON can stand for."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            if self.files.errors == "strict":
                raise InputError(
                    f"{path}: line {number} holds half of a surrogate pair, which is no text; set "
                    "corpus.errors=replace or ignore"
                ) from None
            kept = text.encode("utf-8", "surrogatepass").decode("utf-8", "ignore")
            return kept if self.files.errors == "ignore" else replaced_surrogates(text)
        return text

    def _parquet(self, path: str) -> Iterator[tuple[str, int]]:
        # Imported late: few runs need it.
        import pyarrow
        import pyarrow.parquet

        try:
            with self.files.open(path) as file:
                table = pyarrow.parquet.ParquetFile(file)
                names = table.schema_arrow.names
                if self.field not in names:
                    raise InputError(
                        f"{path}: no field {self.field!r}; corpus.field must name one of "
                        f"{', '.join(map(repr, names))}"
                    )
                kind = table.schema_arrow.field(self.field).type
                if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
                    raise InputError(f"{path}: the field {self.field!r} holds {kind}, not text")
                for batch in table.iter_batches(ROWS, columns=[self.field]):
                    for value in batch.column(0):
                        yield value.as_py() or "", file.tell()
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; corpus.path must name text files") from None
        except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as Parquet ({error})") from None


def replaced_surrogates(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    return "".join(
        "\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text
    )


def records_or_files(files: Files, field: str | None) -> Records | Files:
    """The source for files with or without a named field.

    Raises
    ------
    InputError
        No field for files that are known to have some.
    """
    if field is not None:
        return Records(files, field)
    for path in files.paths:
        if kind_of(path) in (*JSON_LINES, *PARQUET):
            raise InputError(
                f"{path}: its text is in a field; name it by corpus.field, as in corpus.field=text"
            )
    return files
