"""Join words that often occur together into one token: ``new york`` becomes ``new_york``.

Two neighboring words are a phrase if they occur together more often than their own counts suggest
(Mikolov et al. 2013b, section 4). Each pass over the text joins pairs, so two passes find phrases
of up to four words. There may also be connectors, words such as "of", between the words of a
phrase. The counts of connectors are not part of the score.

The phrases and scores are those of gensim's ``Phrases``. As in gensim, all that becomes the same
text is counted together: the pairs ``a_b c`` and ``a b_c`` and the word ``a_b_c`` share one count.
"""

import csv
import hashlib
import math
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.files import local_path
from w2v.limits import Limit, at_least, finite, one_of, text
from w2v.settings import Settings, setting
from w2v.text.tokens import NOT_A_TOKEN, ArrayWriter, read_types

WINDOW = 1 << 20
"""How many tokens are read at a time.

More are read if all but the first are connectors: words such as "of" that may be inside phrases.
"""

HASH_BASE = 0x9E3779B97F4A7C15

PHRASES = "phrases.csv"
"""The name of the table of phrases in a corpus folder; see `write_phrases`."""

FILES = ("tokens.npy", "offsets.npy", "types.txt", "counts.npy")

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Phrases(Settings):
    """The settings by which words that often occur together are found and joined.

    The score of a pair of words (a, b) depends on the setting `scoring`:

    - ``default``: (count(a, b) - min_count) / (count(a) count(b)) * types, where `types` is the
      number of distinct words (without connectors) and pairs (Mikolov et al. 2013b, equation 6, as
      gensim scales it);
    - ``npmi``: log(p(a, b) / (p(a) p(b))) / -log p(a, b), where p is a count divided by the number
      of tokens (Bouma 2009).

    A pair is counted as the joined word: (new, york) and ``new_york`` share one count.

    Raises
    ------
    SettingError
        A value is not allowed.
    """

    passes: int = setting(
        "passes over the text, 0 for no phrases; each joins pairs, so 2 find up to four words",
        at_least(0),
        0,
    )
    threshold: float = setting(
        "a pair that scores more is a phrase; from -1 to 1 with scoring=npmi", finite(), 10.0
    )
    min_count: int = setting(
        "a pair that does not occur more often is not a phrase; with npmi, less often",
        at_least(1),
        5,
    )
    scoring: str = setting(
        "default or npmi, as in gensim's Phrases", one_of(("default", "npmi")), "default"
    )
    joiner: str = setting(
        "character between the words of a phrase",
        # With several characters, different phrases could have the same text.
        Limit(
            "one character that is not white space",
            lambda joiner: len(joiner) == 1 and not NOT_A_TOKEN.search(joiner),
        ),
        "_",
    )
    connectors: tuple[str, ...] = setting(
        "words that may stand inside a phrase; for English: a, an, the, for, of, with, without, "
        "at, from, to, in, on, by, and, or",
        Limit("words without white space", lambda words: not any(map(NOT_A_TOKEN.search, words))),
        (),
    )
    from_: str | None = setting(
        "phrases that were found in another corpus are joined, and no others: its folder of tokens "
        "or its phrases.csv",
        text("a folder or a file"),
        None,
    )

    def __post_init__(self) -> None:
        words = self.connectors
        if isinstance(words, list | set | frozenset):  # as gensim's ENGLISH_CONNECTOR_WORDS
            words = tuple(words if isinstance(words, list) else sorted(words))
            object.__setattr__(self, "connectors", words)
        if isinstance(self.from_, Path):
            object.__setattr__(self, "from_", str(self.from_))
        super().__post_init__()
        if self.scoring == "npmi" and not -1 <= self.threshold <= 1:
            self.refuse("threshold", "from -1 to 1 for scoring=npmi")
        if self.scoring == "default" and self.threshold <= 0:
            self.refuse("threshold", "above 0")
        if self.from_ is not None and self.passes:
            self.refuse("passes", "0 where phrases are from another corpus, with its passes")

    @property
    def wanted(self) -> bool:
        """Whether any phrases are to be joined: found in this corpus, or read from a table."""
        return self.passes > 0 or self.from_ is not None

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-serializable dict that changes when the phrases may change.

        It contains the settings. In place of the path in `from_`, it has a checksum of the phrases
        in the table at this path.

        Raises
        ------
        SettingError
            The table cannot be read.
        """
        learnt = None if self.from_ is None else repr(read_phrases(self)).encode("utf-8")
        digest = None if learnt is None else hashlib.sha256(learnt).hexdigest()
        return {**asdict(self), "from_": digest}


class Phrase(NamedTuple):
    """A phrase: a pair of words, or of phrases of an earlier pass, that scores above the threshold.

    Attributes
    ----------
    number
        The number of the pass over the text that found the phrase, from 1.
    words
        The two words and any connectors (such as "of") between them, separated by spaces.
    phrase
        The joined token, such as ``new_york``.
    score
        The score of the pair; `Phrases` has the formulas.
    occurrences
        How often the pair occurs, with these connectors, in the corpus in which it was found (with
        ``Phrases.from_``, another corpus).
    joined
        How often the pair was joined in the corpus that is rewritten. Of two overlapping pairs,
        only one can be joined.
    """

    number: int
    words: str
    phrase: str
    score: float
    occurrences: int
    joined: int


class Joined(NamedTuple):
    """The result of `join_phrases`, which rewrites a corpus so that each phrase is one token.

    Attributes
    ----------
    tokens, types
        The numbers of tokens and of types (distinct tokens) of the rewritten corpus.
    phrases
        The phrases that were found in the corpus, or read from a table.
    """

    tokens: int
    types: int
    phrases: list[Phrase]


def join_phrases(
    folder: Path, settings: Phrases, progress: Callable[[int, float], None] = lambda *_: None
) -> Joined:
    """Rewrite the files of a tokenized corpus so that each phrase is one token.

    Types (distinct tokens) are again numbered by first appearance, and their counts are recomputed.
    Memory grows by about 50 bytes for each type and each different pair of neighboring words, but
    not with the length of the text.

    Parameters
    ----------
    folder
        The folder of the corpus (`w2v.text.tokens`), whose files are replaced.
    settings
        How phrases are found.
    progress
        Called after each part of the text, with the number of the pass over the text and the
        fraction of the pass that is done.

    Raises
    ------
    SettingError
        The table of phrases that the setting `from_` names cannot be read; or the text has too many
        different sequences of connectors (words such as "of"): 2^63 / n^2 or more, for n types.
    """

    def half(number: int, start: float) -> Callable[[float], None]:
        return lambda fraction: progress(number, start + fraction / 2)

    phrases: list[Phrase] = []
    learnt = [] if settings.from_ is None else read_phrases(settings)
    for number, rows in groupby(learnt, key=lambda phrase: phrase.number):
        phrases += _join_learnt(folder, settings, list(rows), partial(progress, number))
    for number in range(1, settings.passes + 1):
        corpus = _Corpus(folder, settings)
        found = _score(corpus, settings, half(number, 0.0))
        if not len(found.keys):
            break
        joined = _rewrite(corpus, found, half(number, 0.5))
        phrases += sorted(
            map(
                Phrase,
                [number] * len(found.keys),
                found.words,
                found.texts,
                found.scores.tolist(),
                found.counts.tolist(),
                joined.tolist(),
            ),
            key=lambda phrase: (-phrase.score, phrase.words),
        )
    types, counts = read_types(folder)
    return Joined(int(counts.sum()), len(types), phrases)


def write_phrases(path: Path, phrases: Iterable[Phrase]) -> None:
    """Write phrases as CSV, one per row in the given order, after a header.

    The columns are the fields of `Phrase`; in the header, `number` is called ``pass``.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["pass", *Phrase._fields[1:]])
        table.writerows(phrases)


