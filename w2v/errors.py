"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Bad input or settings.

    The message is one line: what is wrong, where, and what would be right.  The command line
    prints it and exits with status 2; library code may catch it as a ``ValueError``.
    """


def harmless(text: str) -> str:
    """The text with what could command a terminal spelt as escapes: words come from strangers."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text
    )
