"""The tokenizers, which split documents into tokens, and their settings."""

import re
import sys
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.settings import Settings, setting
from w2v.text.functions import import_function, sources_fingerprint
from w2v.text.punctuation import PLAIN, VARIANTS
from w2v.text.token_lists import shown
from w2v.text.tokens import NOT_A_TOKEN

SPACE, OTHER, INVISIBLE, MARK, INNER, LETTER = range(6)
"""The kinds of characters. A token starts with a `LETTER` (digits are letters too) and continues
with letters, marks, and each `INNER` character that stands before a letter: rock'n'roll is one
token. `INVISIBLE` characters do not end a token and are removed from it. `SPACE`, `OTHER` and any
other `INNER` end it. The order matters: the compiled scanner compares kinds."""

APOSTROPHES = "'’"
HYPHENS = "-\u2010\u2011"
INVISIBLES = "\u00ad\u2060\ufeff\u200e\u200f\u061c"
"""SOFT HYPHEN, WORD JOINER, ZERO WIDTH NO-BREAK SPACE and marks of the writing direction. As in
Unicode's rules for words (UAX #29), they are no part of a word and do not end it; ZERO WIDTH SPACE
ends a word, as it does between the words of Thai and Khmer."""
JOINERS = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and JOINER: they select letter shapes inside words, as in Persian."""

NFC = "normalize tokens to Unicode NFC, so that a letter and its accent are one character"
PUNCTUATION = (
    "write typographic apostrophes as ' and hyphens as -, so that don’t and don't are one word"
)
INVISIBLE_MARKS = "remove soft hyphens and other invisible marks that do not separate words"


@dataclass(frozen=True)
class Tokenizer(Settings, ABC):
    """Base class of the tokenizers, with their common settings.

    A subclass splits documents in its own way. If the setting `pattern` or `function` is given, the
    tokenizer is *custom*: the user's pattern or function splits the documents instead. A custom
    tokenizer normalizes the whole document by `fold` before splitting it. Others split it first,
    and then normalize the tokens.

    Raises
    ------
    SettingError
        The pattern is not a regular expression or matches the empty string; the function is not
        found or is not callable, or its module cannot be imported; or both are given.
    """

    lowercase: bool = setting("convert tokens to lower case", default=True)
    nfc: bool = setting(NFC, default=True)
    normalize_punctuation: bool = setting(PUNCTUATION, default=True)
    drop_invisible: bool = setting(INVISIBLE_MARKS, default=True)
    pattern: str | None = setting(
        "regular expression (Python's re) of a custom tokenizer: each match is a token",
        default=None,
    )
    function: str | None = setting(
        "function of a custom tokenizer, as package.module.name: it takes the text of a document, "
        "to which lowercase, nfc, normalize_punctuation and drop_invisible are applied before, and "
        "returns the list of its tokens; the current folder is searched last",
        default=None,
    )

    split: ClassVar[str]
    """The name of the tokenizer in the settings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function is not None:
            if self.pattern is not None:
                self.refuse("function", "null where a pattern is given")
            try:
                valid = callable(import_function(self.function))
            except (Exception, SystemExit) as error:  # also what the user's module raises
                reason = " ".join(str(error).split()) or type(error).__name__
                self.refuse("function", f"package.module.name of a function ({reason})")
            if not valid:
                self.refuse("function", "the name of a function")
        if self.pattern is not None:
            try:
                empty = re.compile(self.pattern).match("")
            except (re.error, OverflowError, RecursionError) as error:
                self.refuse("pattern", f"a regular expression ({error})")
            if empty:
                self.refuse("pattern", "a pattern that does not match the empty string")

    @abstractmethod
    def make_splitter(self) -> Callable[[str], list[str]]:
        """Return a function that splits a text into tokens, not yet normalized by `fold`."""

    @abstractmethod
    def make_kinds(self) -> NDArray[np.uint8]:
        """Return the kind of each Unicode code point, such as letter or space: uint8 (1114112,).

        The compiled scanner finds tokens by it. The kinds are constants of this module: `SPACE`,
        `OTHER`, `INVISIBLE`, `MARK`, `INNER` and `LETTER`.
        """

    @property
    def custom(self) -> bool:
        """Whether a pattern or a function of the user splits documents into tokens."""
        return self.pattern is not None or self.function is not None

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a document, in order.

        Raises
        ------
        InputError
            The user's function (see the setting `function`) raised an exception, or returned a
            token that is not a string.
        """
        found = self.find(text)
        return found if self.custom or not found else self.fold("\n".join(found)).split("\n")

    @cached_property
    def find(self) -> Callable[[str], list[str]]:
        """The function that splits a document into tokens.

        For a custom tokenizer, this function normalizes the document by `fold` first. For others,
        it does not normalize: the caller applies `fold` to the tokens.
        """
        if self.function is not None:
            function = import_function(self.function)
            return lambda text: self._call(function, self.fold(text))
        if self.pattern is not None:
            find = find_all(self.pattern)
            return lambda text: find(self.fold(text))
        return self.make_splitter()

    def fold(self, text: str) -> str:
        """Normalize a text as the settings say: its punctuation, case and Unicode form.

        Invisible characters are removed if the settings say so. Line feeds are kept.
        """
        if not text.isascii():
            for character, replacement in self._replacements:
                text = text.replace(character, replacement)
        if self.lowercase:
            text = text.lower()
        return unicodedata.normalize("NFC", text) if self.nfc else text

    @cached_property
    def _replacements(self) -> list[tuple[str, str]]:
        """The characters that `fold` replaces, each with its replacement."""
        punctuation = [(chr(one), plain) for one, plain in PLAIN.items()]
        return punctuation * self.normalize_punctuation + [(one, "") for one in self._invisible()]

    def _invisible(self) -> str:
        """Return the invisible characters that `fold` removes, such as the soft hyphen."""
        return INVISIBLES * self.drop_invisible

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """The kind of each Unicode code point, such as letter or space: uint8 (1114112,).

        The compiled scanner finds tokens by it; custom tokenizers do not use it. `make_kinds` says
        what the kinds are. The array is read-only.
        """
        kinds = self.make_kinds()
        kinds.flags.writeable = False  # threads share it
        return kinds

    def border(self, data: bytes) -> int:
        """Return the last position at which a text can be cut without splitting a token or CR LF.

        The end of `data` may be inside a token, because more text may follow. Do not call this if
        the setting `pattern` or `function` is given: the position would not fit the user's tokens.

        Parameters
        ----------
        data
            The text, in valid UTF-8.

        Returns
        -------
        int
            The position in bytes; 0 if there is none.
        """
        text = data.decode("utf-8")
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        between = np.flatnonzero(self.kinds[points] <= OTHER)
        if len(between) == 0:
            return 0
        last = int(between[-1])
        return len(text[: last + (text[last] != "\r")].encode("utf-8"))

    def check(self, types: Iterable[str]) -> None:
        """Raise an error if one of the types (distinct tokens) cannot be a token.

        Only a custom tokenizer can return such tokens.

        Raises
        ------
        InputError
            A type is empty, or holds white space or an unpaired surrogate.
        """
        for word in types:
            if NOT_A_TOKEN.search(word):
                maker = "pattern" if self.function is None else "function"
                raise InputError(
                    f"{maker}={getattr(self, maker)!r} made the token {word!r}; a token holds at "
                    "least one character, no white space and no half of a surrogate pair"
                )

    def plain(self) -> "Tokenizer":
        """Return a copy of this tokenizer as a `Words` or `Whitespace`, with the same settings.

        The tokenizer itself may be of a subclass. Fields that the subclass adds, such as the number
        of threads, are left out, because they do not affect the tokens.
        """
        kind = TOKENIZERS[self.split]
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-serializable dict that changes when the tokens of the same text may change.

        It contains the settings and the version of Unicode. For a function of the user, it also
        contains one SHA-256 of the code of the function's module and of the user's own modules that
        it imports, and the versions of the installed packages that these modules import. It does
        not change with data files, or with modules that are imported by a name in a string.
        """
        prints: dict[str, Any] = asdict(self.plain())
        prints |= {"name": self.split, "unicode": unicodedata.unidata_version}
        if self.function is not None:
            maker = getattr(import_function(self.function), "__module__", None)
            named = self.function.rpartition(".")[0]
            prints |= sources_fingerprint([named, *([maker] if maker else [])])
        return prints

    def _call(self, function: Callable[[str], Iterable[str]], text: str) -> list[str]:
        """Return the list of tokens that the user's function makes of a text.

        Raises
        ------
        InputError
            The function raised an exception, or a token is not a string.
        """
        try:
            tokens = list(function(text))
        except Exception as error:
            raise InputError(
                f"function={self.function} failed on the document that begins {text[:40]!r} "
                f"({type(error).__name__}: {error})"
            ) from error
        for token in tokens:
            if not isinstance(token, str):
                raise InputError(
                    f"function={self.function} returned the token {token!r}; tokens are strings"
                )
        return tokens