def read_phrases(settings: Phrases) -> list[Phrase]:
    """Read phrases from the table at the path ``settings.from_``, and sort them by pass.

    Phrases are found in passes over a text, numbered from 1: a pass may join the phrases of earlier
    passes. The path may also be that of a folder, in which the table has the name `PHRASES`.

    Raises
    ------
    SettingError
        The file cannot be read or is not a table of phrases.
    """
    path = local_path(str(settings.from_))
    number = 0
    try:
        path = path / PHRASES if path.is_dir() else path
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            if next(table, None) != ["pass", *Phrase._fields[1:]]:
                raise ValueError("its columns are others")
            phrases = []
            for row in table:
                number += 1
                at, words, phrase, score, occurrences, joined = row
                counts = int(occurrences), int(joined)
                phrases.append(Phrase(int(at), words, phrase, float(score), *counts))
                if NOT_A_TOKEN.search(phrase) or len(words.split()) < 2:
                    raise ValueError
    except OSError as error:
        settings.refuse("from_", f"a folder with {PHRASES}, or such a file ({error.strerror})")
    except (ValueError, csv.Error) as error:
        place = f"row {number}" if number else error
        settings.refuse("from_", f"the {PHRASES} of another corpus; it is damaged ({place})")
    return sorted(phrases, key=lambda phrase: phrase.number)


