"""The vocabulary: which words have vectors, and how often each occurs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError

HEADER = "word\tcount"


@dataclass(frozen=True)
class Vocabulary:
    """Words by falling count, ties in the order of the words.

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
        """Write a table of tab-separated ``word`` and ``count``, UTF-8, with a header."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{HEADER}\n")
            file.writelines(
                f"{w}\t{c}\n" for w, c in zip(self.words, self.counts.tolist(), strict=True)
            )

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            No header, a line that is not a word, a tab and a count, or an unfinished last line.
        """
        try:
            header, *lines, end = path.read_bytes().decode("utf-8").split("\n")
            if header != HEADER or end:
                raise ValueError(path)
            words, counts = zip(*(line.split("\t") for line in lines), strict=True)
            return cls(list(words), np.array(counts, np.int64))
        except ValueError:
            raise InputError(
                f"{path}: not a vocabulary; a line is a word, a tab, a count"
            ) from None


def read_words(path: Path) -> list[str]:
    """The words of a list: one a line, UTF-8, up to a tab if there is one; each once.

    So a saved vocabulary is a list of words, too.

    Raises
    ------
    InputError
        A file that cannot be read, that is not UTF-8 or holds no word.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"vocab.words={path}: is no file; give one word a line")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"vocab.words={path}: cannot be read ({reason})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"vocab.words={path}: byte {error.start} is not UTF-8") from None
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] == HEADER:
        del lines[0]
    words = list(dict.fromkeys(word for line in lines if (word := line.partition("\t")[0].strip())))
    if not words:
        raise InputError(f"vocab.words={path}: holds no word; give one a line")
    return words


def digest_of(words: Sequence[str]) -> str:
    """SHA-256 of a list of words."""
    return hashlib.sha256("\n".join(words).encode("utf-8")).hexdigest()


def build(
    types: Sequence[str],
    counts: NDArray[np.int64],
    min_count: int = 5,
    max_size: int | None = None,
    words: Sequence[str] | None = None,
    keep: Sequence[str] = (),
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the words.

    Parameters
    ----------
    types, counts
        Every type of the corpus and its count, by provisional id.
    min_count
        Words that occur less often are dropped.
    max_size
        At most so many words, the most frequent ones; ``None`` for all.
    words
        Instead of those that occur ``min_count`` times, those of this list that occur.
    keep
        Words that stay if they occur, however rare; they count towards ``max_size``.

    Returns
    -------
    vocabulary : Vocabulary
    ids : int32 (types,)
        From provisional id to vocabulary id, -1 for a dropped type.

    Raises
    ------
    InputError
        Fewer than two words are left: a vocabulary of one has nothing to predict. More words to
        keep than ``max_size``.
    """
    protected = members(types, keep)
    if max_size is not None and protected.sum() > max_size:
        raise InputError(
            f"vocab.keep: {protected.sum()} words are to be kept, and vocab.max_size={max_size} "
            "has no room for them"
        )
    eligible = protected | (counts >= min_count if words is None else members(types, words))
    order = np.flatnonzero(eligible)
    order = np.array(sorted(order.tolist(), key=types.__getitem__), np.int64)
    order = order[np.argsort(-counts[order], kind="stable")]
    if max_size is not None and len(order) > max_size:
        others = np.flatnonzero(~protected[order])[max_size - int(protected.sum()) :]
        order = np.delete(order, others)
    if len(order) < 2:
        limits = f"vocab.min_count={min_count}" if words is None else "vocab.words"
        raise InputError(
            limits
            + (f", vocab.max_size={max_size}" if max_size is not None else "")
            + f" leaves {len(order)} of {len(types)} types, and at least 2 are needed; "
            f"the most frequent type occurs {counts.max(initial=0)} times"
        )
    ids = np.full(len(types), -1, np.int32)
    ids[order] = np.arange(len(order), dtype=np.int32)
    return Vocabulary([types[i] for i in order.tolist()], counts[order]), ids


def members(types: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """Which types are among the words: bool (types,)."""
    if not words:
        return np.zeros(len(types), np.bool_)
    wanted = frozenset(words)
    return np.fromiter((word in wanted for word in types), np.bool_, len(types))


def frequencies(
    counts: NDArray[np.int64], points: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The frequency curve, whose ranks are thinned to even steps of their logarithm.

    Parameters
    ----------
    counts : int64 (types,)
        In any order.
    points
        Ranks to keep, about: equal ones count once.

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