@dataclass(frozen=True)
class Words(Tokenizer):
    """A tokenizer whose tokens are runs of letters, marks and digits.

    Letters, marks and digits are Unicode's categories L, M and N. A token does not start with a
    mark. Zero-width joiners may stand inside tokens, and so may apostrophes and hyphens, as the
    settings say.
    """

    apostrophes: bool = setting("keep an apostrophe inside a word: don't", default=True)
    hyphens: bool = setting("keep a hyphen inside a word: well-known", default=False)

    split: ClassVar[str] = "words"

    def make_splitter(self) -> Callable[[str], list[str]]:
        """Return the function that finds the tokens in a text by a regular expression."""
        return find_all(words_pattern(self._inner(), self._invisible(), self._not_letters()))

    def make_kinds(self) -> NDArray[np.uint8]:
        """Return the kind of each Unicode code point, such as letter or space: uint8 (1114112,).

        The compiled scanner finds tokens by it. The kinds are constants of this module: `SPACE`,
        `OTHER`, `INVISIBLE`, `MARK`, `INNER` and `LETTER`. The kind of a code point depends on its
        Unicode category and on the settings.
        """
        kinds = character_kinds().copy()
        for kind, characters in (
            (OTHER, self._not_letters()),
            (INNER, self._inner()),
            (INVISIBLE, self._invisible()),
        ):
            kinds[[ord(character) for character in characters]] = kind
        return kinds

    def _inner(self) -> str:
        """Return the characters that may stand inside a word but not at its ends, such as ``'``."""
        apostrophes = APOSTROPHES + VARIANTS["'"] * self.normalize_punctuation
        return JOINERS + apostrophes * self.apostrophes + HYPHENS * self.hyphens

    def _not_letters(self) -> str:
        """Return the letters of Unicode that are treated as punctuation, such as ``ʼ``, if any."""
        return "ʼ" * self.normalize_punctuation


