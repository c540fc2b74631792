"""Estimate the costs of a round of cluster training: changed rows, message sizes and memory.

In a round, all workers train on different parts of the text, and then combine their changes.
"""

import numpy as np

from w2v.engines import Task
from w2v.engines.tiles import NOISE, SHARED
from w2v.losses import NegativeSampling
from w2v.objectives import SkipGram
from w2v.sampling import NoiseDistribution, keep_probabilities

ROW_NUMBER = 4
"""The size in bytes of a row's index, which a worker sends with each row that it changed."""


def changed_rows(task: Task, words: int) -> float:
    """Estimate how many rows of the model a worker changes by training on `words` words.

    The rows of the input and the output matrix are counted. If the objective is skip-gram, the loss
    is negative sampling, and there are no subwords, the estimate assumes that the words of the text
    and the noise words are drawn independently. In all other cases, the result is an upper bound,
    the number of all rows. `task` is the training task: the model, the objective and the counts of
    the words.
    """
    loss = task.objective.loss
    rows = sum(len(table) for table in task.model)
    simple = isinstance(task.objective, SkipGram) and not task.objective.subwords
    if not simple or not isinstance(loss, NegativeSampling):
        return float(rows)
    frequency = task.counts / task.counts.sum()
    kept = words * frequency * keep_probabilities(task.counts, task.objective.subsample)
    noise = NoiseDistribution(task.counts, loss.exponent).probabilities
    drawn = kept.sum() * NOISE / SHARED * noise
    return float((1 - np.exp(-kept)).sum() + (1 - np.exp(-kept - drawn)).sum())


def message_bytes(task: Task, words: int) -> int:
    """Estimate the size in bytes of what a worker sends after training on `words` words.

    The worker sends the rows of the model that it changed, and their indices. `changed_rows`
    estimates how many these are, but only if the objective is skip-gram, the loss is negative
    sampling, and there are no subwords. In all other cases, all rows are counted, so that the
    result is an upper bound. `task` is the training task: the model, the objective and the counts
    of the words.
    """
    return round(changed_rows(task, words) * (4 * task.objective.dim + ROW_NUMBER))


def replica_bytes(task: Task, words: int, workers: int) -> int:
    """Estimate the memory in bytes that training takes in one process, without the text.

    A process holds two copies of the model, before and after training on its parts of the text. It
    also holds the changes of its own workers, and a part of the changes of all workers, which it
    combines.

    Parameters
    ----------
    task
        The training task: the model, the objective and the counts of the words.
    words
        The number of words that a worker trains on before changes are combined.
    workers
        The number of workers in this process.
    """
    return 2 * sum(table.nbytes for table in task.model) + (2 + workers) * message_bytes(
        task, words
    )