class _Window(NamedTuple):
    """Consecutive tokens of a corpus, and the pairs of neighboring words among them.

    Words with only connectors (such as "of") between them are neighbors, too.

    Attributes
    ----------
    ids : int64 (n,)
        The type id of each token.
    words : int64 (m,)
        The positions in `ids` of the words that are not connectors.
    pairs : int64 (p,)
        The indices i in `words` for which words i and i + 1 are in the same document.
    keys : int64 (p,)
        An integer that identifies each pair with its connectors (`_Corpus.keys`).
    """

    ids: Ids
    words: Ids
    pairs: Ids
    keys: Ids


class _Corpus:
    """A tokenized corpus that is read part by part, to find pairs of neighboring words.

    Words with only connectors (such as "of") between them are neighbors, too. Pairs with different
    connectors are different pairs. Each sequence of connectors has an id, the index of its node in
    a trie: node 0 is the empty sequence, and the child of a node has one connector more.
    """

    def __init__(self, folder: Path, settings: Phrases) -> None:
        self.folder = folder
        self.settings = settings
        self.types, self.counts = read_types(folder)
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
        connectors = set(settings.connectors)
        self.connector: Flags = np.array([word in connectors for word in self.types], np.bool_)
        self.children: dict[int, int] = {}
        self.sequences: list[tuple[int, ...]] = [()]

    def window(self, start: int, size: int) -> _Window:
        """Read up to `size` tokens from the index `start`; find their pairs of neighboring words.

        Words with only connectors (such as "of") between them are neighbors, too.
        """
        ids = self.tokens[start : start + size].astype(np.int64)
        words = np.flatnonzero(~self.connector[ids])
        first, last = np.searchsorted(self.offsets, [start + 1, start + len(ids)])
        borders = np.zeros(len(ids), np.int64)
        borders[self.offsets[first:last] - start] = 1
        document = np.cumsum(borders)[words]
        pairs = np.flatnonzero(document[1:] == document[:-1])
        left, right = words[pairs], words[pairs + 1]
        nodes = self._nodes(ids, left, right - left - 1)
        return _Window(ids, words, pairs, self.keys(nodes, ids[left], ids[right]))

    def keys(self, nodes: Ids, left: Ids, right: Ids) -> Ids:
        """Return an integer that identifies each pair of words and its connectors: int64 (n,).

        Connectors are words such as "of" that may stand between the two words. Equal pairs with
        equal connectors have equal integers, all others have different ones.

        Parameters
        ----------
        nodes : int64 (n,)
            The id of the sequence of connectors between the two words: the index of the sequence's
            node in a trie. 0 is the empty sequence.
        left, right : int64 (n,)
            The type ids of the two words.

        Raises
        ------
        SettingError
            There are so many sequences of connectors that the integer could exceed 63 bits.
        """
        types = len(self.types)
        if len(self.sequences) * types**2 >= 1 << 63:
            self.settings.refuse(
                "connectors",
                f"fewer words: there are too many different sequences of them "
                f"({len(self.sequences)}) for {types} types",
            )
        return (nodes * types + left) * types + right

    def _nodes(self, ids: Ids, left: Ids, gaps: Ids) -> Ids:
        """Return an id of the connectors between the two words of each pair: int64 (p,).

        Connectors are words such as "of" that may stand inside a phrase. Pairs with the same
        sequence of connectors get the same id, and 0 is the empty sequence. New sequences, and the
        new shorter ones that they begin with, get the next ids.

        Parameters
        ----------
        ids : int64 (n,)
            The type ids of consecutive tokens.
        left : int64 (p,)
            The position in `ids` of the first word of each pair.
        gaps : int64 (p,)
            The number of connectors between the two words.
        """
        nodes = np.zeros(len(left), np.int64)
        active, depth = np.flatnonzero(gaps), 1
        while len(active):
            steps = nodes[active] * len(self.types) + ids[left[active] + depth]
            distinct, inverse = np.unique(steps, return_inverse=True)
            nodes[active] = np.array([self.child(step) for step in distinct.tolist()])[inverse]
            active = active[gaps[active] > depth]
            depth += 1
        return nodes

    def child(self, step: int) -> int:
        """Return the id of a sequence of connectors that is one longer than a known sequence.

        Connectors are words such as "of" that may stand inside a phrase. Their sequences are the
        nodes of a trie: the longer sequence is a child of the known one. It is added to the trie,
        and gets the next id, if it is new.

        Parameters
        ----------
        step
            The known sequence and the added connector as one integer: the id of the known sequence,
            times the number of types (distinct tokens), plus the type id of the connector.
        """
        if step not in self.children:
            node, connector = divmod(step, len(self.types))
            self.children[step] = len(self.sequences)
            self.sequences.append((*self.sequences[node], connector))
        return self.children[step]

    def split(self, keys: Ids) -> tuple[Ids, Ids, Ids]:
        """Decode the integers by which `_Corpus.keys` identifies pairs of words.

        Returns
        -------
        left, nodes, right : int64 (n,)
            For each pair: the type id of the first word, the id of the sequence of connectors
            (words such as "of") in between, and the type id of the last word. The id of the empty
            sequence is 0.
        """
        rest, right = np.divmod(keys, len(self.types))
        nodes, left = np.divmod(rest, len(self.types))
        return left, nodes, right

    def texts(self, keys: Ids, separator: str) -> list[str]:
        """Return the text of each pair of words, given the integers that identify pairs.

        A text consists of the two words and the connectors in between, joined by `separator`.
        """
        return [
            separator.join([self.types[i] for i in (left, *self.sequences[node], right)])
            for left, node, right in zip(*(a.tolist() for a in self.split(keys)), strict=True)
        ]


