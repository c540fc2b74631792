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

    A full disk gives a message; it names the running stage if `outputs` and `stage` are given. Any
    other error must name a file to give a message. If `outputs` is given, the file must also be in
    that folder, and the cause must be one of these: a permission is missing, a file is in place of
    a folder, or a folder is in place of a file.
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

    `write_error_line` makes the message from the error, `outputs` and the running `stage`. A full
    disk gives a message. Without `outputs`, so does every error that names a file; with `outputs`,
    only failed access to a file in that folder. All other errors are raised unchanged.
    """
    try:
        yield
    except OSError as error:
        line = write_error_line(error, outputs, stage)
        if line is None:
            raise
        raise InputError(line) from None
