"""Words that belong together become one token: ``new york`` is read as ``new_york``.

Two neighbouring words form a phrase when they occur together more often than their own counts
suggest (Mikolov et al. 2013b, section 4). Each pass joins pairs, so that two passes find phrases
of up to four words. Connector words may stand inside a phrase, at neither end of it, and do not
change its score: ``bank of america`` with the connector ``of``.

The words, pairs and scores are those of gensim's ``Phrases``, which knows a phrase by its text:
``a_b c`` and ``a b_c`` are the same one, and so is a word ``a_b_c`` of the corpus.
"""

import math
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.text.tokens import ArrayWriter, read_types

WINDOW = 1 << 20
"""Tokens held in memory at a time."""

UNFIT = re.compile(r"^$|\s|[\ud800-\udfff]")
"""What is no token."""

FILES = ("tokens.npy", "offsets.npy", "types.txt", "counts.npy")

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Phrases:
    """What a phrase is.

    Parameters
    ----------
    passes
        Over the text; each may join the phrases of the one before.
    threshold
        A pair is a phrase when its score is above it.
    min_count
        A pair that does not occur more often is no phrase (with ``"npmi"``: less often).
    scoring
        ``"default"``: (count(a, b) - min_count) / (count(a) count(b)) * types, where the types
        are words and pairs (Mikolov et al. 2013b, equation 6, as gensim scales it).
        ``"npmi"``: log(p(a, b) / (p(a) p(b))) / -log p(a, b), from -1 to 1 (Bouma 2009).
    joiner
        Stands between the words of a phrase.
    connectors
        Words that may stand inside a phrase.

    Raises
    ------
    InputError
        A value out of its limits.
    """

    passes: int = 1
    threshold: float = 10.0
    min_count: int = 5
    scoring: Literal["default", "npmi"] = "default"
    joiner: str = "_"
    connectors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        npmi = self.scoring == "npmi"
        high = math.isfinite(self.threshold) and self.threshold > 0
        limits = (
            ("passes", self.passes, self.passes >= 0, "at least 0, which leaves phrases out"),
            ("min_count", self.min_count, self.min_count >= 1, "at least 1"),
            ("scoring", self.scoring, npmi or self.scoring == "default", "default or npmi"),
            (
                "threshold",
                self.threshold,
                -1 <= self.threshold <= 1 if npmi else high,
                "from -1 to 1 for npmi" if npmi else "a finite number above 0",
            ),
            # One character: of longer ones, different words may give the same text.
            (
                "joiner",
                repr(self.joiner),
                len(self.joiner) == 1 and not UNFIT.search(self.joiner),
                "one character that is not white space",
            ),
            (
                "connectors",
                list(self.connectors),
                not any(UNFIT.search(word) for word in self.connectors),
                "words without white space",
            ),
        )
        for name, value, holds, wanted in limits:
            if not holds:
                raise InputError(f"tokenizer.phrases.{name}={value}: must be {wanted}")


class Phrase(NamedTuple):
    """A pair that scores above the threshold.

    Attributes
    ----------
    number
        Of the pass, from 1.
    words
        With spaces between them.
    phrase
        The token that they become.
    score
        See `Phrases`.
    occurrences
        How often the words stand together.
    joined
        How often they were joined: less often where a neighbour took one of them.
    """

    number: int
    words: str
    phrase: str
    score: float
    occurrences: int
    joined: int


class Joined(NamedTuple):
    """What became of a corpus: its tokens and types now, and the phrases of all passes."""

    tokens: int
    types: int
    phrases: list[Phrase]