# Counting


class _PairCounter:
    """Counts how often each key is added; a key is an integer that stands for a pair of words.

    The keys are kept in several sorted arrays without repetitions, each more than twice as long as
    the next. Arrays of similar length are merged, so that each key is copied only a logarithmic
    number of times.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[Ids, Ids]] = []

    def add(self, keys: Ids) -> None:
        """Add an array of keys, integers that stand for pairs of words, to the counts.

        A key may occur several times in the array, and is then counted as often.
        """
        self.runs.append(np.unique(keys, return_counts=True))
        while len(self.runs) > 1 and 2 * len(self.runs[-1][0]) >= len(self.runs[-2][0]):
            self._merge()

    def result(self) -> tuple[Ids, Ids]:
        """Return the distinct keys that were added, sorted, and the count of each.

        A key is an integer that stands for a pair of words. Both arrays are int64 (n,).
        """
        while len(self.runs) > 1:
            self._merge()
        return self.runs[0]

    def _merge(self) -> None:
        (keys, counts), (others, more) = self.runs[-2:]
        del self.runs[-2:]
        place = np.searchsorted(keys, others)
        known = keys[np.minimum(place, len(keys) - 1)] == others if len(keys) else place < 0
        counts[place[known]] += more[known]
        new = ~known
        keys = np.insert(keys, place[new], others[new])
        self.runs.append((keys, np.insert(counts, place[new], more[new])))


def _pair_counts(corpus: _Corpus, progress: Callable[[float], None]) -> tuple[Ids, Ids]:
    """Return the distinct pairs of neighboring words in a corpus, and how often each occurs.

    The pairs are represented by integers (`_Corpus.keys`), which are sorted. `progress` is called
    with the fraction of the corpus that has been read.
    """
    tally, total = _PairCounter(), len(corpus.tokens)
    start, size = 0, WINDOW
    while start < total:
        window = corpus.window(start, size)
        # The pair that starts with the last word of the window belongs to the next window.
        end = start + len(window.ids)
        end = start + int(window.words[-1]) if end < total and len(window.words) else end
        if end == start:
            size *= 2  # the window holds one word and connectors only
            continue
        tally.add(window.keys)
        progress(end / total)
        start, size = end, WINDOW
    return tally.result()


class _Counts(NamedTuple):
    """Counts of types (distinct tokens) and pairs of words, added up where strings are equal.

    The string of a pair is the phrase that it would become. The pair ``new``, ``york`` and the type
    ``new_york`` therefore have the same count: the sum of their occurrences.

    Attributes
    ----------
    words, pairs : int64
        The count of each type of the corpus, and of each distinct pair.
    types
        The number of distinct strings of types and pairs in total. Connectors (words such as "of"
        that may stand inside a phrase) are not counted as types.
    """

    words: Ids
    pairs: Ids
    types: int


def _count_by_text(corpus: _Corpus, keys: Ids, counts: Ids) -> _Counts:
    """Return counts of types (distinct tokens) and word pairs, added up where strings are equal.

    Where types or pairs have equal strings, each of them gets the sum of their counts. The string
    of a pair is the phrase that it would become: its two words, and any connectors (such as "of")
    in between, joined by the joiner, such as ``_``. So the pair ``new``, ``york`` and the type
    ``new_york`` have equal strings.

    Parameters
    ----------
    keys : int64 (p,)
        The integers that identify the distinct pairs (`_Corpus.keys`).
    counts : int64 (p,)
        How often each pair itself occurs.
    """
    joiner = corpus.settings.joiner
    of_words, of_pairs = corpus.counts.copy(), counts.copy()
    types = int((~corpus.connector).sum()) + len(keys)
    with_joiner = np.array([joiner in word for word in corpus.types], np.bool_)
    words = np.flatnonzero(with_joiner & ~corpus.connector)
    if not with_joiner.any() or len(words) + len(keys) == 0:
        return _Counts(of_words, of_pairs, types)
    # Equal texts have equal hashes. Texts are compared only where a hash occurs more than once.
    hashes = _hashes(corpus, words, keys)
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    same = np.concatenate([np.isin(hashes[some], repeated) for some in _slices(hashes)])
    words, pairs = words[same[: len(words)]], np.flatnonzero(same[len(words) :])
    texts = [corpus.types[word] for word in words.tolist()] + corpus.texts(keys[pairs], joiner)
    number = defaultdict[str, int](count().__next__)
    group = np.array([number[text] for text in texts], np.int64)
    totals = np.zeros(len(number), np.int64)
    np.add.at(totals, group, np.concatenate([corpus.counts[words], counts[pairs]]))
    of_words[words], of_pairs[pairs] = np.split(totals[group], [len(words)])
    return _Counts(of_words, of_pairs, types - len(group) + len(totals))


def _hashes(corpus: _Corpus, words: Ids, keys: Ids) -> NDArray[np.uint64]:
    """Return a hash of the text of each word, followed by one for each pair: uint64 (w + p,).

    The text of a pair is the phrase that it would become: the pair ``new``, ``york`` has the same
    text, and so the same hash, as the word ``new_york``.

    Parameters
    ----------
    words : int64 (w,)
        The type ids of words.
    keys : int64 (p,)
        The integers that identify pairs of words (`_Corpus.keys`).
    """
    number = defaultdict[str, int](count(1).__next__)

    def hashed(texts: Iterable[list[str]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return a hash and a factor of each text; with them, hashes of joined texts are computed.

        Each text is given as its parts between joiners: ``new_york`` as ["new", "york"] if the
        joiner is ``_``. The factor of a text is `HASH_BASE` ** (number of its parts), mod 2^64. If
        the texts a and b are joined, the hash of the result is hash(a) * factor(b) + hash(b), mod
        2^64.
        """
        values, powers = [], []
        for parts in texts:
            value, power = 0, 1
            for part in parts:
                value = (value * HASH_BASE + number[part]) % (1 << 64)
                power = power * HASH_BASE % (1 << 64)
            values.append(value)
            powers.append(power)
        return np.array(values, np.uint64), np.array(powers, np.uint64)

    parts = [word.split(corpus.settings.joiner) for word in corpus.types]
    types, lengths = hashed(parts)
    between, gaps = hashed([part for i in run for part in parts[i]] for run in corpus.sequences)
    found = [types[words]]
    for some in _slices(keys):
        left, nodes, right = corpus.split(keys[some])
        found.append((types[left] * gaps[nodes] + between[nodes]) * lengths[right] + types[right])
    return np.concatenate(found)


