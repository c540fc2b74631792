"""The error class for what users can correct, and functions that display errors and warnings."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class InputError(ValueError):
    """The error for input or settings that cannot be used.

    The message is one line that says what is wrong and where, and often what is allowed. The
    command ``w2v`` prints the message and exits with status 2.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would send the message to another process, and there give it to the constructor,
        # which takes other arguments in subclasses.
        return _received, (type(self), self.args), vars(self)


def _received(kind: type[InputError], arguments: tuple[Any, ...]) -> InputError:
    return kind.__new__(kind, *arguments)


def failure_reason(error: BaseException) -> str:
    """Describe an exception in one line, with its type unless it is an `InputError`."""
    line = " ".join(str(error).split())[:500]
    if isinstance(error, InputError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


@contextmanager
def showing_warnings(show: Callable[[str], None]) -> Iterator[list[str]]:
    """Context manager: pass the texts of the block's warnings to `show`, not to standard error.

    Yields
    ------
    list of str
        The text of each warning of the block so far; the list grows with every warning.
    """
    shown: list[str] = []

    def take(message: Warning | str, *_: object, **__: object) -> None:
        shown.append(str(message))
        show(shown[-1])

    with warnings.catch_warnings():
        warnings.showwarning = take
        yield shown


_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, which can command a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of the text that follows
    "\u2028\u2029"  # break lines
    "\ud800-\udfff\ufffe\uffff]"  # cannot be written as UTF-8, or are no characters
)


def sanitize(text: str, *, terminal: bool = False) -> str:
    r"""Replace characters of a text that could manipulate a terminal or web page.

    They are control characters, which can command a terminal, and direction marks, which reverse
    the text after them. Unicode line separators, lone surrogates, U+FFFE and U+FFFF are replaced as
    well. Zero-width joiners are kept, because Persian and Hindi are spelled with them.

    Parameters
    ----------
    text
        Any text.
    terminal
        True: replace each such character by an escape, as in ``\x1b``, but keep ``\n`` and tabs.
        False, for web pages and charts: replace each by U+FFFD, also line breaks and tabs.
    """
    if not terminal:
        return _ACTIVE.sub("\ufffd", text)
    return _ACTIVE.sub(lambda m: m[0] if m[0] in "\n\t" else ascii(m[0])[1:-1], text)
