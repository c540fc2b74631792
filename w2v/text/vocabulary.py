"""The vocabulary: the words that get vectors, how they are chosen, and how they are saved."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import local_path, read_vocabulary, write_vocabulary
from w2v.limits import Limit, at_least, text
from w2v.settings import SettingError, Settings, setting
from w2v.text.punctuation import PLAIN

MAX_WORD = 1000
"""The most characters of a word in the vocabulary. Longer tokens are left out, because they are
data, such as images in base64."""

NUMBER = r"[-+]?\d[\d.,_]*(?:[eE][-+]?\d+)?"
WORD_COUNT = re.compile(rf"\s*(\S+)(?:\s+{NUMBER})+\s*")
COUNT_WORD = re.compile(rf"\s*{NUMBER}\s+(\S+)\s*")
WORD_COMMA_COUNT = re.compile(rf"\s*\"?([^\s,;\"]+)\"?(?:\s*[,;]\s*{NUMBER})+\s*")
"""Matches ``the,100``; `WORD_COUNT` matches ``the 100``, and `COUNT_WORD` matches ``100 the``."""
HEADER = re.compile(r"\W*(word|token|type|term)s?\W*[\s,;]\W*[a-z].*", re.IGNORECASE)
"""Matches the header of a table of words, such as ``word,count``."""


@dataclass(frozen=True)
class VocabularySettings(Settings):
    """The settings that choose which types (distinct tokens) of a corpus are in the vocabulary."""

    min_count: int = setting("drop words that occur less often", at_least(1), 5)
    max_size: int | None = setting(
        "keep at most this many words, the most frequent ones; null: all", at_least(2), None
    )
    words: str | None = setting(
        "file with one word a line, counts are skipped: these words are the vocabulary, if they "
        "occur, instead of those that occur min_count times",
        text("a path"),
        None,
    )
    keep: list[str] = setting(
        "words that stay if they occur, however rare",
        Limit("different words", lambda words: all(words) and len(set(words)) == len(words)),
        [],
    )
    drop: Any = setting(
        "words that are left out, such as stop words: a list, or a file with one word a line",
        Limit(
            "a file or a list of words",
            lambda drop: (
                bool(drop.strip())
                if isinstance(drop, str)
                else isinstance(drop, Sequence) and all(isinstance(w, str) and w for w in drop)
            ),
        ),
        [],
    )
    max_share: float | None = setting(
        "drop words that make up a larger share of the tokens, such as 0.01; null: none",
        Limit("above 0 and below 1", lambda share: 0 < share < 1),
        None,
    )

    def words_to_drop(self) -> list[str]:
        """Return the words of the setting `drop`, reading them if it names a file.

        Raises
        ------
        SettingError
            The file cannot be read, is not UTF-8 or holds no word; or a word is also in `keep`.
        """
        drop = self.drop
        words = read_words(drop, "drop") if isinstance(drop, str) else [*drop]
        both = sorted({*words} & {*self.keep})
        if both:
            wanted = f"words other than those of keep; {both[0]!r} is in both"
            raise SettingError(VocabularySettings, "drop", self.drop, wanted)
        return words


@dataclass(frozen=True)
class Vocabulary:
    """The words that have vectors, sorted by descending count, then by code point.

    Attributes
    ----------
    words : list of str
        The words; the index of a word is its id.
    counts : int64 (V,)
        How often each word occurs in the corpus.
    """

    words: list[str]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    def save(self, path: Path) -> None:
        """Write a table with a header and one line per word: the word, a tab and its count."""
        write_vocabulary(path, self.words, self.counts)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a vocabulary that `save` wrote.

        Raises
        ------
        InputError
            The file cannot be read, is malformed, or has no words or no counts.
        """
        words, counts = read_vocabulary(path)
        if counts is None or not words:
            raise InputError(f"{path}: holds no words with counts")
        return cls(words, counts)


