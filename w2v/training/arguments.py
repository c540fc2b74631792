"""What `w2v.train` is given: every argument is checked before any work."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2v.engines import EngineSettings, check_freezing, check_objective
from w2v.errors import InputError
from w2v.files import local_path
from w2v.losses import LOSSES, Loss, NegativeSampling, Softmax
from w2v.objectives import ARCHITECTURES, Objective, SkipGram
from w2v.settings import SettingError, Settings, at_least, setting
from w2v.text.phrases import Phrases
from w2v.text.sources import Source
from w2v.text.token_lists import TokenLists, shown
from w2v.text.tokenizer import Tokenizer, Words
from w2v.text.vocabulary import (
    Vocabulary,
    VocabularySettings,
    choose,
    read_words,
    with_words,
)
from w2v.training.init import check_init, given_vectors
from w2v.training.model import TrainedModel
from w2v.vectors import WordVectors

VocabularyOf = Literal["new", "union", "given"]
"""Which words a model has that continues another; see `w2v.train`."""

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
"""Names of the same arguments in gensim, where they differ."""


@dataclass(frozen=True)
class OtherSettings(Settings):
    """The settings of `w2v.train` that belong to no other class."""

    seed: int = setting("of everything that is random in training", at_least(0), 0)
    limit: int | None = setting("read at most this many documents", at_least(1), None)
    workers: int | None = setting("threads that tokenize; null: all cores", at_least(1), None)


def refuse_unknown(unknown: Mapping[str, object], function: Callable[..., object]) -> None:
    """Refuse arguments that a function does not have, and say where they belong.

    Parameters
    ----------
    unknown
        What was given beside the arguments of `function`.
    """
    for given in unknown:
        name = OTHER_NAMES.get(given, given)
        owner = next(
            (
                kind.__name__
                for _, kind in ARCHITECTURES.values()
                if name in {one.name for one in fields(kind)} - {"loss"}
            ),
            None,
        )
        if owner:
            right = f"it belongs to the objective, as in w2v.{owner}({name}=...)"
        elif any(name in {one.name for one in fields(loss)} for loss in LOSSES.values()):
            right = f"it belongs to the loss, as in w2v.NegativeSampling({name}=...)"
        else:
            known = [*inspect.signature(function).parameters]
            close = [name] if name in known else difflib.get_close_matches(name, known, n=1)
            right = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:-1])}"
        raise InputError(f"{given}: no such argument here; {right}")


def objective_of(objective: object) -> Objective:
    """Return the objective, `SkipGram` if it is None; refuse what is none."""
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


def check_engine(engine: str, threads: int | None, precision: str, objective: Objective) -> None:
    """Refuse an engine that is not there or cannot train this, or has no such settings."""
    try:
        EngineSettings(engine, threads, precision)
    except SettingError as error:
        name = "engine" if error.name == "name" else error.name
        raise SettingError(error.owner, name, error.value, error.wanted) from None
    check_objective(engine, objective)


def check_others(progress: object, checkpoints: object) -> None:
    """Refuse a `progress` that is neither true nor false, and checkpoints that are no folder."""
    if not isinstance(progress, bool | np.bool_):
        raise InputError(f"progress={shown(progress)}: must be True or False")
    if checkpoints is not None and (
        not isinstance(checkpoints, str | Path) or local_path(checkpoints).is_file()
    ):
        raise InputError(f"checkpoints={shown(checkpoints)}: must be a folder or None")


def phrases_of(phrases: object) -> Phrases:
    """Return the settings of phrases, for None those that join none."""
    if phrases is None:
        return Phrases()
    if not isinstance(phrases, Phrases):
        raise InputError(f"phrases={shown(phrases)}: must be w2v.Phrases(...) or None")
    phrases.fingerprint()  # reads the phrases of another corpus
    return phrases


def word_lists(words: object, keep: object, drop: object) -> tuple[list[str] | None, Any, Any]:
    """Return the arguments of the vocabulary as lists, with the content of files.

    Returns
    -------
    words
        None: those that occur often enough.
    keep, drop

    Raises
    ------
    InputError
        An argument is neither a list of words nor, but for `keep`, a file of them.
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
    """Return the initial vectors, and what messages call them.

    Raises
    ------
    InputError
        They cannot be read, or have another length than those of the objective.
    """
    if init is None:
        return None, ""
    check_init(init, objective)
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
    """Return the words whose vectors stay as they are.

    Raises
    ------
    InputError
        There are no given vectors, a word is not among them, or the engine or the objective cannot
        leave the vectors of some words as they are.
    """
    if freeze is None or (isinstance(freeze, list | tuple | set | frozenset) and not freeze):
        return frozenset()
    if given is None:
        raise InputError(f"freeze={shown(freeze)}: must be empty where there is no init")
    check_freezing(engine)
    # Elsewhere a word shares rows with others, or the rows are not those of words.
    if (
        not isinstance(objective, SkipGram)
        or objective.subwords
        or not isinstance(objective.loss, NegativeSampling | Softmax)
    ):
        raise InputError(
            "freeze: is for w2v.SkipGram without subwords, with negative sampling or the softmax"
        )
    if freeze == "given":
        return frozenset(given.words)
    words = _words("freeze", freeze, file=False)
    for word in words:
        if word not in given:
            raise InputError(f"freeze: {word!r} is not among the {len(given):,} given words")
    return frozenset(words)


def check_vocabulary(
    vocabulary: object, given: WordVectors | None, words: object, loss: Loss
) -> None:
    """Refuse a `vocabulary` that does not exist, or that does not fit the other arguments."""
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
    """Choose the vocabulary of a text, with the words of given vectors.

    Parameters
    ----------
    types, counts, settings, words, drop
        See `w2v.text.vocabulary.choose`.
    given
        None: the vocabulary is of the text alone.
    vocabulary
        ``union`` or ``given``; see `w2v.train`.

    Returns
    -------
    vocabulary : Vocabulary
        The counts are those of the text; 0 for given words that it lacks.
    ids : int32 (types,)
    """
    if given is None:
        return choose(types, counts, settings, words, drop)
    every, occurrences = with_words(types, counts, given.words)
    kept = replace(settings, keep=list(dict.fromkeys([*settings.keep, *given.words])), drop=[])
    only = list(given.words) if vocabulary == "given" else words
    dropped = [word for word in drop if word not in given]
    chosen, ids = choose(every, occurrences, kept, only, dropped)
    return chosen, ids[: len(types)]


def apply_tokenizer(
    source: Source | TokenLists, tokenizer: object
) -> tuple[Source | TokenLists, Tokenizer]:
    """Return the documents with a tokenizer for them.

    A function in place of a tokenizer makes lists of tokens of the documents.

    Raises
    ------
    InputError
        It is no tokenizer, or the documents are lists of tokens, which are not split again.
    """
    if tokenizer is None:
        return source, Words()
    if not isinstance(tokenizer, Tokenizer) and not callable(tokenizer):
        raise InputError(
            f"tokenizer={shown(tokenizer)}: must be w2v.Words(...), w2v.Whitespace(...) or a "
            "function from a text to its tokens"
        )
    if isinstance(source, TokenLists):
        raise InputError(
            f"tokenizer={shown(tokenizer)}: must be None where the documents are lists of tokens, "
            "which are used as they are"
        )
    if isinstance(tokenizer, Tokenizer):
        return source, tokenizer
    texts = (text.removesuffix("\n").removesuffix("\r") for text in source.documents())
    return TokenLists(map(tokenizer, texts)), Words()
