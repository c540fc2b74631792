"""Text to tokens."""

import hashlib
import importlib
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

SPLITS = ("words", "whitespace")

SPACE, OTHER, MARK, INNER, LETTER = range(5)
"""Kinds of characters. A token begins with a `LETTER` (a digit is one too) and goes on with letters
and marks; one `INNER` character may stand between what could be two tokens."""

APOSTROPHES = "'’"
HYPHENS = "-\u2010\u2011"
JOINERS = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and JOINER: they choose shapes inside words, as in Persian and Hindi."""

UNFIT = re.compile(r"^$|\s|[\ud800-\udfff]")
"""What a file of one type a line cannot hold as a line of its own, or not in UTF-8."""


@dataclass(frozen=True)
class Tokenizer:
    """From documents to tokens, in one of four ways.

    The tokens of ``words`` are runs of letters, marks and digits (Unicode's categories L, M and N)
    that do not begin with a mark; those of ``whitespace`` are whatever stands between white
    space. Each is then lower-cased and brought to Unicode's form NFC, as wanted. A pattern or a
    function of one's own takes the place of these two and gets the text in NFC and lower-cased,
    as wanted.

    Parameters
    ----------
    split
        ``"words"`` or ``"whitespace"``.
    apostrophes, hyphens
        For ``words``: whether one of them inside a word belongs to it.
    lowercase, nfc
        See above.
    pattern
        In Python's ``re`` syntax; each match is a token. Groups do not matter.
    function
        The dotted name of a function from the text of a document to the list of its tokens.
        Its module is looked for as Python does, and last in the current folder.

    Raises
    ------
    InputError
        A pattern that is not a regular expression or that matches the empty string; a function
        that cannot be found or called; a pattern and a function.
    """

    split: str = "words"
    apostrophes: bool = True
    hyphens: bool = False
    lowercase: bool = True
    nfc: bool = True
    pattern: str | None = None
    function: str | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"tokenizer.split={self.split}: must be {' or '.join(SPLITS)}")
        if self.pattern is not None and self.function is not None:
            raise InputError("tokenizer.pattern and tokenizer.function are both set; give one")
        if self.pattern is not None:
            check_pattern(self.pattern)
        if self.function is not None:
            imported(self.function)

    @property
    def own(self) -> bool:
        """Whether a pattern or a function makes the tokens: it may look at a whole document."""
        return self.pattern is not None or self.function is not None

    def tokens(self, text: str) -> list[str]:
        """The tokens of a document."""
        found = self.find(text)
        return found if self.own or not found else self.fold("\n".join(found)).split("\n")

    @cached_property
    def find(self) -> Callable[[str], list[str]]:
        """From a document to its tokens; those of ``words`` and ``whitespace`` as they lie."""
        if self.function is not None:
            function, name = imported(self.function), self.function
            return lambda text: called(function, name, self.fold(text))
        if self.pattern is not None:
            find = matches_of(self.pattern)
            return lambda text: find(self.fold(text))
        if self.split == "whitespace":
            return str.split
        return matches_of(words_pattern(self.inner))

    def fold(self, text: str) -> str:
        """Lower-case and normalize, as wanted. No line feed comes or goes."""
        if self.lowercase:
            text = text.lower()
        return unicodedata.normalize("NFC", text) if self.nfc else text

    @property
    def inner(self) -> str:
        """The characters that may stand alone inside a word, for ``words``."""
        return JOINERS + APOSTROPHES * self.apostrophes + HYPHENS * self.hyphens

    @cached_property
    def kinds(self) -> bytes:
        """The kind of every code point (1,114,112 bytes), for ``words`` and ``whitespace``."""
        kinds = np.where(character_kinds() == SPACE, SPACE, LETTER).astype(np.uint8)
        if self.split == "words":
            kinds = character_kinds().copy()
            kinds[[ord(character) for character in self.inner]] = INNER
        return kinds.tobytes()

    def border(self, data: bytes) -> int:
        """A place near the end of valid UTF-8 text where it may be cut: no token is cut, nor
        CR LF; 0 where there is none. Not for tokenizers of one's own."""
        text = data.decode("utf-8")
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        kinds = np.frombuffer(self.kinds, np.uint8)[points]
        between = np.flatnonzero(kinds <= OTHER)
        if len(between) == 0:
            return 0
        last = int(between[-1])
        return len(text[: last + (text[last] != "\r")].encode("utf-8"))

    def check(self, types: Sequence[str]) -> None:
        """Refuse what is no token: only a tokenizer of one's own can make such."""
        for word in types:
            if UNFIT.search(word):
                maker = "pattern" if self.function is None else "function"
                raise InputError(
                    f"tokenizer.{maker} made the token {word!r}; a token holds at least one "
                    "character, no white space and no half of a surrogate pair"
                )

    def fingerprint(self) -> dict[str, Any]:
        """JSON-able: the settings and what else the tokens depend on."""
        prints: dict[str, Any] = {**asdict(self), "unicode": unicodedata.unidata_version}
        if self.function is not None:
            module = sys.modules[imported(self.function).__module__]
            path = getattr(module, "__file__", None)
            code = Path(path).read_bytes() if path else b""
            prints["code"] = hashlib.sha256(code).hexdigest()
        return prints


def check_pattern(pattern: str) -> None:
    """Refuse what is not a regular expression, or matches where there is nothing."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"tokenizer.pattern={pattern!r}: not a regular expression ({error})"
        ) from None
    if compiled.match("") is not None:
        raise InputError(
            f"tokenizer.pattern={pattern!r} matches the empty string; "
            "a token has at least one character"
        )


def matches_of(pattern: str) -> Callable[[str], list[str]]:
    """The function from a text to all whole matches of a pattern."""
    compiled = re.compile(pattern)

    def whole_matches(text: str) -> list[str]:
        return [match.group() for match in compiled.finditer(text)]

    # findall is faster, but gives the groups of a pattern that has some.
    return whole_matches if compiled.groups else compiled.findall


def imported(name: str) -> Callable[[str], list[str]]:
    """The function of a dotted name."""
    module, _, attribute = name.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"tokenizer.function={name}: cannot be imported ({error}); give package.module.function"
        ) from None
    if not callable(function):
        raise InputError(f"tokenizer.function={name}: is not a function")
    tokenizer: Callable[[str], list[str]] = function
    return tokenizer


def called(function: Callable[[str], list[str]], name: str, text: str) -> list[str]:
    """What the function of that name makes of a document, if it is a list of strings."""
    try:
        tokens = list(function(text))
    except Exception as error:
        raise InputError(
            f"tokenizer.function={name} failed on the document that begins {text[:40]!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    for token in tokens:
        if not isinstance(token, str):
            raise InputError(
                f"tokenizer.function={name} gave {token!r} as a token; tokens are strings"
            )
    return tokens


@cache
def character_kinds() -> NDArray[np.uint8]:
    """`SPACE`, `OTHER`, `MARK` or `LETTER` for every code point: uint8 (1114112,)."""
    categories = "".join(map(unicodedata.category, map(chr, range(sys.maxunicode + 1))))
    major = np.frombuffer(categories.encode("ascii"), np.uint8)[::2]
    kinds = np.full(len(major), OTHER, np.uint8)
    kinds[(major == ord("L")) | (major == ord("N"))] = LETTER
    kinds[major == ord("M")] = MARK
    candidates = np.flatnonzero((major == ord("Z")) | (major == ord("C")))
    kinds[[point for point in candidates.tolist() if chr(point).isspace()]] = SPACE
    return kinds


@cache
def words_pattern(inner: str) -> str:
    """``words`` as a regular expression: what the kinds of characters say, for Python's ``re``."""
    marks = np.flatnonzero(character_kinds() == MARK)
    starts = marks[np.diff(marks, prepend=-2) > 1]
    ends = marks[np.diff(marks, append=sys.maxunicode + 2) > 1]
    ranges = "".join(
        f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True)
    )
    # Python's \w without the underscore is L and N.
    word = rf"[^\W_]++(?:[{ranges}]++[^\W_]*+)*+"
    return rf"{word}(?:[{re.escape(inner)}]{word})*+"
