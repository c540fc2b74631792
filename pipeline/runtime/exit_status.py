"""The exit statuses of the command."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """What the exit status of the command says."""

    DONE = 0
    FAILED = 1  # a bug of the program, a job of a sweep that did not finish, or a damaged file
    REFUSED = 2  # bad input or settings
    WORK_TO_DO = 3  # with plan=true: at least one result is not in the cache


def ended_by(signum: int) -> int:
    """Return the exit status of a process that the signal ended, as shells report it."""
    return 128 + signum