def _slices(array: NDArray[Any]) -> list[slice]:
    """Return slices that divide an array into consecutive parts of at most `WINDOW` items."""
    return [slice(i, i + WINDOW) for i in range(0, len(array), WINDOW)]


class _Found(NamedTuple):
    """The phrases that one pass over the text joins, sorted by `keys`.

    Attributes
    ----------
    keys, scores, counts : (phrases,)
        For each phrase: the integer that identifies its two words and the connectors in between
        (`_Corpus.keys`), its score, and how often it occurs. Scores and counts are those of the
        corpus in which the phrases were found, which may be another one (``Phrases.from_``).
    words
        The two words of each phrase and any connectors (such as "of") in between, separated by
        spaces.
    texts
        The token that each phrase becomes.
    """

    keys: Ids
    scores: NDArray[np.float64]
    counts: Ids
    words: list[str]
    texts: list[str]


def _score(corpus: _Corpus, settings: Phrases, progress: Callable[[float], None]) -> _Found:
    """Find the phrases in a corpus: frequent pairs of words that score above the threshold.

    `progress` is called with the fraction of the corpus that has been read.
    """
    keys, raw = _pair_counts(corpus, progress)
    merged = _count_by_text(corpus, keys, raw)
    npmi = settings.scoring == "npmi"
    often = np.flatnonzero(merged.pairs >= settings.min_count + (not npmi))
    left, _, right = corpus.split(keys[often])
    # Unlike int64, products of floats do not overflow; up to 2^53 they are as exact.
    a, b = merged.words[left].astype(np.float64), merged.words[right].astype(np.float64)
    together = merged.pairs[often].astype(np.float64)
    if npmi:
        scores = _npmi(a, b, together, len(corpus.tokens))
    else:
        scores = (together - settings.min_count) / (a * b) * merged.types
    chosen = scores > settings.threshold
    keys, raw = keys[often[chosen]], raw[often[chosen]]
    words, texts = corpus.texts(keys, " "), corpus.texts(keys, settings.joiner)
    return _Found(keys, scores[chosen], raw, words, texts)


