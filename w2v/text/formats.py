"""Detect the format of a file: JSON, CSV, TSV or Parquet, or something that is not text.

Files of records (tables, JSON and Parquet) are detected by the suffix of the name, JSON also by the
first bytes. Archives, images, office documents and unexpected encodings are detected by the first
bytes, and an `InputError` says what the file is.
"""

import codecs
import csv
import json
import tarfile
from enum import Enum
from pathlib import PurePosixPath

from w2v.errors import InputError

HEAD_BYTES = 1 << 12
"""How many bytes at the beginning of a file, decompressed, are examined to recognize its format."""

UNPACK = "unpack it and name the folder"
RENAME = "is compressed, which its name must say: let it end in"
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
TAR_NAMES = (".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
CONVERT = "convert it to text"

JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
TABS = (".tsv", ".tab")
TABLES = (".csv", *TABS)
PARQUET = (".parquet", ".pq")

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    *(
        (mark, f"is a zip archive or an office document; {UNPACK}")
        for mark in (b"PK\3\4", b"PK\5\6")
    ),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7z archive; {UNPACK}"),
    (b"Rar!\x1a\x07", f"is a rar archive; {UNPACK}"),
    (b"!<arch>\n", f"is an ar archive; {UNPACK}"),
    (b"\x1f\x8b\x08", f"{RENAME} .gz"),
    (b"BZh", f"{RENAME} .bz2"),
    (b"\xfd7zXZ\0", f"{RENAME} .xz"),
    (b"\x28\xb5\x2f\xfd", f"{RENAME} .zst"),
    (b"\x1f\x9d", "is compressed by compress, which is not known here; decompress it"),
    (b"\x04\x22\x4d\x18", "is compressed by lz4, which is not known here; decompress it"),
    (b"PAR1", "is a Parquet file; name the column that holds the text, as in field=text"),
    (b"%PDF-", f"is a PDF document; {CONVERT}"),
    (b"{\\rtf", f"is an RTF document; {CONVERT}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"is an old office document; {CONVERT}"),
    (b"SQLite format 3\0", "is an SQLite database; write its text to a file"),
    (b"\x93NUMPY", "is a NumPy array; write its text to a file"),
    (b"\x7fELF", "is a program; leave it out"),
    *((mark, "is an image; leave it out") for mark in (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")),
)
"""The first bytes of files that are not plain text, and what the error message says of each."""

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)

CONTROLS = bytes([*range(0x09), *range(0x0E, 0x1B)])
"""Bytes 0x00 to 0x08 and 0x0E to 0x1A: control characters that plain text does not need."""


class RecordFormat(Enum):
    """How a file stores records. A record has named fields, one of which holds a text."""

    TABLE = "a table: CSV, TSV, or columns separated by ; or |"
    JSON_LINES = "one JSON object per line"
    JSON = "one JSON array, or JSON objects one after another"
    PARQUET = "Parquet"


def format_suffix(path: str) -> str:
    """Return the suffix of a file name in lower case, ignoring a suffix of compression.

    For example, it is ``.jsonl`` for ``a.jsonl.gz``.
    """
    name = PurePosixPath(path)
    compressed = name.suffix.lower() in COMPRESSED
    return (name.with_suffix("") if compressed else name).suffix.lower()


def record_format(path: str, head: bytes) -> RecordFormat | None:
    """Return the format of a file of records (a table, JSON or Parquet); None for any other file.

    The suffix of the name decides. If it is none of a table, JSON or Parquet, but .txt for example,
    the file is JSON if its first character other than white space is ``[`` or ``{``.

    The suffixes .jsonl and .ndjson always mean `RecordFormat.JSON_LINES`. Other JSON is
    `RecordFormat.JSON` if the file is one array, or objects that span several lines, and
    `RecordFormat.JSON_LINES` if each line holds one value.

    `head` has the first bytes of the decompressed file, with the whole first line if possible. It
    may be empty for the suffixes of tables, Parquet and JSON Lines.
    """
    suffix = format_suffix(path)
    if suffix in PARQUET:
        return RecordFormat.PARQUET
    if suffix in TABLES:
        return RecordFormat.TABLE
    if suffix in JSON_LINES:
        return RecordFormat.JSON_LINES
    if suffix in JSON or head.lstrip()[:1] in (b"{", b"["):
        return RecordFormat.JSON if _is_json_document(head) else RecordFormat.JSON_LINES
    return None


def _is_json_document(head: bytes) -> bool:
    """Return whether a JSON file is one array or has objects that span several lines.

    Otherwise, each line is taken to hold one object.

    Parameters
    ----------
    head
        The first bytes of the file.
    """
    text = head.lstrip()
    if text.startswith(b"["):
        return True
    try:
        json.loads(text.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return b"\n" in text.rstrip() and text.startswith(b"{")
    return False


def delimiter_of(path: str, line: str, field: str) -> str:
    """Return the delimiter between the columns of a table: a comma, tab, semicolon or bar.

    It is a tab if the suffix of the file is .tsv or .tab. Otherwise it is the one of these four
    that splits `line`, the first line, into the most columns. A delimiter before a space does not
    count, because it is probably punctuation. Delimiters that make a column called `field` (the
    column with the text; empty if unknown) are preferred to others.
    """
    if format_suffix(path) in TABS:
        return "\t"
    # The first line may end inside of quotes, which a strict reader refuses.
    found = {one: next(csv.reader([line], delimiter=one)) for one in (",", "\t", ";", "|")}
    columns = {one: sum(not cell.startswith(" ") for cell in found[one]) for one in found}
    return max(found, key=lambda one: (field in found[one], columns[one], len(found[one])))


def refuse_what_is_not_text(path: str, head: bytes, encoding: str) -> None:
    """Raise an `InputError` if the first bytes of a file show that it is not text in `encoding`.

    Recognized are archives and other binary formats, and some other encodings.

    Parameters
    ----------
    path
        The name of the file, for the message.
    head
        The first `HEAD_BYTES` of the file, decompressed; the whole file if it is shorter.
    encoding
        The encoding in which the file is expected.
    """
    for mark, reason in SIGNATURES:
        if head.startswith(mark) and (mark != b"BZh" or head[4:10] == b"1AY&SY"):
            name = path.lower()
            if reason.startswith(RENAME) and name.endswith(COMPRESSED):
                reason = "is compressed twice; decompress it once"
            elif reason.startswith(RENAME) and name.endswith(TAR_NAMES):
                reason = f"is a compressed tar archive, by its name; {UNPACK}"
            raise InputError(f"{path} {reason}")
    if _is_tar(head):
        raise InputError(f"{path} is a tar archive; {UNPACK}")
    wanted = codecs.lookup(encoding).name
    wide = wanted.startswith(("utf-16", "utf-32"))
    for mark, name in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            if not wanted.startswith(name):
                raise InputError(
                    f"{path} is {name.upper()}, as its byte order mark says; set encoding={name}"
                )
            return
    if wide and head:
        if _is_plain_utf8(head):
            raise InputError(f"{path} is not {wanted.upper()} but UTF-8; set encoding=utf-8")
        if wanted in ("utf-16", "utf-32"):
            raise InputError(
                f"{path} has no byte order mark; set encoding={wanted}-le or encoding={wanted}-be"
            )
    elif not wide:
        _refuse_controls(path, head)


def refuse_nul(path: str, data: bytes) -> None:
    """Raise an `InputError` if more than a tenth of `data`, a part of a file, is NUL bytes.

    A part of less than `HEAD_BYTES` bytes is not checked.
    """
    if len(data) >= HEAD_BYTES and data.count(0) * 10 > len(data):
        raise InputError(
            f"{path} holds {data.count(0):,} NUL bytes among {len(data):,}; a part of it is not "
            "text, or is in another encoding"
        )


def _refuse_controls(path: str, head: bytes) -> None:
    """Raise an `InputError` if at least 4 bytes and over a tenth of `head` are control characters.

    This detects binary data, and UTF-16 and UTF-32 without a byte order mark. Control characters
    are those in `CONTROLS`, such as NUL; tabs count, too, if at least 4 bytes are NUL.
    """
    # In UTF-16, the code units of Devanagari letters contain the byte of a tab.
    signs = CONTROLS + b"\t" if head.count(0) >= 4 else CONTROLS
    places = [len(head[i::4]) - len(head[i::4].translate(None, signs)) for i in range(4)]
    controls = sum(places)
    if controls < 4 or controls * 10 <= len(head):
        return
    even, odd = places[0] + places[2], places[1] + places[3]
    if controls > 0.6 * len(head):
        guess = "utf-32-le" if places[0] < places[3] else "utf-32-be"
    else:
        guess = "utf-16-le" if odd > 4 * even else "utf-16-be" if even > 4 * odd else ""
    hint = f"it looks like {guess.upper()}; set encoding={guess}" if guess else "it is binary data"
    raise InputError(
        f"{path} is not text: {controls:,} of its first {len(head):,} bytes are NUL "
        f"or control characters; {hint}"
    )


def _is_plain_utf8(head: bytes) -> bool:
    """Return whether `head`, the beginning of a file, is UTF-8 text without control characters.

    The last character may be incomplete. The result is False if `head` is empty.
    """
    try:
        codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return False
    return bool(head) and head == head.translate(None, CONTROLS)


def _is_tar(head: bytes) -> bool:
    """Return whether a file begins with the header of a tar archive."""
    if not head[148:156].strip(b" \0").isdigit():  # the checksum; most files end here
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True
