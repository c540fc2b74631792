"""One-line error messages for files that cannot be written, for example to a full disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w2v.errors import InputError
from w2v.files import DISK_FULL, free_disk, size_text

NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


def write_error_line(
    error: OSError, outputs: Path | None = None, stage: str | None = None
) -> str | None:
    """Return a one-line message for an error in writing a file, or None for an unexpected error.

    A full disk gets a message. Without `outputs`, so does any error that names a file. With
    `outputs`, so do these errors for files in that folder: no permission, a file in place of a
    folder or vice versa. `stage` is the running stage, for messages about a full disk.
    """
    # NumPy raises errors without an errno: "5 requested and 3 written".
    is_disk_full = error.errno in DISK_FULL or "requested and" in str(error)
    if is_disk_full and outputs is not None and stage is not None:
        free = size_text(free_disk(outputs))
        return (
            f"{stage}: the disk of {outputs} is full, {free} free; what was finished is kept; "
            "free some, or set outputs to a folder elsewhere"
        )
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    if is_disk_full:
        return f"{where}the disk is full; free some, or set outputs to a folder elsewhere"
    if not where:
        return None
    if outputs is not None:
        inside = Path(error.filename).absolute().is_relative_to(outputs.absolute())
        if not inside or error.errno not in NO_ACCESS + NO_FOLDER:
            return None
    return f"{where}{error.strerror}; outputs must be a folder that can be written"


@contextmanager
def explain_write_errors(outputs: Path | None = None, stage: str | None = None) -> Iterator[None]:
    """Context manager: turn errors in writing files (`OSError`) into `InputError`.

    The error of a full disk is converted. Without `outputs`, so is any error that names a file.
    With `outputs`, so are these errors for files in that folder: no permission, a file in place of
    a folder or vice versa. Others are raised unchanged. `stage` is the running stage, for messages.
    """
    try:
        yield
    except OSError as error:
        line = write_error_line(error, outputs, stage)
        if line is None:
            raise
        raise InputError(line) from None
