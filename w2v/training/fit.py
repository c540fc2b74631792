"""Train on a tokenized corpus, optionally from given vectors, some of which may be frozen."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Frozen
from w2v.objectives import Objective
from w2v.sampling import generator
from w2v.text.tokens import open_text
from w2v.text.vocabulary import Vocabulary
from w2v.threads import limited_threads
from w2v.training.init import model_from
from w2v.training.result import word_vectors
from w2v.training.schedule import TrainingSettings
from w2v.training.train import Stopped, Trained, train
from w2v.vectors import WordVectors


def fit(
    corpus: Path,
    vocabulary: Vocabulary,
    ids: NDArray[np.int32],
    objective: Objective,
    settings: TrainingSettings,
    *,
    given: WordVectors | None = None,
    name: str = "",
    freeze: Collection[str] = (),
    engine: str = "numba",
    threads: int = 1,
    seed: int = 0,
    score: Callable[[WordVectors], dict[str, float]] | None = None,
    **options: Any,
) -> Trained:
    """Train word vectors on a corpus folder.

    Parameters
    ----------
    corpus
        The folder of the tokenized text; `w2v.text.tokens` describes its files.
    vocabulary : Vocabulary
        The words that get a vector.
    ids : int32 (types,)
        The word id of each distinct word of the corpus, -1 for a word without a vector, as returned
        by `w2v.text.vocabulary.choose`.
    objective
        The architecture (skip-gram or CBOW) and its loss.
    settings
        Epochs, learning rate, held-out text, bootstrap and early stopping. Its settings of initial
        vectors and of checkpoints are ignored.
    given
        Initial vectors. Words without one start from random vectors.
    name
        The name of `given` in error messages, such as its path.
    freeze
        Words of `given` whose center vectors are not changed by training. If `given` has outside
        vectors, the outside vectors of these words are not changed either. Otherwise, their outside
        vectors start from zero and are trained.
    engine, threads, seed
        The key of the engine in `w2v.engines.ENGINES`, its number of threads, and the random seed.
    score
        A function that computes scores of the vectors, by name. It is called after each epoch, or
        less often with the option `every`; before training, too, if early stopping watches a score.
    **options
        Other arguments of `w2v.training.train.train`.

    Returns
    -------
    Trained
        The trained vectors, the history of losses, and figures such as times. If initial vectors
        were given, it says how many words started from one (`Trained.given`).

    Raises
    ------
    InputError
        There is nothing to learn from, the loss is no longer finite, or the initial vectors do not
        fit; see `w2v.training.train.train` and `w2v.training.init.model_from`.
    Stopped
        The function ``options["stop"]`` returned True.
    """
    initial, count, frozen = None, None, None
    if given is not None:
        random = generator(seed, "init")
        initial, count = model_from(given, vocabulary.words, objective, random, name)
        if freeze:
            chosen = frozenset(freeze)
            rows = np.array([word in chosen and word in given for word in vocabulary.words])
            of_words = objective.loss.output_vectors == "words"
            frozen = Frozen(rows, rows & (given.outside is not None and of_words))
    # NumPy need not report overflow: `train` checks after each shard that the loss is finite.
    with np.errstate(all="ignore"), limited_threads(threads):
        try:
            trained = train(
                open_text(corpus, ids),
                vocabulary.counts,
                objective,
                settings,
                words=vocabulary.words,
                engine=engine,
                threads=threads,
                seed=seed,
                heldout=settings.heldout,
                heldout_seed=settings.heldout_seed,
                bootstrap=settings.bootstrap,
                early=settings.early_stopping,
                score=score and (lambda model: score(word_vectors(vocabulary, model, objective))),
                initial=initial,
                frozen=frozen,
                **options,
            )
        except Stopped as stopped:
            so_far = stopped.so_far
            raise Stopped(lambda: replace(so_far(), given=count)) from None
    return replace(trained, given=count)