def _npmi(
    a: NDArray[np.float64], b: NDArray[np.float64], together: NDArray[np.float64], tokens: int
) -> NDArray[np.float64]:
    """Return the normalized pointwise mutual information (Bouma 2009) of pairs: float64 (n,).

    Parameters
    ----------
    a, b, together : float64 (n,)
        The counts of the first word, of the second word, and of the pair.
    tokens
        The number of tokens of the corpus.
    """
    pab = together / tokens
    ratio = pab / ((a / tokens) * (b / tokens))
    # math.log is used because the last bit of NumPy's logarithm depends on the processor.
    logs = zip(map(math.log, ratio.tolist()), map(math.log, pab.tolist()), strict=True)
    return np.array([up / -down for up, down in logs], np.float64)


# Joining


def _join_learnt(
    folder: Path, settings: Phrases, phrases: list[Phrase], progress: Callable[[float], None]
) -> list[Phrase]:
    """Rewrite the files of a corpus so that each of the given phrases becomes one token.

    Parameters
    ----------
    phrases
        The phrases that one pass over another corpus found.
    progress
        Called with the fraction of the corpus that has been rewritten.

    Returns
    -------
    list of Phrase
        The same phrases, where `joined` is how often each was joined in this corpus.
    """
    between = {word for phrase in phrases for word in phrase.words.split()[1:-1]}
    corpus = _Corpus(folder, replace(settings, connectors=tuple(sorted(between))))
    needed = {word for phrase in phrases for word in phrase.words.split()}
    number = {word: i for i, word in enumerate(corpus.types) if word in needed}
    present: dict[tuple[int, int, int], int] = {}
    for row, phrase in enumerate(phrases):
        ids = [number.get(word, -1) for word in phrase.words.split()]
        if -1 not in ids:
            node = 0
            for connector in ids[1:-1]:
                node = corpus.child(node * len(corpus.types) + connector)
            present.setdefault((node, ids[0], ids[-1]), row)
    if not present:
        return [phrase._replace(joined=0) for phrase in phrases]
    keys = corpus.keys(*np.array(list(present), np.int64).T)
    order = np.argsort(keys)
    rows = np.array(list(present.values()))[order].tolist()
    some = [phrases[row] for row in rows]
    found = _Found(
        keys[order],
        np.array([phrase.score for phrase in some]),
        np.array([phrase.occurrences for phrase in some], np.int64),
        [phrase.words for phrase in some],
        [phrase.phrase for phrase in some],
    )
    joined = dict(zip(rows, _rewrite(corpus, found, progress).tolist(), strict=True))
    return [phrase._replace(joined=joined.get(row, 0)) for row, phrase in enumerate(phrases)]


