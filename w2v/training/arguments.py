"""Check and convert the arguments of `w2v.train`."""

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2v.cluster.settings import ClusterSettings, RaySettings
from w2v.engines import EngineSettings, check_freezing, check_objective
from w2v.errors import InputError
from w2v.files import local_path
from w2v.limits import at_least
from w2v.losses import LOSSES, Loss, NegativeSampling
from w2v.objectives import ARCHITECTURES, Objective, SkipGram
from w2v.settings import SettingError, Settings, setting
from w2v.text.phrases import Phrases
from w2v.text.sources import Source
from w2v.text.token_lists import SplitTexts, TokenLists, shown
from w2v.text.tokenizer import Tokenizer, Words, check_tokenizer
from w2v.text.vocabulary import (
    Vocabulary,
    VocabularySettings,
    choose,
    contained,
    read_words,
    with_words,
)
from w2v.training.init import given_vectors
from w2v.training.model import TrainedModel
from w2v.vectors import WordVectors

VocabularyOf = Literal["new", "union", "given"]
"""The values of the argument `vocabulary` of `w2v.train`, whose docstring explains them."""

Split = Callable[[str], Iterable[str]]
"""A function from a text to its tokens."""

OTHER_NAMES = {
    "vector_size": "dim",
    "size": "dim",
    "negative": "negatives",
    "ns_exponent": "exponent",
    "sample": "subsample",
    "alpha": "lr",
    "min_alpha": "min_lr",
    "iter": "epochs",
    "max_final_vocab": "max_size",
    "max_vocab_size": "max_size",
    "sentences": "documents",
    "corpus_file": "documents",
}
"""For names of gensim's arguments, the names of the same arguments in this library."""


@dataclass(frozen=True)
class OtherSettings(Settings):
    """The arguments `seed`, `limit` and `workers` of `w2v.train`, checked when an instance is made.

    Raises
    ------
    SettingError
        An argument has the wrong type or a value that is not allowed.
    """

    seed: int = setting("of everything that is random in training", at_least(0), 0)
    limit: int | None = setting("read at most this many documents", at_least(1), None)
    workers: int | None = setting("threads that tokenize; null: all cores", at_least(1), None)


def refuse_unknown(unknown: Mapping[str, object], function: Callable[..., object]) -> None:
    """Raise an error for arguments that a function does not have, with a hint for the user.

    Parameters
    ----------
    unknown
        The arguments, by name, that are not parameters of `function`; may be empty.
    function
        The function that was called, such as `w2v.train`.

    Raises
    ------
    InputError
        There is an unknown argument. The message suggests a similar name, or says that the
        argument belongs to the objective or to the loss; names used by gensim are recognized. If
        there is no similar name, the message lists the parameters of `function`.
    """
    for given in unknown:
        name = OTHER_NAMES.get(given, given)
        groups: dict[str, list[Any]] = {
            "objective": [kind for _, kind in ARCHITECTURES.values()],
            "loss": [*LOSSES.values()],
        }
        owners = [
            f"it belongs to the {group}, as in w2v.{kind.__name__}({name}=...)"
            for group, kinds in groups.items()
            for kind in kinds
            if name in {one.name for one in fields(kind)} - {"loss"}
        ]
        if owners:
            right = owners[0]
        else:
            known = [*inspect.signature(function).parameters]
            close = [name] if name in known else difflib.get_close_matches(name, known, n=1)
            right = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:-1])}"
        raise InputError(f"{given}: no such argument here; {right}")


def objective_of(objective: object) -> Objective:
    """Validate and return the argument `objective` of `w2v.train`; for None, return `SkipGram()`.

    Raises
    ------
    InputError
        `objective` is not an `Objective`, or its attribute `loss` is not a `Loss`.
    """
    if objective is None:
        return SkipGram()
    if not isinstance(objective, Objective):
        raise InputError(
            f"objective={shown(objective)}: must be an objective, as in w2v.SkipGram(dim=100)"
        )
    if not isinstance(objective.loss, Loss):
        raise InputError(
            f"objective: its loss is {shown(objective.loss)}; must be w2v.NegativeSampling(...), "
            "w2v.HierarchicalSoftmax() or w2v.Softmax(...)"
        )
    return objective


def check_engine(
    engine: str, threads: int | None, precision: str, objective: Objective
) -> int | None:
    """Check that an engine exists, accepts `threads` and `precision`, and trains the objective.

    Returns
    -------
    int or None
        The number of threads; None if `threads` is None, which every engine accepts and which
        stands for all cores.

    Raises
    ------
    InputError
        The engine does not exist or is not installed, `threads` or `precision` is invalid for it,
        or it cannot train the objective.
    """
    try:
        threads = EngineSettings(engine, threads, precision).threads
    except SettingError as error:
        name = "engine" if error.name == "name" else error.name
        raise SettingError(error.owner, name, error.value, error.wanted) from None
    check_objective(engine, objective)
    return threads


