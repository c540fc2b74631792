"""The exit statuses of the program."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit statuses of the program, each named by what it means."""

    DONE = 0
    FAILED = 1  # a bug of the program, a job of a sweep that did not finish, or a damaged file
    REFUSED = 2  # bad input or settings
    WORK_TO_DO = 3  # with plan=true: at least one result is not in the cache


def ended_by(signum: int) -> int:
    """Return 128 + `signum`, the status that shells report for a process ended by a signal."""
    return 128 + signum