def _taken(window: _Window, found: _Found, starts: Flags, ends: Flags) -> tuple[Ids, Ids]:
    """Choose which occurrences of phrases in a part of a corpus to join.

    They are chosen from left to right. An occurrence that overlaps a chosen one is left out.

    Parameters
    ----------
    window
        The part: consecutive tokens, and the pairs of neighboring words among them.
    found
        The phrases.
    starts, ends : bool (types,)
        For each type (distinct token), whether any phrase starts with it, and whether any phrase
        ends with it.

    Returns
    -------
    pairs : int64 (k,)
        For each chosen occurrence, the index of its first word in ``window.words``.
    rows : int64 (k,)
        For each chosen occurrence, the index of the phrase in `found`.
    """
    left = window.ids[window.words[window.pairs]]
    right = window.ids[window.words[window.pairs + 1]]
    likely = np.flatnonzero(starts[left] & ends[right])
    keys = window.keys[likely]
    rows = np.searchsorted(found.keys, keys)
    hit = found.keys[np.minimum(rows, len(found.keys) - 1)] == keys
    pairs, rows = window.pairs[likely[hit]], rows[hit]
    # Of consecutive pairs that overlap, the first, the third and so on are joined.
    begun = np.diff(pairs, prepend=-2) > 1
    taken = (pairs - np.maximum.accumulate(np.where(begun, pairs, 0))) % 2 == 0
    return pairs[taken], rows[taken]


