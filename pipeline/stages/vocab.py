"""Counts to a vocabulary."""

from pathlib import Path
from typing import Any

import numpy as np

from w2v import vocabulary
from w2v.tokens import read_types

VOCABULARY = "vocabulary.tsv"
IDS = "ids.npy"


def vocab(out: Path, corpus: Path, min_count: int, max_size: int | None) -> dict[str, Any]:
    """Write ``vocabulary.tsv`` and ``ids.npy``, the map from provisional ids to the words' ids."""
    types, counts = read_types(corpus)
    words, ids = vocabulary.build(types, counts, min_count, max_size)
    words.save(out / VOCABULARY)
    np.save(out / IDS, ids)
    kept, total = int(words.counts.sum()), int(counts.sum())
    return {"size": len(words), "tokens_kept": kept, "tokens_dropped": total - kept}
