"""Hold part of a text out of training, and compute the loss on it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally
from w2v.sampling import generator
from w2v.text.tokens import Text

MIN_PASSAGE = 100
"""The least number of tokens in a held-out passage. In a text of fewer than 1,000 tokens, the least
is a tenth of the text's tokens, rounded down."""


def hold_out(text: Text, fraction: float, generator: np.random.Generator) -> tuple[Text, Text]:
    """Split a text at random into a training text and a held-out text.

    Normally ``round(fraction * documents)`` documents are held out. If this is 0, but `fraction` is
    above 0, a passage of consecutive tokens is held out instead. Its length is
    ``max(round(fraction * tokens), min(MIN_PASSAGE, tokens // 10))``; if this is 0 as well, nothing
    is held out. Documents are cut at the borders of the passage, so that no window contains words
    of both texts.

    Returns
    -------
    Text
        The training text.
    Text
        The held-out text.
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
    """Return whether `fraction` is above 0, but `fraction` times `documents` is rounded to 0.

    If so, `hold_out` holds out a passage of the text instead of whole documents.
    """
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
    """Interface of an engine that can compute a loss without changing its model.

    `shard_words` is the approximate number of tokens that each call of `loss` gets.
    """

    shard_words: int

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """Return the summed weight of the pairs of a text, and the summed loss of these pairs.

        `random` generates the sub-sampling and the noise words.
        """
        ...


def heldout_loss(engine: Measurer, held_out: Text, seed: int) -> float | None:
    """Return the mean loss per pair on the held-out text, in nats; None if this text has no pairs.

    The sub-sampling and the noise words depend only on `seed`; with the same seed after every
    epoch, the losses can be compared.
    """
    random = generator(seed, "heldout-noise")
    shards = held_out.shards(engine.shard_words)
    return sum((engine.loss(shard, random) for shard in shards), Tally()).mean_loss
