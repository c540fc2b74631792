"""Work with files: replace them atomically, hash, link and delete them.

This module also marks files as in use, reads and writes ``vocabulary.tsv``, and tells which text is
a number (`is_number`).
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, an exceeded quota, and a file larger than allowed."""

NPY_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, OverflowError, MemoryError),
    *(SyntaxError, TokenError, RecursionError),
)
"""The errors that `np.load`, which parses the header as Python, can raise for a damaged file."""


_DECIMAL = re.compile(
    r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)


def is_number(field: str | bytes) -> bool:
    """Return whether a field of a text file is a decimal number, ``nan`` or an infinity.

    Python's `float` accepts more: ``1_000``, digits of other scripts, and spaces around a number.
    """
    text = field if isinstance(field, str) else field.decode("latin-1")
    return _DECIMAL.fullmatch(text) is not None


def json_page(value: Any) -> str:
    """Return a value as indented JSON, one entry per line.

    A list or object takes one line if it has at most ten entries and 100 characters, and contains
    no brackets or braces, not even in strings.

    Raises
    ------
    ValueError
        The value contains NaN or an infinity.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return _INNERMOST.sub(_on_one_line, text)


_INNERMOST = re.compile(r"([\[{])\n +([^\[\]{}\n]*(?:\n[^\[\]{}\n]*){,9})\n *([\]}])")
"""Matches a list or object of at most ten entries in indented JSON; `json_page` joins its lines.

Entries have no brackets inside. Each is one line, because JSON escapes the line breaks in strings.
"""


def _on_one_line(found: re.Match[str]) -> str:
    line = found[1] + re.sub(r"\n *", " ", found[2]) + found[3]
    return line if len(line) <= 100 else found[0]


def with_checksum(body: dict[str, Any]) -> bytes:
    """Return a dictionary as JSON in UTF-8, with its checksum as an additional entry ``sha256``.

    The checksum is the SHA-256 of the `canonical_json` of the other entries, in hexadecimal.
    """
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    return json_page({"sha256": digest, **body}).encode()


def verify_checksum(data: bytes) -> dict[str, Any]:
    """Parse the JSON that `with_checksum` made, and verify its checksum.

    Returns
    -------
    dict
        The dictionary that was given to `with_checksum`.

    Raises
    ------
    ValueError
        The bytes are not a JSON object, or the checksum does not match the other entries.
    """
    try:
        body = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    digest = body.pop("sha256", None)
    if digest != hashlib.sha256(canonical_json(body)).hexdigest():
        raise ValueError("the SHA-256 does not match the content")
    return body


def canonical_json(value: Any) -> bytes:
    """Return a value as JSON in UTF-8 that does not depend on the order of dictionary entries.

    To this end, the keys are sorted.

    Raises
    ------
    ValueError
        The value contains NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a value's `canonical_json`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(file: IO[bytes]) -> None:
    """Wait until everything written to an open file is physically on disk."""
    file.flush()
    os.fsync(file.fileno())


def fsync_and_hash(path: Path) -> str:
    """Wait until a closed file is physically on disk; return its SHA-256 in hexadecimal."""
    with path.open("rb+") as file:
        fsync(file)
    return file_sha256(path)


def fsync_folder(path: Path) -> None:
    """Wait until the entries of a folder (names of new and renamed files) are physically on disk.

    This function does nothing on operating systems other than POSIX.
    """
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Context manager: yield a temporary path for a file that will replace the file `path`.

    The caller writes the file in the ``with`` block. When the block ends, the file is renamed to
    `path`, which is in the same folder. If the block raises an exception, the file is deleted. So
    whoever reads `path` at any time finds either the old content or all of the new content.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def refuse_unwritable(what: str) -> Iterator[None]:
    """Context manager: if the block cannot write to a path, raise an `InputError` with the reason.

    The reason is, for example, that the disk is full. `what` names the path at the beginning of the
    message, such as ``folder=out/vectors``.
    """
    try:
        yield
    except InputError:  # such as a word that the format cannot hold
        raise
    except (OSError, ValueError) as error:  # ValueError: no name of a file, such as "."
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{what}: cannot be written ({reason})") from None


def require_writable(name: str, folder: Path) -> None:
    """Raise `InputError` if files cannot be written in a folder, or the folder cannot be made.

    `name` is the name of the setting or argument that gives the folder, for the message.
    """
    places = (folder.absolute(), *folder.absolute().parents)
    try:
        tempfile.TemporaryFile(dir=next(path for path in places if os.path.lexists(path))).close()
    except OSError as error:
        reason = f"must be a folder that can be written ({error.strerror})"
        raise InputError(f"{name}={folder}: {reason}") from None


def local_path(path: str | Path) -> Path:
    """Return a path with the home folder in place of a leading ``~`` or ``~user``."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path fails for a file named ~name)


def name_as_text(path: str) -> str:
    r"""Return a path with escapes such as ``\xef`` in place of bytes that are not UTF-8.

    Python reads such bytes as lone surrogates, which UTF-8 cannot encode.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# Vocabularies


