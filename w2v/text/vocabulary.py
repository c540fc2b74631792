"""The vocabulary: which words have vectors, how it is chosen, and its file ``vocabulary.tsv``."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.files import read_vocabulary, write_vocabulary
from w2v.settings import Limit, SettingError, Settings, at_least, setting, text


@dataclass(frozen=True)
class VocabularySettings(Settings):
    """Which types of a corpus become words of the vocabulary; see `build`."""

    min_count: int = setting("drop words that occur less often", at_least(1), 5)
    max_size: int | None = setting(
        "keep at most this many words, the most frequent ones; null: all", at_least(2), None
    )
    words: str | None = setting(
        "file with one word a line: these words are the vocabulary, if they occur, instead of "
        "those that occur min_count times",
        text("a path"),
        None,
    )
    keep: list[str] = setting(
        "words that stay if they occur, however rare",
        Limit("different words", lambda words: all(words) and len(set(words)) == len(words)),
        [],
    )


@dataclass(frozen=True)
class Vocabulary:
    """Words by falling count; words of equal count by code points.

    Attributes
    ----------
    words : list of str
        The word of each id.
    counts : int64 (V,)
        Occurrences in the corpus.
    """

    words: list[str]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    def save(self, path: Path) -> None:
        """Write the words and counts; see `w2v.files.write_vocabulary`."""
        write_vocabulary(path, self.words, self.counts)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            See `w2v.files.read_vocabulary`; or the file has no words or no counts.
        """
        words, counts = read_vocabulary(path)
        if counts is None or not words:
            raise InputError(f"{path}: holds no words with counts")
        return cls(words, counts)


def read_words(path: Path) -> list[str]:
    """Read a list of words, which may also be a saved vocabulary.

    A line is a word in UTF-8, up to a tab if there is one. Blank lines and repeated words are
    skipped.

    Raises
    ------
    SettingError
        The file cannot be read, is not UTF-8 or holds no word.
    """

    def refused(wanted: str) -> SettingError:
        return SettingError(VocabularySettings, "words", str(path), wanted)

    if path.exists() and not path.is_file():
        raise refused("a file of one word a line")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise refused(f"a file that can be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise refused(f"a file in UTF-8; byte {error.start} is not") from None
    lines = content.replace("\r\n", "\n").split("\n")
    if lines[0] == "word\tcount":
        del lines[0]
    words = list(dict.fromkeys(word for line in lines if (word := line.partition("\t")[0].strip())))
    if not words:
        raise refused("a file with at least one word, one a line")
    return words


def digest_of(words: Sequence[str]) -> str:
    """Return the SHA-256 of a list of words, in hexadecimal."""
    return hashlib.sha256("\n".join(words).encode("utf-8")).hexdigest()


def build(
    types: Sequence[str],
    counts: NDArray[np.int64],
    min_count: int = 5,
    max_size: int | None = None,
    words: Sequence[str] | None = None,
    keep: Sequence[str] = (),
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the words of the vocabulary.

    Parameters
    ----------
    types, counts : list of str, int64 (types,)
        Every type of the corpus and how often it occurs, by provisional id.
    min_count
        Drop the types that occur less often.
    max_size
        Keep at most this many words, the most frequent ones; None: all.
    words
        Choose these words, if they occur, instead of those that occur `min_count` times.
    keep
        Words that stay if they occur, however rare. They count towards `max_size`.

    Returns
    -------
    vocabulary : Vocabulary
    ids : int32 (types,)
        The vocabulary id of each provisional id; -1 for a dropped type.

    Raises
    ------
    SettingError
        Fewer than two words are left (with one word there is nothing to predict), or `max_size`
        is too small for the words to keep. The class of the error's settings is
        `VocabularySettings`.
    """
    kept = contained(types, keep)
    least = max(2, int(kept.sum()))
    if max_size is not None and max_size < least:
        wanted = f"at least {least} ({kept.sum()} words are to be kept)"
        raise SettingError(VocabularySettings, "max_size", max_size, wanted)
    eligible = kept | (counts >= min_count if words is None else contained(types, words))
    order = np.flatnonzero(eligible)
    order = np.array(sorted(order.tolist(), key=types.__getitem__), np.int64)
    order = order[np.argsort(-counts[order], kind="stable")]
    if max_size is not None and len(order) > max_size:
        others = np.flatnonzero(~kept[order])[max_size - int(kept.sum()) :]
        order = np.delete(order, others)
    if len(order) < 2:
        left = (
            f"that leaves at least 2 of {len(types)} types, not {len(order)}; "
            f"the most frequent type occurs {counts.max(initial=0)} times"
        )
        if words is None:
            raise SettingError(VocabularySettings, "min_count", min_count, f"a count {left}")
        raise SettingError(VocabularySettings, "words", f"({len(words)} words)", f"a list {left}")
    ids = np.full(len(types), -1, np.int32)
    ids[order] = np.arange(len(order), dtype=np.int32)
    return Vocabulary([types[i] for i in order.tolist()], counts[order]), ids


def contained(types: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each type is one of the words: bool (types,)."""
    wanted = frozenset(words)
    return np.fromiter((word in wanted for word in types), np.bool_, len(types))


def frequencies(
    counts: NDArray[np.int64], points: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the curve of count over rank, at ranks evenly spaced on a logarithmic axis.

    Parameters
    ----------
    counts : int64 (types,)
        In any order.
    points
        The largest number of ranks.

    Returns
    -------
    ranks, counts : int64 (n,)
        Ranks from 1 to the number of types, and the counts of the types at these ranks.
    """
    falling = np.sort(counts)[::-1]
    if len(falling) == 0:
        return np.empty(0, np.int64), falling
    ranks = np.unique(np.round(np.geomspace(1, len(falling), points)).astype(np.int64))
    return ranks, falling[ranks - 1]