def join_phrases(
    folder: Path, settings: Phrases, progress: Callable[[int, float], None] = lambda *_: None
) -> Joined:
    """Rewrite a corpus folder (see `w2v.text.tokens`) with its phrases as tokens.

    Ids are again in order of first appearance, counts are exact, documents stay what they are.
    Memory grows with the number of types and of different pairs, some 50 bytes each, and not
    with the text.

    Parameters
    ----------
    progress
        Called now and then with the number of the pass and how much of it is done.

    Raises
    ------
    InputError
        More different runs of connector words than can be told apart: 2^63 / types^2.
    """

    def told(number: int, begun: float) -> Callable[[float], None]:
        return lambda share: progress(number, begun + share / 2)

    phrases: list[Phrase] = []
    for number in range(1, settings.passes + 1):
        corpus = _Corpus(folder, settings)
        found = _score(corpus, settings, told(number, 0.0))
        if not len(found.keys):
            break
        joined = _rewrite(corpus, found, told(number, 0.5))
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


class _Window(NamedTuple):
    """A stretch of text and its pairs.

    Attributes
    ----------
    ids : int64 (n,)
        Provisional ids.
    words : int64 (m,)
        Where the words that are no connectors stand.
    pairs : int64 (p,)
        Those i where words i and i + 1 are of one document.
    keys : int64 (p,)
        Equal for equal pairs.
    """

    ids: Ids
    words: Ids
    pairs: Ids
    keys: Ids


class _Corpus:
    """A corpus folder, read in windows, and what stands between the words of pairs.

    The run of connectors inside a pair is a node of a tree: 0 is no connector, and a node and
    one more connector lead to another node.
    """

    def __init__(self, folder: Path, settings: Phrases) -> None:
        self.folder = folder
        self.joiner = settings.joiner
        self.types, self.counts = read_types(folder)
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
        connectors = set(settings.connectors)
        self.connector: Flags = np.array([word in connectors for word in self.types], np.bool_)
        self.children: dict[int, int] = {}
        self.runs: list[tuple[int, ...]] = [()]

    def window(self, start: int, size: int) -> _Window:
        """The text from one token on, and its pairs."""
        ids = self.tokens[start : start + size].astype(np.int64)
        words = np.flatnonzero(~self.connector[ids])
        first, last = np.searchsorted(self.offsets, [start + 1, start + len(ids)])
        borders = np.zeros(len(ids), np.int64)
        borders[self.offsets[first:last] - start] = 1
        document = np.cumsum(borders)[words]
        pairs = np.flatnonzero(document[1:] == document[:-1])
        left, right = words[pairs], words[pairs + 1]
        types = len(self.types)
        nodes = self._nodes(ids, left, right - left - 1)
        if len(self.runs) * types**2 >= 1 << 63:
            raise InputError(
                f"tokenizer.phrases.connectors: {len(self.runs)} different runs of them among "
                f"{types} types are too many; give fewer connectors"
            )
        return _Window(ids, words, pairs, (nodes * types + ids[left]) * types + ids[right])

    def _nodes(self, ids: Ids, left: Ids, gaps: Ids) -> Ids:
        nodes = np.zeros(len(left), np.int64)
        active, depth = np.flatnonzero(gaps), 1
        while len(active):
            steps = nodes[active] * len(self.types) + ids[left[active] + depth]
            distinct, inverse = np.unique(steps, return_inverse=True)
            nodes[active] = np.array([self._child(step) for step in distinct.tolist()])[inverse]
            active = active[gaps[active] > depth]
            depth += 1
        return nodes

    def _child(self, step: int) -> int:
        if step not in self.children:
            node, connector = divmod(step, len(self.types))
            self.children[step] = len(self.runs)
            self.runs.append((*self.runs[node], connector))
        return self.children[step]

    def split(self, keys: Ids) -> tuple[Ids, Ids, Ids]:
        """The first words of pairs, the nodes between, and the last words."""
        rest, right = np.divmod(keys, len(self.types))
        nodes, left = np.divmod(rest, len(self.types))
        return left, nodes, right

    def pair_words(self, keys: Ids) -> list[list[str]]:
        """The words of pairs, connectors too."""
        return [
            [self.types[i] for i in (left, *self.runs[node], right)]
            for left, node, right in zip(*(a.tolist() for a in self.split(keys)), strict=True)
        ]


# Counting


