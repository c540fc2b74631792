"""Hold documents out of the training, and measure the loss on them after each epoch."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally
from w2v.sampling import generator
from w2v.text.tokens import Text

MIN_PASSAGE = 100
"""The shortest passage that is held out of a text of few documents, in tokens."""


def hold_out(text: Text, fraction: float, generator: np.random.Generator) -> tuple[Text, Text]:
    """Split a text at random into a training text and a held-out text.

    ``round(fraction * documents)`` documents are held out. If that is 0, because there are few
    documents, a passage of the text is held out. It has `fraction` of the tokens; or `MIN_PASSAGE`
    tokens if these are more, but then at most a tenth of the text. A document is cut where the
    passage begins or ends in it, and its parts become documents, so that no window reaches across.
    """
    documents = len(text.spans)
    if holds_out_passage(documents, fraction):
        length = max(round(fraction * text.size), min(MIN_PASSAGE, text.size // 10))
        if length > 0:
            return _hold_out_passage(text, length, generator)
    chosen = np.zeros(documents, bool)
    chosen[generator.choice(documents, round(fraction * documents), replace=False)] = True
    return (
        Text(text.tokens, text.ids, text.spans[~chosen]),
        Text(text.tokens, text.ids, text.spans[chosen]),
    )


def holds_out_passage(documents: int, fraction: float) -> bool:
    """Return whether `hold_out` takes a passage, because the documents are too few."""
    return fraction > 0 and round(fraction * documents) == 0


def _hold_out_passage(text: Text, length: int, generator: np.random.Generator) -> tuple[Text, Text]:
    size = text.size
    first = int(generator.integers(size - length + 1))
    # Positions count tokens of the documents one after another, wherever these are in the file.
    lengths = text.spans[:, 1] - text.spans[:, 0]
    before = np.cumsum(lengths) - lengths

    def between(start: int, end: int) -> NDArray[np.int64]:
        inside = np.stack([np.maximum(start, before), np.minimum(end, before + lengths)], axis=1)
        spans: NDArray[np.int64] = inside + (text.spans[:, 0] - before)[:, np.newaxis]
        return spans[inside[:, 0] < inside[:, 1]]

    left = np.concatenate([between(0, first), between(first + length, size)])
    return (
        Text(text.tokens, text.ids, left),
        Text(text.tokens, text.ids, between(first, first + length)),
    )


class Measurer(Protocol):
    """An engine that computes the loss of a shard of text and leaves its model as it is."""

    shard_words: int

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """Return the number of pairs in a shard and the sum of their losses."""
        ...


def heldout_loss(engine: Measurer, held_out: Text, seed: int) -> float | None:
    """Return the mean loss per pair on held-out text, in nats; None if the text has no pairs.

    `seed` draws the sub-sampling and the noise words, so these are the same after every epoch.
    """
    random = generator(seed, "heldout-noise")
    shards = held_out.shards(engine.shard_words)
    return sum((engine.loss(shard, random) for shard in shards), Tally()).mean_loss