def _rewrite(corpus: _Corpus, found: _Found, progress: Callable[[float], None]) -> Ids:
    """Rewrite the files of a corpus so that each phrase in `found` becomes one token.

    `progress` is called with the fraction of the corpus that has been rewritten.

    Returns
    -------
    int64 (phrases,)
        How often each phrase was joined.
    """
    types = [*corpus.types]
    wanted = set(found.texts)
    known = {word: i for i, word in enumerate(types) if word in wanted}
    for phrase in found.texts:
        if phrase not in known:
            known[phrase] = len(types)
            types.append(phrase)
    becomes = np.array([known[phrase] for phrase in found.texts], np.int64)
    starts, ends = np.zeros((2, len(corpus.types)), np.bool_)
    left, _, right = corpus.split(found.keys)
    starts[left] = ends[right] = True

    numbers = np.full(len(types), -1, np.int64)
    order: list[Ids] = [np.empty(0, np.int64)]
    counts, joined = np.zeros(len(types), np.int64), np.zeros(len(found.keys), np.int64)
    numbered = written = start = 0
    size, total = WINDOW, len(corpus.tokens)
    aside = corpus.folder / ".phrases"
    shutil.rmtree(aside, ignore_errors=True)  # a killed process may have left it
    aside.mkdir()
    with (
        closing(ArrayWriter(aside / "tokens.npy", np.int32)) as tokens,
        closing(ArrayWriter(aside / "offsets.npy", np.int64)) as offsets,
    ):
        while start < total:
            window = corpus.window(start, size)
            pairs, rows = _taken(window, found, starts, ends)
            end, words = start + len(window.ids), window.words
            # If the last word is not joined, it may start a phrase: the next window has it.
            if end < total and len(words) and not (len(pairs) and pairs[-1] == len(words) - 2):
                end = start + int(words[-1])
            if end == start:
                size *= 2  # the window holds one word and connectors only
                continue
            ids = window.ids[: end - start]
            begin, last = words[pairs], words[pairs + 1]
            ids[begin] = becomes[rows]
            joined += np.bincount(rows, minlength=len(joined))
            inside = np.zeros(len(ids) + 1, np.int64)
            inside[begin + 1] += 1
            inside[last + 1] -= 1
            kept = np.cumsum(inside[:-1]) == 0

            first, behind = np.searchsorted(corpus.offsets, [start, end])
            offsets.append(written + np.cumsum(kept)[corpus.offsets[first:behind] - start] - 1)
            ids = ids[kept]
            new = ids[numbers[ids] < 0]
            if len(new):
                distinct, where = np.unique(new, return_index=True)
                order.append(distinct[np.argsort(where)])
                numbers[order[-1]] = numbered + np.arange(len(distinct))
                numbered += len(distinct)
            ids = numbers[ids]
            counts += np.bincount(ids, minlength=len(counts))
            tokens.append(ids)
            written += len(ids)
            progress(end / total)
            start, size = end, WINDOW
        trailing = len(corpus.offsets) - int(np.searchsorted(corpus.offsets, total))
        offsets.append(np.full(trailing, written, np.int64))
    with (aside / "types.txt").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{types[i]}\n" for i in np.concatenate(order).tolist())
    np.save(aside / "counts.npy", counts[:numbered])
    for name in FILES:
        (aside / name).replace(corpus.folder / name)
    aside.rmdir()
    return joined