class _Tally:
    """Exact counts of keys: sorted runs, each more than twice as long as the next."""

    def __init__(self) -> None:
        self.runs: list[tuple[Ids, Ids]] = []

    def add(self, keys: Ids) -> None:
        """Count every key once more."""
        self.runs.append(np.unique(keys, return_counts=True))
        while len(self.runs) > 1 and 2 * len(self.runs[-1][0]) >= len(self.runs[-2][0]):
            self._merge()

    def result(self) -> tuple[Ids, Ids]:
        """The different keys, sorted, and how often each was added."""
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
    """The key of every pair of the text, sorted, and how often it occurs."""
    tally, total = _Tally(), len(corpus.tokens)
    start, size = 0, WINDOW
    while start < total:
        window = corpus.window(start, size)
        # The pair of the window's last word is the next window's.
        end = start + len(window.ids)
        end = start + int(window.words[-1]) if end < total and len(window.words) else end
        if end == start:
            size *= 2  # one word and connectors only
            continue
        tally.add(window.keys)
        progress(end / total)
        start, size = end, WINDOW
    return tally.result()


class _Counts(NamedTuple):
    """Occurrences by type (int64), by pair (int64), and how many different texts there are."""

    words: Ids
    pairs: Ids
    types: int


def _merged(corpus: _Corpus, keys: Ids, counts: Ids) -> _Counts:
    """The counts of words and pairs when those of equal text count as one.

    Pairs of equal text: one of them holds a word that holds the joiner, or is such a word.
    """
    holding = np.array([corpus.joiner in word for word in corpus.types], np.bool_)
    words = ~corpus.connector
    if not holding.any():
        return _Counts(corpus.counts, counts, int(words.sum()) + len(keys))
    parts = _parts(corpus.types, holding, corpus.joiner)
    first, last = parts.firsts(), parts.lasts()
    runs = _Ragged.of([list(run) for run in corpus.runs])
    inside = np.array([holding[list(run)].any() for run in corpus.runs], np.bool_)
    singles = np.flatnonzero(holding & words)
    # What is merged has equal ends. So of the pairs without a joiner, only those whose ends are
    # the ends of a text with one; and it can be done bucket by bucket, by the first end.
    ends = np.zeros((2, int(parts.flat.max()) + 1), np.bool_)
    ends[0, first[singles]] = ends[1, last[singles]] = True
    for block in _blocks(keys):
        left, nodes, right = corpus.split(keys[block])
        held = holding[left] | holding[right] | inside[nodes]
        ends[0, first[left[held]]] = ends[1, last[right[held]]] = True
    number = len(keys) // WINDOW + 1
    bucket = np.full(len(keys), number, np.int32)
    for block in _blocks(keys):
        left, nodes, right = corpus.split(keys[block])
        held = ends[0, first[left]] & ends[1, last[right]]
        bucket[block][held] = first[left[held]] % number

    of_words, of_pairs = corpus.counts.copy(), counts.copy()
    types = int(words.sum()) + len(keys)
    for i in range(number):
        alone = singles[first[singles] % number == i]
        pairs = np.flatnonzero(bucket == i)
        left, nodes, right = corpus.split(keys[pairs])
        texts = _Ragged(np.ones(len(alone), np.int64), alone).followed_by(
            runs.take(nodes).enclosed(left, right)
        )
        group = texts.expanded(parts).numbers()
        totals = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
        np.add.at(totals, group, np.concatenate([corpus.counts[alone], counts[pairs]]))
        of_words[alone] = totals[group[: len(alone)]]
        of_pairs[pairs] = totals[group[len(alone) :]]
        types -= len(group) - len(totals)
    return _Counts(of_words, of_pairs, types)


def _blocks(array: Ids) -> list[slice]:
    """Slices of at most so many items as a window has."""
    return [slice(i, i + WINDOW) for i in range(0, len(array), WINDOW)]


