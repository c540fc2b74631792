"""Explain in one line why a file cannot be written under the outputs folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.resources import is_disk_full
from w2v.errors import InputError

NOT_WRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
)
"""Errors that say that a place cannot be written, apart from a full disk."""


def write_error_line(error: OSError, outputs: Path | None = None) -> str | None:
    """Return the line for an error of writing, or ``None`` if it is an error of another kind.

    Parameters
    ----------
    outputs
        Explain only a full disk, and files in this folder that cannot be written. ``None``: every
        file counts.
    """
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    if is_disk_full(error):
        return f"{where}the disk is full; free some, or set outputs to a folder elsewhere"
    if not where:
        return None
    if outputs is not None:
        inside = Path(error.filename).absolute().is_relative_to(outputs.absolute())
        if not inside or error.errno not in NOT_WRITABLE:
            return None
    return f"{where}{error.strerror}; outputs must be a folder that can be written"


@contextmanager
def explain_write_errors(outputs: Path | None = None) -> Iterator[None]:
    """Raise the errors that `write_error_line` explains as an `InputError` with that line."""
    try:
        yield
    except OSError as error:
        line = write_error_line(error, outputs)
        if line is None:
            raise
        raise InputError(line) from None