def write_vocabulary(
    path: Path, words: Sequence[str], counts: NDArray[np.int64] | None = None
) -> None:
    """Write words and their counts as a table of two columns separated by tabs, in UTF-8.

    The first line is the header ``word<TAB>count``, or ``word`` where there are no counts; each
    further line is one word. The words must not contain tabs or line feeds.

    Parameters
    ----------
    path
        Usually ``vocabulary.tsv``. It is replaced only when the new file is complete.
    words, counts
        The V words, and how often each occurs, int64 (V,); None to write words only.
    """
    with (
        written_aside(path) as aside,
        aside.open("w", encoding="utf-8", newline="\n") as file,
    ):
        if counts is None:
            file.writelines(f"{word}\n" for word in ("word", *words))
        else:
            file.write("word\tcount\n")
            rows = zip(words, counts.tolist(), strict=True)
            file.writelines(f"{word}\t{count}\n" for word, count in rows)


def read_vocabulary(path: Path) -> tuple[list[str], NDArray[np.int64] | None]:
    """Read the words and counts that `write_vocabulary` wrote.

    Returns
    -------
    words : list of str
    counts : int64 (V,), or None where the file has only words

    Raises
    ------
    InputError
        The file cannot be read or is not UTF-8, its first line is not a header, or its last line
        does not end in a line break. If the header says that there are counts, every line below it
        must be a word, a tab and a count; the message names the first line that is not.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    header, *lines = text.split("\n")
    if header not in ("word", "word\tcount") or not lines or lines.pop() != "":
        raise InputError(
            f"{path}: the first line must be 'word<TAB>count' or 'word', and every line must end "
            "in a line break"
        )
    if header == "word":
        return lines, None
    if re.fullmatch(r"(?:[^\t\n]+\t[0-9]{1,18}\n)*", text[len(header) + 1 :]):
        cells = "\t".join(lines).split("\t") if lines else []
        return cells[::2], np.array(cells[1::2], np.int64)
    words, counts = [], []  # some line has another form: find it, and decide whether it is valid
    for number, line in enumerate(lines, start=2):
        word, tab, count = line.partition("\t")
        if not (word and tab and re.fullmatch("[0-9]{1,19}", count) and int(count) < 1 << 63):
            raise InputError(f"{path}: line {number} is {line[:80]!r}; word<TAB>count is needed")
        words.append(word)
        counts.append(int(count))
    return words, np.array(counts, np.int64)


def link_or_copy(path: Path, other: Path, link: bool = True) -> None:
    """Create the file `other` with the content of `path`, as a hard link or a copy.

    An older file at `other` is replaced.

    Parameters
    ----------
    link
        Try a hard link first. If it fails, or if this is False, copy the file.
    """
    # Removed first: a copy written into a hard link would change the other file, too.
    other.unlink(missing_ok=True)
    if link:
        # Fails on another disk, on some file systems, and for a file with too many hard links.
        with suppress(OSError):
            os.link(path.resolve(), other)
            return
    shutil.copyfile(path, other)


def link_if_equal(path: Path, other: Path) -> bool:
    """Replace the file `other` by a hard link to `path` if both have the same content.

    Where hard links are not possible, `other` is replaced by a copy.

    Parameters
    ----------
    path
        A file, which may be missing.
    other
        An existing file.

    Returns
    -------
    bool
        Whether `path` exists and the contents are the same.
    """
    equal = path.exists() and path.read_bytes() == other.read_bytes()
    if equal:
        link_or_copy(path, other)
    return equal


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents or a symbolic link, if the path exists.

    The target of a symbolic link is kept.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Mark a file as in use during a ``with`` block, so that `is_in_use` returns True for it.

    Several processes may mark a file at once. If a process is killed, its mark is removed. On
    systems other than POSIX, and where the file system has no locks, nothing is done.
    """
    with path.open("rb") as file:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_in_use(path: Path) -> bool:
    """Return whether a process has marked a file by `in_use`; False if there is no such file."""
    try:
        import fcntl

        with path.open("r+b") as file:  # some network disks lock only files that can be written
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        pass
    return False


@cache
def can_link(folder: Path) -> bool:
    """Return whether hard links are possible in an existing folder."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary, suppress(OSError):
        file = Path(temporary, "a")
        file.touch()
        os.link(file, Path(temporary, "b"))
        return True
    return False


def require_disk(need: dict[str, int], folder: Path, what: str) -> None:
    """Raise an `InputError` if there is too little free space on the disk of a folder.

    Parameters
    ----------
    need
        The bytes that will be written, by kind of file.
    folder
        The folder that will be written to; it need not exist yet.
    what
        What writes the files, such as "training", for the message.
    """
    free, total = free_disk(folder), sum(need.values())
    if total > free:
        parts = ", ".join(f"{kind} {size_text(size)}" for kind, size in need.items() if size)
        raise InputError(
            f"{what} writes {size_text(total)} ({parts}) and the disk of {folder} has "
            f"{size_text(free)} free; free some, or set outputs to a folder elsewhere"
        )


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    paths = (folder.absolute(), *folder.absolute().parents)
    return shutil.disk_usage(next(path for path in paths if path.exists())).free


def size_text(size: float) -> str:
    """Return a number of bytes with a unit, such as ``4.8 GB``."""
    units = ("bytes", "kB", "MB", "GB", "TB", "PB")
    power = 0
    while power < len(units) - 1 and round(size / 1000**power, min(1, power)) >= 1000:
        power += 1
    return f"{size / 1000**power:,.{1 if power else 0}f} {units[power]}"
