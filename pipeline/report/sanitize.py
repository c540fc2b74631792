"""Text of a corpus made fit to be shown: tokens hold anything."""

import re

_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of what follows
    "\u2028\u2029"  # break lines
    "\ud800-\udfff\ufffe\uffff]"  # are no characters
)


def visible(text: str) -> str:
    """The text with every character that acts instead of showing replaced by U+FFFD.

    Such are controls, marks of direction, breaks of lines, and lone surrogates, which no file
    in UTF-8 can hold. Joiners stay: Persian and Hindi are spelt with them.
    """
    return _UNFIT.sub("\ufffd", text)
