"""Files that outlive a crash and tell when a byte of them has changed."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

NO_ARRAY: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, OverflowError, MemoryError),
    *(SyntaxError, TokenError, RecursionError),
)
"""What `np.load` raises where a file is no ``.npy``: it parses the header as Python's tokens."""


def sealed(body: Any) -> bytes:
    """JSON that carries its own SHA-256."""
    digest = hashlib.sha256(canonical(body)).hexdigest()
    text = json.dumps({"sha256": digest, **body}, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode()


def unsealed(text: bytes) -> Any:
    """What `sealed` was given; `ValueError` where a byte is not as it was."""
    try:
        body = json.loads(text)
    except RecursionError:
        raise ValueError("no JSON of ours") from None
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    digest = body.pop("sha256", None)
    if digest != hashlib.sha256(canonical(body)).hexdigest():
        raise ValueError("the SHA-256 is not that of the content")
    return body


def canonical(body: Any) -> bytes:
    """One spelling of a JSON value; what JSON cannot hold is refused."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settle(file: IO[bytes]) -> None:
    """Wait until what was written to a file has reached the disk."""
    file.flush()
    os.fsync(file.fileno())


def settle_folder(path: Path) -> None:
    """Wait until a folder's entries have reached the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it to `path` if the block succeeds."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
