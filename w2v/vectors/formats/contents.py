"""What a file of word vectors holds, whatever its format."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.vectors.ngrams import Subwords


class Contents(NamedTuple):
    """The content of a file or folder of word vectors that was read, or is to be written.

    Attributes
    ----------
    words
        V words.
    vectors
        (V, d) float32 or float16. Only the folders that `write_folder` writes hold float16.
    counts
        (V,) int64, how often each word occurs in the corpus; None if unknown.
    outside
        (V, d), the outside vectors; None if there are none.
    subwords
        The n-grams from which unknown words get a vector; None if there are none.
    """

    words: Sequence[str]
    vectors: NDArray[np.float32]
    counts: NDArray[np.int64] | None = None
    outside: NDArray[np.float32] | None = None
    subwords: Subwords | None = None
