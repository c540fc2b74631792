"""Count the floating-point operations of a training; the numbers are the same for all engines.

Most operations are for scores, the dot products of an input (center) vector and an output (outside)
vector. A score takes 2 d operations for vectors of dimension d, and so does each of the two
gradients that depend on it: 6 d in all. ``w2v/README.md`` has the derivation.
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
"""About how many tokens `work` reads at a time, unless a single training step takes more."""


@dataclass(frozen=True)
class Work:
    """The number of pairs, dot products and floating-point operations in one pass over a text.

    Attributes
    ----------
    pairs
        The summed weight of the (center, outside) pairs after sub-sampling; with a dynamic window,
        a pair's weight is the probability that the window contains it, otherwise 1. For CBOW, the
        number of predicted words.
    scores
        The number of dot products of an input and an output vector.
    flops
        The number of floating-point operations: 6 d for each dot product, for dimension d.
    """

    pairs: float
    scores: float
    flops: float


def work(text: Text, task: Task, random: np.random.Generator) -> Work:
    """Count the pairs, dot products and floating-point operations of one pass over a text.

    Parameters
    ----------
    text
        The documents.
    task
        Contains the objective and the words' counts. The values of its vectors do not matter.
    random
        The random generator of sub-sampling and, for CBOW, of the window sizes.
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
    """Estimate the relative cost of training per word of text, to compare objectives.

    The result is the number of dot products of an input and an output vector that are computed per
    word, times d, the dimension of vectors. For CBOW, adding one vector of a context word counts
    like a dot product. All words of the vocabulary are assumed to be equally frequent.

    Parameters
    ----------
    objective
        The architecture and the loss.
    words
        The number of words in the vocabulary, V.
    """
    window = 2 * float(objective.pair_weights().sum())
    pairs = window if objective.name == "skipgram" else 1.0
    scores = objective.loss.scores(pairs, 1, np.ones(max(words, 2), np.int64))
    return objective.dim * (scores + window * (objective.name == "cbow"))


def objective_of(model: dict[str, Any], loss: dict[str, Any], **_: Any) -> Objective:
    """Make an objective from the settings of an architecture and of a loss.

    `model` and `loss` each have the key ``name``, and the settings of the architecture or the loss.
    Other arguments are ignored.
    """
    of_model, of_loss = ({k: one[k] for k in one if k != "name"} for one in (model, loss))
    architecture = ARCHITECTURES[model["name"]][0](**of_model)
    return with_loss(architecture, LOSSES[loss["name"]](**of_loss))


def have_neighbours(documents: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return for each token whether its document has more than one token: bool (tokens,).

    `documents` has the document number of each token of a text, int32 (tokens,), in text order.
    """
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
    """Count the pairs, dot products and floating-point operations of the first epoch of a training.

    The numbers are close to those of the training, but not equal: sub-sampling is random, and keeps
    other words here than in the training, but about as many.

    Parameters
    ----------
    text
        The documents, before some are held out.
    counts : int64 (V,)
        How often each word of the vocabulary occurs.
    heldout
        The fraction of documents that are held out.
    heldout_seed
        The seed that chooses the held-out documents.
    bootstrap
        Whether training uses a bootstrap sample of the documents that are not held out.
    """
    objective = replace(objective, subwords=False)  # n-grams change no number of dot products
    training, _ = hold_out(text, heldout, generator(heldout_seed, "heldout"))
    if bootstrap:
        training = bootstrap_sample(training, generator(seed, "bootstrap"))
    model = initial_model(objective, len(counts), generator(seed, "init"))
    task = Task(model, objective, counts, training.words(), epochs)
    return work(training.shuffled(generator(seed, "order", 1)), task, generator(seed, "work"))