def _parts(types: list[str], holding: Flags, joiner: str) -> "_Ragged":
    """What every type consists of: itself, or what stands between its joiners, by number."""
    split = {i: types[i].split(joiner) for i in np.flatnonzero(holding).tolist()}
    wanted = {part for parts in split.values() for part in parts}
    number = {word: i for i, word in enumerate(types) if word in wanted}
    for part in sorted(wanted):
        number.setdefault(part, len(types) + len(number))
    plain = np.flatnonzero(~holding)
    held = _Ragged.of([[number[part] for part in parts] for parts in split.values()])
    both = _Ragged(np.ones(len(plain), np.int64), plain).followed_by(held)
    place = np.empty(len(types), np.int64)
    place[np.concatenate([plain, np.flatnonzero(holding)])] = np.arange(len(types))
    return both.take(place)


class _Ragged:
    """Sequences of different length.

    Parameters
    ----------
    lengths : int64 (n,)
    flat : int64 (sum of lengths,)
        One sequence after the other.
    """

    def __init__(self, lengths: Ids, flat: Ids) -> None:
        self.lengths = lengths
        self.flat = flat
        self.starts: Ids = np.cumsum(lengths) - lengths

    @classmethod
    def of(cls, sequences: list[list[int]]) -> "_Ragged":
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        flat = np.array([i for sequence in sequences for i in sequence], np.int64)
        return cls(lengths, flat)

    def firsts(self) -> Ids:
        return self.flat[self.starts]

    def lasts(self) -> Ids:
        lasts: Ids = self.flat[self.starts + self.lengths - 1]
        return lasts

    def take(self, rows: Ids) -> "_Ragged":
        """Some of the sequences."""
        lengths = self.lengths[rows]
        shift = self.starts[rows] - (np.cumsum(lengths) - lengths)
        return _Ragged(lengths, self.flat[np.arange(lengths.sum()) + np.repeat(shift, lengths)])

    def followed_by(self, other: "_Ragged") -> "_Ragged":
        """These sequences, then those."""
        return _Ragged(
            np.concatenate([self.lengths, other.lengths]), np.concatenate([self.flat, other.flat])
        )

    def enclosed(self, first: Ids, last: Ids) -> "_Ragged":
        """Every sequence with one number more at either end."""
        longer = _Ragged(self.lengths + 2, np.empty(len(self.flat) + 2 * len(first), np.int64))
        inside = np.ones(len(longer.flat), np.bool_)
        ends = longer.starts + longer.lengths - 1
        inside[longer.starts] = inside[ends] = False
        longer.flat[longer.starts], longer.flat[ends] = first, last
        longer.flat[inside] = self.flat
        return longer

    def expanded(self, parts: "_Ragged") -> "_Ragged":
        """Every number replaced by its sequence in ``parts``; no sequence may be empty."""
        taken = parts.take(self.flat)
        ends = np.concatenate([[0], np.cumsum(taken.lengths)])
        return _Ragged(ends[self.starts + self.lengths] - ends[self.starts], taken.flat)

    def numbers(self) -> Ids:
        """From 0, equal for equal sequences and for no others; no sequence may be empty."""
        if not len(self.lengths):
            return np.empty(0, np.int64)
        base = int(self.flat.max()) + 1
        numbers, begun = self.firsts().copy(), base
        active, depth = np.flatnonzero(self.lengths > 1), 1
        while len(active):
            steps = numbers[active] * base + self.flat[self.starts[active] + depth]
            distinct, inverse = np.unique(steps, return_inverse=True)
            numbers[active] = begun + inverse  # above all numbers of shorter ones
            begun += len(distinct)
            depth += 1
            active = active[self.lengths[active] > depth]
        dense: Ids = np.unique(numbers, return_inverse=True)[1]
        return dense


class _Found(NamedTuple):
    """The phrases of a pass, by key."""

    keys: Ids
    scores: NDArray[np.float64]
    counts: Ids
    words: list[str]
    texts: list[str]