def cluster_of(
    cluster: object, address: object, engine: str, objective: Objective
) -> ClusterSettings:
    """Check the arguments `cluster` and `ray_address` of `w2v.train`; return the worker settings.

    If `cluster` is None, `ClusterSettings()` is returned: training without workers.

    Raises
    ------
    InputError
        `cluster` is neither None nor a `ClusterSettings`, or the workers cannot train the objective
        with the engine; or `address` is neither None nor of the form host:port, or is given
        although the workers are not on Ray.
    """
    if cluster is None:
        cluster = ClusterSettings()
    if not isinstance(cluster, ClusterSettings):
        raise InputError(
            f'cluster={shown(cluster)}: must be None, or such as w2v.ClusterSettings("ray", 8)'
        )
    cluster.check(engine, objective)
    try:
        RaySettings(address)  # type: ignore[arg-type]
    except SettingError as error:
        raise SettingError(error.owner, "ray_address", error.value, error.wanted) from None
    if address is not None and cluster.name != "ray":
        raise InputError(f'ray_address={address}: needs cluster=w2v.ClusterSettings("ray", …)')
    return cluster


def check_others(progress: object, checkpoints: object) -> None:
    """Check the arguments `progress` and `checkpoints` of `w2v.train`.

    Raises
    ------
    InputError
        `progress` is not a boolean; `checkpoints` is neither None nor a path, or it is the path of
        a file.
    """
    if not isinstance(progress, bool | np.bool_):
        raise InputError(f"progress={shown(progress)}: must be True or False")
    if checkpoints is not None and (
        not isinstance(checkpoints, str | Path) or local_path(checkpoints).is_file()
    ):
        raise InputError(f"checkpoints={shown(checkpoints)}: must be a folder or None")


def phrases_of(phrases: object) -> Phrases:
    """Check and return the argument `phrases` of `w2v.train`: how words are joined into phrases.

    For None, `Phrases()` is returned, a setting with which no words are joined.

    Raises
    ------
    InputError
        `phrases` is neither None nor a `Phrases`; or its field `from_` names a file or folder from
        which phrases cannot be read.
    """
    if phrases is None:
        return Phrases()
    if not isinstance(phrases, Phrases):
        raise InputError(f"phrases={shown(phrases)}: must be w2v.Phrases(...) or None")
    phrases.fingerprint()  # reads the phrases of another corpus
    return phrases


def word_lists(words: object, keep: object, drop: object) -> tuple[list[str] | None, Any, Any]:
    """Return the arguments `words`, `keep` and `drop` of `w2v.train` as lists without repetitions.

    `words` and `drop` may also be the path of a file with one word per line.

    Returns
    -------
    words
        The words to choose from the text; None if `words` is None: words are then chosen by count.
    keep
        Words that get a vector if they occur in the text, whatever their count.
    drop
        Words that get no vector, unless `keep` has them.

    Raises
    ------
    InputError
        An argument is not a list of words, `words` is empty, or a file cannot be read or holds no
        word.
    """
    return (
        None if words is None else _words("words", words, file=True),
        _words("keep", keep, file=False),
        _words("drop", drop, file=True),
    )


def _words(name: str, value: Any, file: bool) -> list[str]:
    if isinstance(value, str | Path) and file:
        return read_words(value, name)
    alternative = "a file or " * file
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"{name}={shown(value)}: must be {alternative}a list of words")
    found = list(value)
    for word in found:
        if not isinstance(word, str) or not word:
            raise InputError(f"{name}: holds {shown(word)}; words are strings")
    if name == "words" and not found:
        raise InputError("words=[]: must be a list of at least two words")
    return list(dict.fromkeys(found))


def initial_vectors(init: object, objective: Objective) -> tuple[WordVectors | None, str]:
    """Return the vectors given as the argument `init` of `w2v.train`; load them if it is a path.

    Parameters
    ----------
    init
        Word vectors, a trained model, the path of saved vectors, or None.
    objective
        The objective, whose dimension the vectors must have.

    Returns
    -------
    WordVectors or None
        The vectors; None if `init` is None.
    str
        The path or another name of the vectors for error messages; empty if `init` is None.

    Raises
    ------
    InputError
        `init` is of another type, the vectors cannot be read, or their dimension is not that of the
        objective.
    """
    if init is None:
        return None, ""
    name = str(init) if isinstance(init, str | Path) else "(vectors)"
    if isinstance(init, str | Path):
        given = given_vectors(init)
    elif isinstance(init, TrainedModel):
        given = init.vectors
    elif isinstance(init, WordVectors):
        given = init
    else:
        raise InputError(
            f"init={shown(init)}: must be a model, word vectors, or the path of vectors"
        )
    if given.dimensions != objective.dim:
        raise InputError(
            f"init={name}: its vectors have {given.dimensions} numbers; give an objective of that "
            f"length, as in w2v.SkipGram(dim={given.dimensions})"
        )
    return given, name


