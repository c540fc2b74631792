"""What a round costs, told before any work: rows that change, bytes that travel, memory."""

import numpy as np

from w2v.engines import Task
from w2v.engines.negative_sampling import CENTERS, NOISE
from w2v.losses import NegativeSampling
from w2v.objectives import SkipGram
from w2v.sampling import NoiseDistribution, keep_probabilities

ROW_NUMBER = 4
"""Bytes of the number that is sent with a row."""


def changed_rows(task: Task, words: int) -> float:
    """Return how many rows of both tables a worker changes on average by training so many words.

    For skip-gram with negative sampling, each draw of a word counts as independent. For all else
    it is the number of all rows, which is an upper bound.
    """
    loss = task.objective.loss
    rows = sum(len(table) for table in task.model)
    simple = isinstance(task.objective, SkipGram) and not task.objective.subwords
    if not simple or not isinstance(loss, NegativeSampling):
        return float(rows)
    frequency = task.counts / task.counts.sum()
    kept = words * frequency * keep_probabilities(task.counts, task.objective.subsample)
    noise = NoiseDistribution(task.counts, loss.exponent).probabilities
    drawn = kept.sum() * NOISE / CENTERS * noise
    return float((1 - np.exp(-kept)).sum() + (1 - np.exp(-kept - drawn)).sum())


def message_bytes(task: Task, words: int) -> int:
    """Return the size of what a worker sends after training so many words; see `changed_rows`."""
    return round(changed_rows(task, words) * (4 * task.objective.dim + ROW_NUMBER))


def replica_bytes(task: Task, words: int, workers: int) -> int:
    """Return the memory that one process takes for a replica, beside the text.

    It holds the model before the round and the model that is trained, the changes of its workers,
    and while changes are combined, a piece of those of all. `workers` is the number of its own.
    """
    return 2 * sum(table.nbytes for table in task.model) + (2 + workers) * message_bytes(
        task, words
    )