def _score(corpus: _Corpus, settings: Phrases, progress: Callable[[float], None]) -> _Found:
    """The pairs that score above the threshold, by key."""
    keys, raw = _pair_counts(corpus, progress)
    merged = _merged(corpus, keys, raw)
    npmi = settings.scoring == "npmi"
    often = np.flatnonzero(merged.pairs >= settings.min_count + (not npmi))
    left, _, right = corpus.split(keys[often])
    # Products of floats: exact as those of integers while below 2^53, and never overflowing.
    a, b = merged.words[left].astype(np.float64), merged.words[right].astype(np.float64)
    together = merged.pairs[often].astype(np.float64)
    if npmi:
        scores = _npmi(a, b, together, len(corpus.tokens))
    else:
        scores = (together - settings.min_count) / (a * b) * merged.types
    chosen = scores > settings.threshold
    keys, raw = keys[often[chosen]], raw[often[chosen]]
    words = corpus.pair_words(keys)
    texts = [settings.joiner.join(parts) for parts in words]
    return _Found(keys, scores[chosen], raw, [" ".join(parts) for parts in words], texts)


def _npmi(
    a: NDArray[np.float64], b: NDArray[np.float64], together: NDArray[np.float64], tokens: int
) -> NDArray[np.float64]:
    pab = together / tokens
    ratio = pab / ((a / tokens) * (b / tokens))
    # The logarithm of the C library: NumPy's depends on the processor in its last bit.
    logs = zip(map(math.log, ratio.tolist()), map(math.log, pab.tolist()), strict=True)
    return np.array([up / -down for up, down in logs], np.float64)


# Joining


def _taken(window: _Window, found: _Found, starts: Flags, ends: Flags) -> tuple[Ids, Ids]:
    """The phrases of a window that are joined, from left to right; a word is in one at most.

    Returns
    -------
    pairs : int64 (k,)
        The number of the phrase's first word among `_Window.words`.
    rows : int64 (k,)
        Which phrase it is.
    """
    left = window.ids[window.words[window.pairs]]
    right = window.ids[window.words[window.pairs + 1]]
    likely = np.flatnonzero(starts[left] & ends[right])
    keys = window.keys[likely]
    rows = np.searchsorted(found.keys, keys)
    hit = found.keys[np.minimum(rows, len(found.keys) - 1)] == keys
    pairs, rows = window.pairs[likely[hit]], rows[hit]
    # Where phrases overlap in a row, the first, the third and so on are joined.
    begun = np.diff(pairs, prepend=-2) > 1
    taken = (pairs - np.maximum.accumulate(np.where(begun, pairs, 0))) % 2 == 0
    return pairs[taken], rows[taken]


def _rewrite(corpus: _Corpus, found: _Found, progress: Callable[[float], None]) -> Ids:
    """Write the corpus with its phrases joined; how often each was."""
    types = [*corpus.types]
    known = {word: i for i, word in enumerate(types) if corpus.joiner in word}
    for text in found.texts:
        if text not in known:
            known[text] = len(types)
            types.append(text)
    becomes = np.array([known[text] for text in found.texts], np.int64)
    starts, ends = np.zeros((2, len(corpus.types)), np.bool_)
    left, _, right = corpus.split(found.keys)
    starts[left] = ends[right] = True

    numbers = np.full(len(types), -1, np.int64)
    order: list[Ids] = [np.empty(0, np.int64)]
    counts, joined = np.zeros(len(types), np.int64), np.zeros(len(found.keys), np.int64)
    numbered = written = start = 0
    size, total = WINDOW, len(corpus.tokens)
    aside = corpus.folder / ".phrases"
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    aside.mkdir()
    with (
        closing(ArrayWriter(aside / "tokens.npy", np.int32)) as tokens,
        closing(ArrayWriter(aside / "offsets.npy", np.int64)) as offsets,
    ):
        while start < total:
            window = corpus.window(start, size)
            pairs, rows = _taken(window, found, starts, ends)
            end, words = start + len(window.ids), window.words
            # A last word that is not taken yet may begin a phrase: the next window has it.
            if end < total and len(words) and not (len(pairs) and pairs[-1] == len(words) - 2):
                end = start + int(words[-1])
            if end == start:
                size *= 2  # one word and connectors only
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
