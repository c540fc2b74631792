"""Text to tokens."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from w2v.errors import InputError

WORDS = r"[^\W_]+(?:['’][^\W_]+)*"
"""Unicode letters and digits, apostrophes inside a word kept: ``don't`` is one token."""

WHITESPACE = r"\S+"
"""Whatever stands between white space: for text that is tokenized already."""


@dataclass(frozen=True)
class Tokenizer:
    """Every match of a regular expression is a token.

    Parameters
    ----------
    pattern
        Python's ``re`` syntax. Groups do not matter: the whole match counts.
    lowercase
        Lower-case the text first.

    Raises
    ------
    InputError
        A pattern that is not a regular expression, or that matches the empty string.
    """

    pattern: str = WORDS
    lowercase: bool = True

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pattern)
        except re.error as error:
            raise InputError(
                f"tokenizer.pattern={self.pattern!r}: not a regular expression ({error})"
            ) from None
        if compiled.match("") is not None:
            raise InputError(
                f"tokenizer.pattern={self.pattern!r} matches the empty string; "
                "a token has at least one character"
            )

    def function(self) -> Callable[[str], list[str]]:
        """The function from a document to its tokens."""
        pattern = re.compile(self.pattern)

        def whole_matches(text: str) -> list[str]:
            return [match.group() for match in pattern.finditer(text)]

        # findall is faster, but gives the groups of a pattern that has some.
        find: Callable[[str], list[str]] = whole_matches if pattern.groups else pattern.findall
        return (lambda text: find(text.lower())) if self.lowercase else find
