"""Count the arithmetic that a training needs.

It is the same for every engine. A score, the product of a center and an outside
vector, takes 2 d operations, and each of the two gradients that it leads to takes as many: 6 d for
a score. ``w2v/README.md`` has the derivation.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Task
from w2v.engines.inputs import make_inputs
from w2v.engines.step import make_step, sample, steps
from w2v.losses import LOSSES
from w2v.objectives import ARCHITECTURES, Objective, initial_model, with_loss
from w2v.sampling import draw_key, generator, keep_probabilities, keep_thresholds
from w2v.text.tokens import Text
from w2v.training.bootstrap import bootstrap_sample
from w2v.training.heldout import hold_out

SHARD = 1 << 16
"""Tokens that are read at a time, at least."""


@dataclass(frozen=True)
class Work:
    """The work of one pass over a text.

    Attributes
    ----------
    pairs
        (center, outside) pairs by weight, or predicted words for CBOW, after one draw of the
        sub-sampling.
    scores
        Products of a center and an outside vector; see `w2v.losses.Loss.scores`.
    flops
        Floating-point operations: 6 d for each score.
    """

    pairs: float
    scores: float
    flops: float


def work(text: Text, task: Task, random: np.random.Generator) -> Work:
    """Count the pairs, scores and floating-point operations of one pass over a text.

    Parameters
    ----------
    task
        Gives the objective and the counts. The model is not read.
    random
        Draws which words the sub-sampling keeps.
    """
    objective = task.objective
    keep = keep_probabilities(task.counts, objective.subsample)
    thresholds = keep_thresholds(task.counts, objective.subsample)
    inputs = make_inputs(objective)
    own, *weights = inputs.targets.astype(np.float64).tolist()
    step = make_step(task)
    kept_share = float(keep @ task.counts) / float(task.counts.sum())
    pairs, centers = 0.0, 0
    for shard in text.shards(max(SHARD, round(step.batch_words / kept_share))):
        key = draw_key(random)
        _, kept = sample(shard, thresholds, key)
        ids, documents = kept
        for distance, weight in enumerate(weights[: len(ids)], start=1):
            together = documents[distance:] == documents[:-distance]
            pairs += 2 * weight * np.count_nonzero(together)
        pairs += own * np.count_nonzero(have_neighbours(documents))
        for first, batch in steps(kept, step.batch_size(len(ids)), objective.window):
            centers += inputs.sums(batch, key, first).distinct()
    scores = objective.loss.scores(pairs, centers, keep * task.counts)
    return Work(pairs, scores, 6 * objective.dim * scores)


@cache
def relative_cost(objective: Objective, words: int) -> float:
    """Return what a running word costs, on a scale by which objectives can be compared.

    Only scores are counted, as in `Work`, and all words count as equally frequent.

    Parameters
    ----------
    words
        V, the size of the vocabulary.
    """
    window = 2 * float(objective.pair_weights().sum())
    pairs = window if objective.name == "skipgram" else 1.0
    scores = objective.loss.scores(pairs, 1, np.ones(max(words, 2), np.int64))
    return objective.dim * (scores + window * (objective.name == "cbow"))


def objective_of(model: dict[str, Any], loss: dict[str, Any], **_: Any) -> Objective:
    """Return the objective that settings describe: dictionaries of fields with a ``name``."""
    of_model, of_loss = ({k: one[k] for k in one if k != "name"} for one in (model, loss))
    architecture = ARCHITECTURES[model["name"]][0](**of_model)
    return with_loss(architecture, LOSSES[loss["name"]](**of_loss))


def have_neighbours(documents: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which words are not alone in their document, from the documents of running words."""
    together = documents[1:] == documents[:-1]
    return np.asarray(np.append(together, False) | np.append(False, together), bool)


def first_epoch_work(
    text: Text,
    counts: NDArray[np.int64],
    objective: Objective,
    epochs: int,
    seed: int,
    heldout: float,
    heldout_seed: int,
    bootstrap: bool = False,
) -> Work:
    """Count the work of the first epoch that `w2v.training.train.train` makes of its arguments."""
    objective = replace(objective, subwords=False)  # the rows of n-grams count for no score
    training, _ = hold_out(text, heldout, generator(heldout_seed, "heldout"))
    if bootstrap:
        training = bootstrap_sample(training, generator(seed, "bootstrap"))
    model = initial_model(objective, len(counts), generator(seed, "init"))
    task = Task(model, objective, counts, training.words(), epochs)
    return work(training.shuffled(generator(seed, "order", 1)), task, generator(seed, "work"))