@dataclass(frozen=True)
class Whitespace(Tokenizer):
    """A tokenizer that splits at white space, for text that has already been tokenized."""

    nfc: bool = setting(NFC, default=False)
    normalize_punctuation: bool = setting(PUNCTUATION, default=False)
    drop_invisible: bool = setting(INVISIBLE_MARKS, default=False)

    split: ClassVar[str] = "whitespace"

    def make_splitter(self) -> Callable[[str], list[str]]:
        """Return the function that splits a text at white space.

        If the setting `drop_invisible` is true, it first removes invisible characters.
        """
        if not self.drop_invisible:
            return str.split
        # A token of nothing but invisible characters must not become an empty one.
        invisible = re.compile(f"[{self._invisible()}]")
        return lambda text: invisible.sub("", text).split()

    def make_kinds(self) -> NDArray[np.uint8]:
        """Return the kind of each Unicode code point: uint8 (1114112,).

        The kind is `SPACE` for white space, `INVISIBLE` for characters that are removed, and
        `LETTER` for all others. The compiled scanner finds tokens by it.
        """
        kinds = np.where(character_kinds() == SPACE, SPACE, LETTER).astype(np.uint8)
        kinds[[ord(character) for character in self._invisible()]] = INVISIBLE
        return kinds


TOKENIZERS: dict[str, type[Tokenizer]] = {kind.split: kind for kind in (Words, Whitespace)}


