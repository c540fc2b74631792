"""A source of documents that are one field of each record in JSON, CSV, TSV or Parquet files."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from w2v.compression import UNPACK_ERRORS, Decompressed
from w2v.errors import InputError
from w2v.files import is_number
from w2v.text.blocks import Block
from w2v.text.formats import RecordFormat, delimiter_of, format_suffix, record_format
from w2v.text.sources import (
    Border,
    Files,
    ValidText,
    document_texts,
    documents_to_blocks,
    position_in,
    size_of,
)

PARQUET_ROWS = 1024
"""How many rows of a Parquet file are read at a time."""
MAX_CELL = 1 << 26
"""The most characters in a cell of a table. A longer cell suggests that a quote is not closed."""
MAX_NAMES = 20
"""How many names of fields an error message lists at most."""


@dataclass(frozen=True)
class Records:
    """A source of documents in one field of records: table rows, Parquet rows or JSON objects.

    The format of each file is detected. A file of unknown format is read as a table.

    Parameters
    ----------
    files
        The paths of the files, and how to open and decode them.
    field
        The name of the field with a text or a list of tokens. In JSON and Parquet, ``a.text`` is
        the field ``text`` of the object in field ``a``; in JSON, ``.`` is the record itself. In a
        table without a header, it is the number of the column, from 1. A null is an empty document.
    """

    files: Files
    field: str

    def documents(self) -> Iterator[str]:
        """Yield the text of each record as a document; leave out texts of only white space.

        The attribute `field` names the field or column of a record that holds the text.

        Raises
        ------
        InputError
            A file cannot be read, a record is malformed, or the field that holds the text of a
            document (the attribute `field`) is missing or does not hold text.
        """
        for block in self.blocks():
            yield from (text for text in document_texts(block) if text and not text.isspace())

    def blocks(
        self,
        border: Border | None = None,  # noqa: ARG002 (a record is never split)
        limit: int | None = None,
    ) -> Iterator[Block]:
        """Yield all documents, also blank ones, in blocks of UTF-8 text; no document is cut.

        Parameters
        ----------
        border
            Not used: it would say where a long document may be cut.
        limit
            Stop after this many documents that are not only white space; None: read all.

        Raises
        ------
        InputError
            A file cannot be read, a record is malformed, or the field that holds the text of a
            document (the attribute `field`) is missing or does not hold text.
        """
        return documents_to_blocks(self._texts(), limit)

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-serializable dict that changes when the documents change.

        It holds the name of the field with the text, the suffixes of the files' names, and the
        items of `Files.fingerprint`: how the files are read, and the SHA-256 of each.

        Raises
        ------
        InputError
            A file cannot be read.
        """
        suffixes = [*map(format_suffix, self.files.paths)]
        return {"field": self.field, "suffixes": suffixes, **self.files.fingerprint()}

    def check(self) -> None:
        """Read the first record of each local file, to find errors before the work starts.

        Raises
        ------
        InputError
            A file cannot be read, a record is malformed, or the field that holds the text of a
            document (the attribute `field`) is missing or does not hold text.
        """
        for path in self.files.paths:
            if Path(path).is_file():
                next(self._read(path), None)

    def _texts(self) -> Iterator[tuple[str, float | None]]:
        """Yield each document, and the fraction of the files' bytes read so far (None: unknown)."""
        paths = self.files.paths
        total, before = size_of(paths), 0
        for path in paths:
            for text, position in self._read(path):
                yield text, min(1.0, (before + position) / total) if total else None
            before += (size_of([path]) or 0) if total else 0

    def _read(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield each document of a file, and how many bytes of the file have been read so far.

        The number is for showing progress. If the file is compressed, it counts compressed bytes.
        """
        if record_format(path, b"") is RecordFormat.PARQUET:
            yield from self._parquet(path)
            return
        texts = self.files.read(path)
        first = list(islice(texts, 1))
        form = record_format(path, first[0].data if first else b"")
        readers = {
            RecordFormat.JSON: self._json_document,
            RecordFormat.JSON_LINES: self._json_lines,
        }
        yield from readers.get(form or RecordFormat.TABLE, self._table)(path, chain(first, texts))

    def _json_lines(self, path: str, texts: Iterable[ValidText]) -> Iterator[tuple[str, int]]:
        for number, (line, place) in enumerate(lines_of(texts), start=1):
            where = f"{path}: line {number}"
            if line.strip():
                try:
                    record = json.loads(line.rstrip(b"\n"))
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{where} is not JSON ({error})") from None
                yield self._text_of(record, where), place

    def _json_document(self, path: str, texts: Iterable[ValidText]) -> Iterator[tuple[str, int]]:
        for number, (record, place) in enumerate(json_values(path, texts), start=1):
            yield self._text_of(record, f"{path}: record {number}"), place

    def _text_of(self, record: Any, where: str) -> str:
        """Return the text that a record holds in the field called `self.field`.

        A list of tokens is joined by spaces. A null becomes an empty text. `where` names the record
        in error messages.

        Raises
        ------
        InputError
            The record is not an object or lacks the field; the field holds neither text, a list of
            tokens nor null; or the text has an unpaired surrogate, and the setting `errors` is
            ``"strict"``.
        """
        try:
            value = field_of(record, self.field)
        except KeyError:
            names = list(field_names(record))
            raise InputError(
                f"{where} has no field {self.field!r}; field must name one of "
                f"{listed(names) or 'its fields, and it has none'}"
            ) from None
        except TypeError:
            raise InputError(f"{where} is not a JSON object with fields") from None
        if isinstance(value, list) and all(isinstance(token, str | None) for token in value):
            value = " ".join(token for token in value if token)
        if not isinstance(value, str | None):
            kind = "other than tokens" if isinstance(value, list) else "not text"
            raise InputError(
                f"{where}: the field {self.field!r} holds {type(value).__name__}, {kind}"
            )
        return self._without_surrogates(value or "", where)

    def _without_surrogates(self, text: str, where: str) -> str:
        r"""Return `text` without unpaired surrogates, such as the escape ``\ud83d`` in JSON.

        The setting `errors` says what is done about them: ``strict`` raises an `InputError`,
        ``replace`` puts U+FFFD in their place, ``ignore`` leaves them out. `where` names the record
        in the error message.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            if self.files.errors == "strict":
                raise InputError(
                    f"{where} holds half of a surrogate pair, which is no text; set "
                    "errors=replace or errors=ignore"
                ) from None
            replacement = "" if self.files.errors == "ignore" else "\ufffd"
            return "".join(replacement if "\ud800" <= c <= "\udfff" else c for c in text)
        return text

    def _table(self, path: str, texts: Iterable[ValidText]) -> Iterator[tuple[str, int]]:
        """Yield each cell of the column with the text in a CSV or TSV file, except the header.

        With each cell comes the number of bytes of the file, as stored, that are read so far.

        Parameters
        ----------
        path
            The name of the file, for messages; its suffix can show that it is TSV.
        texts
            The parts of the text of the file.
        """
        lines = lines_of(texts)
        first = next(((line, place) for line, place in lines if line.strip()), None)
        if first is None:
            return
        place = first[1]

        def decoded() -> Iterator[str]:
            nonlocal place
            for line, place in chain([first], lines):  # noqa: B007 (it is for the reader below)
                yield line.decode("utf-8")

        name = "" if self.field.isdecimal() else self.field
        csv.field_size_limit(MAX_CELL)
        try:
            delimiter = delimiter_of(path, first[0].decode("utf-8"), name)
            rows = rows_of(decoded(), delimiter)
            first_rows = list(islice(rows, HEADER_ROWS))
            column, has_header = self._column(path, first_rows)
            after = " after the header" * has_header
            width = len(first_rows[0])
            for number, row in enumerate(chain(first_rows[has_header:], rows), start=1):
                if len(row) != width:
                    raise InputError(
                        f"{path}: row {number}{after} has {len(row)} columns, not {width}; "
                        f"a cell that holds {delimiter!r} must stand in quotes"
                    )
                yield row[column], place
        except csv.Error as error:
            # Python's versions describe this in different words, which are about its own functions.
            lone = "a line ends in a carriage return alone" if "new-line" in str(error) else error
            raise InputError(f"{path}: cannot be read as a table ({lone})") from None

    def _column(self, path: str, rows: list[list[str]]) -> tuple[int, bool]:
        """Return the index of the column with the text, and whether the first row is a header.

        The attribute `field` is the name of the column, or its number if there is no header.

        Parameters
        ----------
        path
            The name of the file, for messages.
        rows
            The first rows of the table.

        Raises
        ------
        InputError
            No column or several columns have this name; or `field` is a number, but the table has a
            header.
        """
        first = rows[0]
        # A number is never a name: in a table without a header, any cell may hold that number.
        if re.fullmatch("[0-9]{1,9}", self.field) and 0 < int(self.field) <= len(first):
            column = int(self.field) - 1
            if is_header(first, rows[1:], column):
                raise InputError(
                    f"{path}: its first row is a header, {listed(first)}; name the column, as in "
                    f"field={first[column]} (if it is a document, write a header above it)"
                )
            return column, False
        if self.field not in first:
            raise InputError(
                f"{path}: no column {self.field!r}; field must name one of {listed(first)}, "
                "or give the number of a column if there is no header"
            )
        if first.count(self.field) > 1:
            raise InputError(
                f"{path}: {first.count(self.field)} columns are called {self.field!r}; rename the "
                "others"
            )
        return first.index(self.field), True

    def _parquet(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield each document of a Parquet file, and how many bytes of the file are read so far.

        The number is for showing progress. If the file is compressed, it counts compressed bytes.
        """
        # pyarrow is slow to import, and few runs need it.
        import pyarrow
        import pyarrow.parquet

        try:
            with self.files.open(path) as file:
                table = pyarrow.parquet.ParquetFile(seekable(file))
                names = list(parquet_names(table.schema_arrow))
                root = self.field
                while root not in table.schema_arrow.names and "." in root:
                    root = root.rpartition(".")[0]
                if table.schema_arrow.names.count(root) > 1:
                    raise InputError(f"{path}: several columns are called {root!r}; rename them")
                if self.field not in dict(names):
                    shown = listed([name for name, _ in names])
                    raise InputError(
                        f"{path}: no field {self.field!r}; field must name one of {shown}"
                    )
                kind = dict(names)[self.field]
                if not holds_text(kind):
                    raise InputError(f"{path}: the field {self.field!r} holds {kind}, not text")
                for batch in table.iter_batches(PARQUET_ROWS, columns=[root]):
                    for record in batch.to_pylist():
                        yield self._text_of(record, path), position_in(file)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (*UNPACK_ERRORS, UnicodeDecodeError, pyarrow.ArrowException) as error:
            raise InputError(f"{path}: cannot be read as Parquet ({error})") from None


def files_of(source: object) -> Files | None:
    """Return the `Files` through which a source of documents reads files; None if it has none.

    The result is `source` itself if it is `Files`, or its attribute `files` if it is `Records`.
    """
    files = source.files if isinstance(source, Records) else source
    return files if isinstance(files, Files) else None


def files_or_records(files: Files, field: str | None) -> Files | Records:
    """Return the source that reads files: `Records` if `field` is given, or else `files` itself.

    The beginning of local files is read to find errors before the work starts. `field` is the name
    of the field or column that holds the text; None for plain text.

    Raises
    ------
    InputError
        A file cannot be read or is not text; a file holds records (JSON, CSV, TSV or Parquet)
        although `field` is None; the first record of a file is malformed, or its field is missing
        or does not hold text; or `field` is given and ``files.unit`` is not ``line``.
    """
    if field is not None:
        if files.unit != "line":
            files.refuse("unit", "line where a field is named: each record is a document")
        records = Records(files, field)
        records.check()
        return records
    for path in files.paths:
        if record_format(path, b"") is not None:
            raise _needs_field(path, names_in(files, path))
    for path, head in files.heads():
        text = head.decode(files.encoding, "ignore").lstrip("\ufeff").encode("utf-8", "ignore")
        names = names_in(files, path) if record_format(path, text) is not None else []
        if names:
            raise _needs_field(path, names)
    return files


def _needs_field(path: str, names: list[str]) -> InputError:
    line = f"{path}: its text is in a field; name it by field, as in field=text"
    return InputError(line + (f"; the fields are {listed(names)}" if names else ""))


# Fields


def field_of(record: Any, name: str) -> Any:
    """Return the value of a field of a JSON object, or of an object nested in it.

    The name ``a.text`` means the field of this name or, if there is none, the field ``text`` of the
    object in the field ``a``. ``.`` means the record itself. The result is None if the record is
    null or, for ``a.text``, if ``a`` is null.

    Raises
    ------
    KeyError
        There is no such field, or ``a`` holds neither an object nor null.
    TypeError
        The record is neither an object nor null, and the name is not ``.``.
    """
    if name == ".":
        return record
    if record is None:
        return None
    if not isinstance(record, dict):
        raise TypeError(name)
    if name in record:
        return record[name]
    root, dot, rest = name.partition(".")
    while dot and root not in record:
        more, dot, rest = rest.partition(".")
        root = f"{root}.{more}"
    if not dot or not isinstance(record[root], dict | None):
        raise KeyError(name)
    return field_of(record[root], rest)


def field_names(record: Any) -> Iterator[str]:
    """Yield the field names of a JSON object; nothing for any other JSON value.

    The fields of a nested object are called ``outer.inner``; ``outer`` itself is yielded only if
    its object is empty.
    """
    for name, value in record.items() if isinstance(record, dict) else ():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inner}" for inner in field_names(value))
        else:
            yield str(name)


def listed(names: list[str]) -> str:
    """Return the first `MAX_NAMES` names in quotes, and the number of others, for a message.

    Each name is cut to 40 characters. If there are no others, their number is left out.
    """
    shown = [repr(name if len(name) <= 40 else f"{name[:40]}…") for name in names[:MAX_NAMES]]
    return ", ".join(shown) + (f" and {len(names) - MAX_NAMES} more" * (len(names) > MAX_NAMES))


def names_in(files: Files, path: str) -> list[str]:
    """Return the names of the fields or columns of a local file of records.

    For Parquet, they are those of the schema, for JSON those of the first record, and for a table
    the cells of the first row. The list is empty if the names cannot be read.
    """
    if not Path(path).is_file():
        return []
    with suppress(InputError, csv.Error, ValueError, StopIteration, RecursionError):
        form = record_format(path, b"")
        if form is RecordFormat.PARQUET:
            import pyarrow.parquet

            with suppress(*UNPACK_ERRORS, pyarrow.ArrowException), files.open(path) as file:
                schema = pyarrow.parquet.read_schema(seekable(file))
                return [name for name, _ in parquet_names(schema)]
            return []
        text = next(files.read(path)).data.decode("utf-8").lstrip()
        if form is RecordFormat.TABLE:
            line = text.partition("\n")[0]
            return next(rows_of(iter([line]), delimiter_of(path, line, "")))
        text = text.removeprefix("[").lstrip()
        return list(field_names(json.JSONDecoder().raw_decode(text)[0]))
    return []


# The content of files


def lines_of(texts: Iterable[ValidText]) -> Iterator[tuple[bytes, int]]:
    """Yield each line of a file, with the number of bytes of the file that have been read so far.

    A line is UTF-8 and includes its line feed, which the last line may lack. The number counts
    bytes of the file as stored (for example, compressed), not bytes of the yielded lines.

    Parameters
    ----------
    texts
        The text of the file in consecutive parts. Each has a piece of the text (`ValidText.data`),
        and the number of bytes that had been read when this piece was complete (`ValidText.place`).
    """
    rest, place = b"", 0
    for text in texts:
        place = text.place
        *lines, rest = (rest + text.data).split(b"\n")
        yield from ((line + b"\n", place) for line in lines)
    if rest:
        yield rest, place


GAP = re.compile(r"[\s,]*")
"""White space and commas between JSON values."""


def json_values(path: str, texts: Iterable[ValidText]) -> Iterator[tuple[Any, int]]:
    """Yield each item of a JSON array, or each of several JSON values that follow one another.

    With each comes the number of bytes of the file, as stored, that have been read so far.

    Parameters
    ----------
    path
        The name of the file, for messages.
    texts
        The parts of the text of the file.

    Raises
    ------
    InputError
        A value is not JSON, or an array is not closed or is followed by more text.
    """
    decoder = json.JSONDecoder()
    buffer, at, end, enough, number = "", 0, 0, 0, 0
    started = array = closed = False
    for text, place in chain(((t.data.decode("utf-8"), t.place) for t in texts), [("", -1)]):
        last = place < 0
        end = end if last else place
        buffer, at = buffer[at:] + text, 0
        if not started and buffer.strip():
            buffer, started = buffer.lstrip(), True
            array = buffer.startswith("[")
            at = int(array)
        if len(buffer) < enough and not last:
            continue  # a long value is not tried again for each part of it
        enough = 0
        while (at := GAP.match(buffer, at).end()) < len(buffer):  # type: ignore[union-attr]
            if closed:
                raise InputError(
                    f"{path}: text follows the end of the array; a file holds one array, or "
                    "one object per line"
                )
            if array and buffer[at] == "]":
                closed, at = True, at + 1
                continue
            try:
                value, at = decoder.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                reason = str(error)
                cut = "Unterminated" in reason or getattr(error, "pos", 0) > len(buffer) - 100
                if cut and not last:
                    enough = 2 * (len(buffer) - at)
                    break
                reason = reason.partition(": line")[0]
                raise InputError(f"{path}: record {number + 1} is not JSON ({reason})") from None
            number += 1
            yield value, end
    if array and not closed:
        raise InputError(f"{path}: the array is not closed; the file may be cut")


TEXT_COLUMNS = frozenset(
    (
        *("abstract", "body", "comment", "content", "description", "document", "headline"),
        *("message", "question", "review", "sentence", "summary", "text", "title", "tweet"),
    )
)
"""Usual names of columns that hold text; `is_header` also accepts them with an s at the end."""

OTHER_COLUMNS = frozenset(("author", "category", "date", "id", "label", "rating", "score", "url"))
"""Usual names of columns that do not hold text."""

HEADER_ROWS = 20
"""How many rows, the first included, are read to find out whether the first is a header."""


def is_header(first: list[str], rows: list[list[str]], column: int) -> bool:
    """Return whether the first row of a table is clearly a header.

    It is a header if any of these is true:

    - its cell in the column with the text is a usual name of such a column, such as "review";
    - another of its cells is a usual name of a column without text, such as "label"; or
    - another column has a name in the first row, and numbers in all of `rows`, the next rows.

    The last rule needs at least two `rows`, all with as many cells as the first row.
    `column` is the index of the column with the text.
    """
    names = [name.strip().casefold() for name in first]
    if names.pop(column).removesuffix("s") in TEXT_COLUMNS or not OTHER_COLUMNS.isdisjoint(names):
        return True
    if len(rows) < 2 or any(len(row) != len(first) for row in rows):
        return False
    columns = [[cell.strip() for cell in cells] for cells in zip(first, *rows, strict=True)]
    del columns[column]
    return any(
        name and not is_number(name) and all(map(is_number, cells)) for name, *cells in columns
    )


def rows_of(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    """Parse the lines of a table, and yield each row as a list of cells; skip rows of empty cells.

    If the delimiter is a tab, quotes are ordinary characters.

    Raises
    ------
    csv.Error
        The lines are not valid CSV, or a cell is longer than `csv.field_size_limit` allows.
    """
    if delimiter == "\t":
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    return (row for row in reader if any(row))


def seekable(file: IO[bytes]) -> IO[bytes]:
    """Return a file in which pyarrow can seek: `file` itself, or a copy in memory.

    `file` is copied in two cases: it is decompressed while it is read, or it comes from a server
    that sends only whole files.
    """
    if not isinstance(file, Decompressed):
        try:
            file.seek(file.seek(0, io.SEEK_END) // 2)
        except io.UnsupportedOperation:
            file.seek(0)
        else:
            file.seek(0)
            return file
    return io.BytesIO(file.read())


def parquet_names(fields: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and type of each Arrow field, and then of the fields nested in it.

    A nested field is called ``outer.inner``.
    """
    import pyarrow

    for field in fields:
        yield field.name, field.type
        if pyarrow.types.is_struct(field.type):
            inner = (field.type.field(number) for number in range(field.type.num_fields))
            yield from ((f"{field.name}.{name}", kind) for name, kind in parquet_names(inner))


def holds_text(kind: Any) -> bool:
    """Return whether values of an Arrow type are text or nulls, or lists of text or nulls.

    Lists must not be nested. Dictionary-encoded text is text, too.
    """
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    strings = types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view"
    return bool(strings or types.is_null(kind))
