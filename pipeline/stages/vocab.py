"""Counts to a vocabulary."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2v.text import vocabulary
from w2v.text.tokens import read_types

VOCABULARY = "vocabulary.tsv"
IDS = "ids.npy"
FREQUENCIES = "frequencies.csv"
POINTS = 1000
"""Of the frequency curve, about."""


def vocab(
    out: Path,
    corpus: Path,
    min_count: int,
    max_size: int | None,
    words: Sequence[str] | None,
    keep: Sequence[str],
) -> dict[str, Any]:
    """Write ``vocabulary.tsv``, ``ids.npy``, the map from provisional ids to the words' ids, and
    ``frequencies.csv``, rank and count of the corpus's types at ranks in even steps of their
    logarithm."""
    types, counts = read_types(corpus)
    chosen, ids = vocabulary.build(types, counts, min_count, max_size, words, keep)
    chosen.save(out / VOCABULARY)
    np.save(out / IDS, ids)
    ranks, falling = vocabulary.frequencies(counts, POINTS)
    table = pd.DataFrame({"rank": ranks, "count": falling})
    table.to_csv(out / FREQUENCIES, index=False, lineterminator="\n")
    kept, total = int(chosen.counts.sum()), int(counts.sum())
    facts: dict[str, Any] = {
        "size": len(chosen),
        "types": len(types),
        "types_dropped": len(types) - len(chosen),
        "tokens_kept": kept,
        "tokens_dropped": total - kept,
        "out_of_vocabulary": (total - kept) / total,
        "once": int((counts == 1).sum()),
    }
    wanted = [*(words or ()), *keep]
    if wanted:
        present = set(chosen.words)
        missing = [word for word in dict.fromkeys(wanted) if word not in present]
        facts |= {"missing": len(missing), "missing_words": missing[:20]}
    return facts