def check_tokenizer(tokenizer: object) -> None:
    """Raise `InputError` if an argument `tokenizer` is neither a `Tokenizer` nor a function."""
    # The class Words, given without brackets, can be called, too, but makes no tokens.
    a_class = isinstance(tokenizer, type) and issubclass(tokenizer, Tokenizer)
    if a_class or not (callable(tokenizer) or isinstance(tokenizer, Tokenizer)):
        raise InputError(
            f"tokenizer={shown(tokenizer)}: must be w2v.Words(...), w2v.Whitespace(...) or a "
            "function from a text to its tokens"
        )


def find_all(pattern: str) -> Callable[[str], list[str]]:
    """Return a function that finds all matches of a regular expression in a text.

    The function returns whole matches, also if the expression has groups.
    """
    compiled = re.compile(pattern)

    def whole_matches(text: str) -> list[str]:
        return [match.group() for match in compiled.finditer(text)]

    # findall is faster, but where the pattern has groups, it returns the groups.
    return whole_matches if compiled.groups else compiled.findall


@cache
def character_kinds() -> NDArray[np.uint8]:
    """Return the kind of each Unicode code point, such as letter or space: uint8 (1114112,).

    The kinds are the constants `SPACE`, `OTHER`, `MARK` and `LETTER` of this module. They depend on
    Unicode only; tokenizers change the kind of some characters as their settings say.
    """
    categories = "".join(map(unicodedata.category, map(chr, range(sys.maxunicode + 1))))
    major = np.frombuffer(categories.encode("ascii"), np.uint8)[::2]
    kinds = np.full(len(major), OTHER, np.uint8)
    kinds[(major == ord("L")) | (major == ord("N"))] = LETTER
    kinds[major == ord("M")] = MARK
    candidates = np.flatnonzero((major == ord("Z")) | (major == ord("C")))
    kinds[[point for point in candidates.tolist() if chr(point).isspace()]] = SPACE
    return kinds


@cache
def words_pattern(inner: str, invisible: str, not_letters: str) -> str:
    """Return a regular expression that matches the tokens of `Words`.

    The compiled scanner (`w2v.text.scanner`) finds the same tokens.

    Parameters
    ----------
    inner
        Characters, such as apostrophes, that may stand inside a token, but not two in a row.
    invisible
        Characters that do not end a token and are removed from it.
    not_letters
        Characters that are treated as punctuation although Unicode calls them letters.
    """
    marks = np.flatnonzero(character_kinds() == MARK)
    starts = marks[np.diff(marks, prepend=-2) > 1]
    ends = marks[np.diff(marks, append=sys.maxunicode + 2) > 1]
    ranges = "".join(
        f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True)
    )
    # Python's \w without the underscore is L and N.
    letter = rf"[^\W_{not_letters}]"
    # The groups are not possessive: those match wrongly in Python 3.11.0 to 3.11.2.
    word = rf"{letter}++(?:[{ranges}{invisible}]++{letter}*+)*"
    return rf"{word}(?:[{re.escape(inner)}]{f'[{invisible}]*+' * bool(invisible)}{word})*"
