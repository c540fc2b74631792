"""The vocabulary: which words have vectors, and how often each occurs."""

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


def build(
    types: Sequence[str],
    counts: NDArray[np.int64],
    min_count: int = 5,
    max_size: int | None = None,
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the words that are frequent enough.

    Parameters
    ----------
    types, counts
        Every type of the corpus and its count, by provisional id.
    min_count
        Words that occur less often are dropped.
    max_size
        At most so many words, the most frequent ones; ``None`` for all.

    Returns
    -------
    vocabulary : Vocabulary
    ids : int32 (types,)
        From provisional id to vocabulary id, -1 for a dropped type.

    Raises
    ------
    InputError
        Fewer than two words are left: a vocabulary of one has nothing to predict.
    """
    occurrences = counts.tolist()
    frequent = np.flatnonzero(counts >= min_count).tolist()
    frequent.sort(key=lambda i: (-occurrences[i], types[i]))
    chosen = np.array(frequent[:max_size], np.int64)
    if len(chosen) < 2:
        raise InputError(
            f"vocab.min_count={min_count}"
            + (f", vocab.max_size={max_size}" if max_size is not None else "")
            + f" leaves {len(chosen)} of {len(types)} types, and at least 2 are needed; "
            f"the most frequent type occurs {counts.max(initial=0)} times"
        )
    ids = np.full(len(types), -1, np.int32)
    ids[chosen] = np.arange(len(chosen), dtype=np.int32)
    return Vocabulary([types[i] for i in chosen], counts[chosen]), ids