def read_words(path: str | Path, name: str = "words") -> list[str]:
    """Read a list of words from a file with one word per line.

    These are skipped:

    - a count after the word and white space, and anything after a tab;
    - a count before the word (``100 the``), but only if every line has one;
    - a count after the word and a comma or semicolon (``the,100``), but only if every line has one;
    - a header such as ``word,count``: a first line of two or more names, separated by white space,
      commas or semicolons, of which the first is ``word``, ``token``, ``type``, ``term`` or a
      plural of these;
    - in a file called ``vocabulary.tsv``, a first line ``word``;
    - blank lines and repeated words.

    Parameters
    ----------
    name
        The setting that names the file, for messages.

    Raises
    ------
    SettingError
        The file cannot be read, is not UTF-8 or holds no word.
    """

    def refused(wanted: str) -> SettingError:
        return SettingError(VocabularySettings, name, str(path), wanted)

    path = local_path(path)
    try:
        if path.exists() and not path.is_file():
            raise refused("a file of one word a line")
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise refused(f"a file that can be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise refused(f"a file in UTF-8; byte {error.start} is not") from None
    lines = content.replace("\r\n", "\n").split("\n")
    saved = path.name == "vocabulary.tsv" and lines[0] == "word"  # saved without counts
    if saved or HEADER.fullmatch(lines[0]):
        del lines[0]
    lines = [line for line in lines if line.strip()]
    words = list(dict.fromkeys(words_of(lines)))
    if not words:
        raise refused("a file with at least one word, one a line")
    return words


def words_of(lines: list[str]) -> list[str]:
    """Return the words in lines such as ``the`` or ``the 100``, without the counts.

    `lines` are those of a file with one word per line, without a header and blank lines;
    `read_words` lists the forms that they may have. Repeated words are kept.
    """
    after = [WORD_COUNT.fullmatch(line) for line in lines]
    for pattern in () if all(after) else (COUNT_WORD, WORD_COMMA_COUNT):
        matches = [pattern.fullmatch(line) for line in lines]
        if all(matches):
            return [match[1] for match in matches if match]
    words = [
        match[1] if match else line.partition("\t")[0].strip()
        for match, line in zip(after, lines, strict=True)
    ]
    return [word for word in words if word]


def digest_of(words: Sequence[str]) -> str:
    """Return the SHA-256 of a list of words in the given order, in hexadecimal."""
    return hashlib.sha256("\n".join(words).encode("utf-8")).hexdigest()


def build(
    types: Sequence[str],
    counts: NDArray[np.int64],
    min_count: int = 5,
    max_size: int | None = None,
    words: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    max_share: float | None = None,
    given: Sequence[str] = (),
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the words of the vocabulary from the types (distinct tokens) of a corpus.

    Types of more than `MAX_WORD` characters are always dropped. A word of `words`, `keep` or `drop`
    with typographic apostrophes or hyphens also matches the type that has ASCII ones.

    Parameters
    ----------
    types, counts : list of str, int64 (types,)
        The types, and how often each occurs.
    max_size
        Keep at most this many words, the most frequent ones; None: all.
    words
        Choose the types among these words, whatever their count; None: the types that occur
        `min_count` times or more.
    keep, given
        Words that are chosen, if they are types, even if another argument would drop them; they
        count towards `max_size`. A word of `given` must be spelled exactly like the type.
    max_share
        Drop the types that make up more than this fraction of all tokens; None: do not.

    Returns
    -------
    vocabulary : Vocabulary
    ids : int32 (types,)
        The vocabulary id of each type; -1 if it is not in the vocabulary.

    Raises
    ------
    SettingError
        Fewer than two words are left, or `max_size` is too small for the words to keep.
    """
    short = ~too_long(types)
    kept = (contained(types, keep) | among(types, given)) & short
    least = max(2, int(kept.sum()))
    if max_size is not None and max_size < least:
        wanted = f"at least {least} ({kept.sum()} words are to be kept)"
        raise SettingError(VocabularySettings, "max_size", max_size, wanted)
    # Each step leaves fewer types. The first that leaves fewer than two is refused.
    most = int(counts.argmax()) if len(counts) else None
    occurs = f"occurs {counts.max(initial=0)} times"
    if long := len(types) - int(short.sum()):
        occurs += f"; {long} of more than {MAX_WORD:,} characters are left out"
    found = f"the most frequent type {occurs}"
    if words is None:
        chosen = counts >= min_count
        check_enough(kept | chosen & short, "min_count", min_count, "a count", found)
    else:
        chosen = contained(types, words)
        listed = [*words, *given]
        shown = ", ".join([*map(shortened, listed[:3]), *["…"] * (len(listed) > 3)])
        looked = f"({len(listed)} words: {shown})"
        if most is not None:
            found = f"the most frequent type, {shortened(types[most])}, {occurs}"
        check_enough(kept | chosen & short, "words", looked, "a list", found)
    eligible = chosen & short & ~contained(types, drop)
    check_enough(kept | eligible, "drop", f"({len(drop)} words)", "a list", found)
    if max_share is not None:
        eligible &= counts <= max_share * counts.sum()
        check_enough(kept | eligible, "max_share", max_share, "a share", found)
    eligible |= kept
    order = np.flatnonzero(eligible)
    order = np.array(sorted(order.tolist(), key=types.__getitem__), np.int64)
    order = order[np.argsort(-counts[order], kind="stable")]
    if max_size is not None and len(order) > max_size:
        others = np.flatnonzero(~kept[order])[max_size - int(kept.sum()) :]
        order = np.delete(order, others)
    ids = np.full(len(types), -1, np.int32)
    ids[order] = np.arange(len(order), dtype=np.int32)
    return Vocabulary([types[i] for i in order.tolist()], counts[order]), ids


def choose(
    types: Sequence[str],
    counts: NDArray[np.int64],
    settings: VocabularySettings,
    words: Sequence[str] | None,
    drop: Sequence[str],
    given: Sequence[str] = (),
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the words of the vocabulary by settings; a wrapper of `build`.

    ``settings.words`` and ``settings.drop`` are not used, because they may name files. The caller
    reads the files, and passes the words as `words` and `drop`. Words that are not among `types`
    are ignored. See `build` for words with other spellings of apostrophes and hyphens.

    Parameters
    ----------
    types, counts
        The types (distinct tokens) of the corpus, and how often each occurs.
    words
        The words to choose, whatever their count; None: the types that occur ``settings.min_count``
        times or more.
    drop
        The words to leave out, except those in ``settings.keep`` and `given`.
    given
        Further words to choose, spelled exactly like the types.

    Returns
    -------
    vocabulary : Vocabulary
    ids : int32 (types,)
        The vocabulary id of each type; -1 if it is not in the vocabulary.
    """
    limits = settings.min_count, settings.max_size
    return build(types, counts, *limits, words, settings.keep, drop, settings.max_share, given)


def with_words(
    types: Sequence[str], counts: NDArray[np.int64], words: Sequence[str]
) -> tuple[list[str], NDArray[np.int64]]:
    """Add words to the types of a corpus, with a count of 0, if they do not occur in it.

    Parameters
    ----------
    types, counts
        The types (distinct tokens) of the corpus, and how often each occurs.
    words
        Words that are to be in the vocabulary even if they do not occur in the corpus.

    Returns
    -------
    types, counts
        The types of the corpus followed by the added words, and their counts.
    """
    known = set(types)
    lacking = [word for word in words if word not in known]
    return [*types, *lacking], np.concatenate([counts, np.zeros(len(lacking), np.int64)])


def check_enough(left: NDArray[np.bool_], name: str, value: object, kind: str, found: str) -> None:
    """Raise a `SettingError` if a setting leaves fewer than two types (distinct tokens).

    Parameters
    ----------
    left : bool (types,)
        Whether each type remains.
    name, value
        The name and value of the setting.
    kind
        What kind of value it is, such as "a count", for the message.
    found
        A remark about the corpus, at the end of the message.
    """
    if left.sum() < 2:
        wanted = f"{kind} that leaves at least 2 of {len(left)} types, not {left.sum()}; {found}"
        raise SettingError(VocabularySettings, name, value, wanted)


def shortened(word: str) -> str:
    """Return a word in quotes, cut to 40 characters, for a message."""
    return repr(word if len(word) <= 40 else f"{word[:39]}…")


def too_long(types: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each type (distinct token) has over `MAX_WORD` characters: bool (types,)."""
    return np.fromiter(map(len, types), np.int64, len(types)) > MAX_WORD


def contained(types: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each type (distinct token) is one of `words`: bool (types,).

    A word with typographic apostrophes or hyphens also matches the type that has the ASCII
    characters in their place, because tokenizers replace them by default.
    """
    return among(types, [*words, *(word.translate(PLAIN) for word in words)])


def among(types: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each type (distinct token) is exactly one of `words`, case included.

    The result is bool (types,).
    """
    wanted = frozenset(words)
    return np.fromiter((word in wanted for word in types), np.bool_, len(types))


def coverage(
    types: Sequence[str],
    counts: NDArray[np.int64],
    chosen: Vocabulary,
    wanted: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> dict[str, Any]:
    """Return how much of a corpus a vocabulary covers.

    Parameters
    ----------
    types, counts
        The types (distinct tokens) of the corpus, and how often each occurs.
    wanted, drop
        Words that the vocabulary should have, and words that it should not have.

    Returns
    -------
    dict
        - ``size``, ``types``: the numbers of words in the vocabulary, and of types.
        - ``tokens_kept``: the number of tokens in the vocabulary.
        - ``types_dropped``, ``tokens_dropped``: the numbers of types and tokens outside it.
        - ``out_of_vocabulary``: the fraction of tokens outside it.
        - ``once``: the number of types that occur only once.
        - ``too_long``, if not 0: the number of types longer than `MAX_WORD` characters.
        - ``words_to_drop_found``, if `drop` is given: how many types are among these words.
        - ``missing``, ``missing_words``, if `wanted` is given: how many of these words the
          vocabulary lacks, and the first 20 of them.
    """
    kept, total = int(chosen.counts.sum()), int(counts.sum())
    facts: dict[str, Any] = {
        "size": len(chosen),
        "types": len(types),
        "types_dropped": len(types) - int(np.count_nonzero(chosen.counts)),
        "tokens_kept": kept,
        "tokens_dropped": total - kept,
        "out_of_vocabulary": (total - kept) / total,
        "once": int((counts == 1).sum()),
    }
    if count := int(too_long(types).sum()):
        facts["too_long"] = count
    if drop:
        facts["words_to_drop_found"] = int(contained(types, drop).sum())
    if wanted:
        present = set(chosen.words)
        missing = [w for w in dict.fromkeys(wanted) if present.isdisjoint((w, w.translate(PLAIN)))]
        facts |= {"missing": len(missing), "missing_words": missing[:20]}
    return facts


def frequencies(
    counts: NDArray[np.int64], points: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return some points of the rank-frequency curve of types (distinct tokens), for a plot.

    Parameters
    ----------
    counts : int64 (types,)
        How often each type occurs, in any order.
    points
        The largest number of ranks to return.

    Returns
    -------
    ranks, counts : int64 (n,)
        Ranks from 1 (the most frequent type) to the number of types, evenly spaced on a logarithmic
        axis, and the counts of the types with these ranks.
    """
    falling = np.sort(counts)[::-1]
    if len(falling) == 0:
        return np.empty(0, np.int64), falling
    ranks = np.unique(np.round(np.geomspace(1, len(falling), points)).astype(np.int64))
    return ranks, falling[ranks - 1]
