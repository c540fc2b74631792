"""What training has to compute, counted: the same for every engine, whatever it does beyond.

A score, the product of a centre and an outside vector, takes 2 d operations, and the two gradients
that come of it as many each: 6 d for a score. ``w2v/README.md`` has the derivation.
"""

from dataclasses import dataclass

import numpy as np

from w2v.engines import Task
from w2v.engines.numpy import NumpyEngine
from w2v.objectives import NegativeSampling
from w2v.sampling import keep_probabilities
from w2v.text.tokens import Text

PIECE = 1 << 16
"""Tokens read at a time."""


@dataclass(frozen=True)
class Work:
    """A pass over a text.

    Attributes
    ----------
    pairs
        (centre, outside) pairs by weight, after one draw of the sub-sampling.
    scores
        For negative sampling K + 1 of each pair. For the exact softmax V of each distinct centre
        word of a batch: its row of scores serves all its pairs.
    flops
        6 d for each score.
    """

    pairs: float
    scores: float
    flops: float


def work(text: Text, task: Task, random: np.random.Generator) -> Work:
    """Count what a pass over a text has to compute.

    Parameters
    ----------
    task
        The objective and the counts; the model is not read.
    random
        Draws which words the sub-sampling keeps.
    """
    objective = task.objective
    keep = keep_probabilities(task.counts, objective.subsample)
    weights = objective.pair_weights().astype(np.float64)
    by_pair = isinstance(objective.loss, NegativeSampling)
    engine = None if by_pair else NumpyEngine(task)
    pairs, centers = 0.0, 0
    for piece in text.pieces(engine.piece_words if engine else PIECE):
        ids, documents = piece.chunk()
        kept = random.random(len(ids), dtype=np.float32) < keep[ids]
        ids, documents = ids[kept], documents[kept]
        for distance, weight in enumerate(weights[: len(ids)], start=1):
            together = documents[distance:] == documents[:-distance]
            pairs += 2 * weight * np.count_nonzero(together)
        if engine:
            size = engine.step.batch_size(len(ids))
            batches = [ids[first : first + size] for first in range(0, len(ids), size)]
            centers += sum(len(np.unique(batch)) for batch in batches)
    if isinstance(objective.loss, NegativeSampling):
        scores = pairs * (objective.loss.negatives + 1)
    else:
        scores = float(centers * len(task.counts))
    return Work(pairs, scores, 6 * objective.dim * scores)