def words_to_freeze(
    freeze: object, given: WordVectors | None, engine: str, objective: Objective
) -> frozenset[str]:
    """Return the words whose vectors are not changed by training.

    Parameters
    ----------
    freeze
        The argument `freeze` of `w2v.train`: a list of words; ``"given"`` for all words of `given`;
        an empty list or None for no words.
    given
        The initial vectors, if there are any.

    Raises
    ------
    InputError
        `freeze` has another value; there are words to freeze, but no initial vectors; a word to
        freeze is not among the words of `given`; or the engine or the objective cannot freeze the
        vectors of single words.
    """
    named = isinstance(freeze, str)
    if freeze is None or (isinstance(freeze, Collection) and not named and len(freeze) == 0):
        return frozenset()
    if given is None:
        raise InputError(f"freeze={shown(freeze)}: must be empty where there is no init")
    check_freezing(engine, objective)
    if named and freeze == "given":
        return frozenset(given.words)
    words = _words("freeze", freeze, file=False)
    for word in words:
        if word not in given:
            raise InputError(f"freeze: {word!r} is not among the {len(given):,} given words")
    return frozenset(words)


def check_vocabulary(
    vocabulary: object, given: WordVectors | None, words: object, loss: Loss
) -> None:
    """Check the argument `vocabulary` of `w2v.train`: which words the model gets.

    ``"new"`` stands for words from the text, ``"given"`` for the words of the initial vectors
    (`given`), and ``"union"`` for both.

    Raises
    ------
    InputError
        One of these holds:

        - `vocabulary` has another value;
        - it is not ``"new"``, and there are no initial vectors;
        - it is not ``"new"``, and the loss is negative sampling with a noise exponent of 0 or less,
          by which words that do not occur in the text would be drawn as noise words;
        - it is ``"given"``, and `words` is not None.
    """
    if vocabulary not in get_args(VocabularyOf):
        raise InputError(f"vocabulary={shown(vocabulary)}: must be new, union or given")
    if vocabulary == "new":
        return
    if given is None:
        raise InputError(f"vocabulary={vocabulary}: must be new where there is no init")
    if vocabulary == "given" and words is not None:
        raise InputError("words: must be None with vocabulary=given, which has exactly these words")
    if isinstance(loss, NegativeSampling) and loss.exponent <= 0:
        raise InputError(
            f"vocabulary={vocabulary}: must be new where exponent={loss.exponent}, by which words "
            "that the text lacks would be noise"
        )


def choose_with_given(
    types: Sequence[str],
    counts: NDArray[np.int64],
    settings: VocabularySettings,
    words: Sequence[str] | None,
    drop: Sequence[str],
    given: WordVectors | None,
    vocabulary: VocabularyOf,
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Choose the vocabulary of a text; include the words of the initial vectors, if any.

    Parameters
    ----------
    types, counts
        The types (distinct tokens) of the text, and how often each occurs.
    settings
        The other settings; the fields `words` and `drop` are not used.
    words
        Choose these words of the text, whatever their count; None: choose by count.
    drop
        Words that are not chosen, even if `given` has them. ``settings.keep`` takes precedence.
    given
        The initial vectors; None: choose from the text alone.
    vocabulary
        ``"given"``: choose the words of `given`, and the words of ``settings.keep`` that occur in
        the text. ``"union"``: also choose the words that would be chosen without `given`.
        ``settings.max_share`` does not exclude words of `given`.

    Returns
    -------
    vocabulary : Vocabulary
        With the counts of the text; 0 for words that do not occur in it.
    ids : int32 (types,)
        The vocabulary id of each type; -1 if it is not in the vocabulary.
    """
    if given is None:
        return choose(types, counts, settings, words, drop)
    dropped = contained(given.words, [*drop])
    kept = [word for word, drops in zip(given.words, dropped, strict=True) if not drops]
    every, occurrences = with_words(types, counts, kept)
    only = [] if vocabulary == "given" else words
    chosen, ids = choose(every, occurrences, settings, only, drop, kept)
    return chosen, ids[: len(types)]


def apply_tokenizer(
    source: Source | TokenLists, tokenizer: Tokenizer | Split | None
) -> tuple[Source | TokenLists | SplitTexts, Tokenizer]:
    """Check the argument `tokenizer` of `w2v.train`; return the documents and a `Tokenizer`.

    If `tokenizer` is None or a `Tokenizer`, the result is `source` and the `Tokenizer`; None stands
    for `Words()`. If it is a function from a text to its tokens, the result is a `SplitTexts`,
    which applies the function to each document, and `Words()`, which is not used.

    Raises
    ------
    InputError
        `tokenizer` is not None, a `Tokenizer` or a function; or it is not None although the
        documents of `source` are already lists of tokens.
    """
    if tokenizer is None:
        return source, Words()
    check_tokenizer(tokenizer)
    if isinstance(source, TokenLists):
        raise InputError(
            f"tokenizer={shown(tokenizer)}: must be None where the documents are lists of tokens, "
            "which are used as they are"
        )
    if isinstance(tokenizer, Tokenizer):
        return source, tokenizer
    return SplitTexts(source, tokenizer), Words()
