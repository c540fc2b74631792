"""Slow reference implementations in plain Python loops, with which tests compare the package.

They use no code of the package. A vector is a sequence of floats, and a matrix is a sequence of
vectors. A word is a string, or the index of its row in a matrix.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

# NumPy arrays and nested lists alike: only len(), iteration and indexing are used.
Vector: TypeAlias = Any
Matrix: TypeAlias = Any
Result: TypeAlias = tuple[float, list[float], list[list[float]]]


def dot(a: Vector, b: Vector) -> float:
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def zeros(rows: int, columns: int) -> list[list[float]]:
    return [[0.0] * columns for _ in range(rows)]


# Losses and gradients


def sigmoid(x: float) -> float:
    if x < 0:
        return math.exp(x) / (1 + math.exp(x))
    return 1 / (1 + math.exp(-x))


def log_sigmoid(x: float) -> float:
    if x < 0:
        return x - math.log1p(math.exp(x))
    return -math.log1p(math.exp(-x))


def log_sum_exp(xs: Sequence[float]) -> float:
    top = max(xs)
    return top + math.log(math.fsum(math.exp(x - top) for x in xs))


def softmax_loss(center_vector: Vector, outside_index: int, outside_vectors: Matrix) -> Result:
    """Return the exact softmax loss of a (center, outside) pair, and its gradients.

    The gradients are with respect to the center vector, (d,), and the outside vectors, (V, d).
    """
    d, size = len(center_vector), len(outside_vectors)
    scores = [dot(u, center_vector) for u in outside_vectors]
    log_partition = log_sum_exp(scores)
    loss = log_partition - scores[outside_index]

    error = [math.exp(score - log_partition) for score in scores]
    error[outside_index] -= 1.0
    grad_center = [
        math.fsum(error[w] * float(outside_vectors[w][i]) for w in range(size)) for i in range(d)
    ]
    grad_outside = [[error[w] * float(center_vector[i]) for i in range(d)] for w in range(size)]
    return loss, grad_center, grad_outside


def negative_sampling_loss(
    center_vector: Vector,
    outside_index: int,
    negative_indices: Iterable[int],
    outside_vectors: Matrix,
) -> Result:
    """Return the negative-sampling loss of a (center, outside) pair, and its gradients.

    The gradients are with respect to the center vector, (d,), and the outside vectors, (V, d). A
    noise word that occurs twice in `negative_indices` counts twice.
    """
    d = len(center_vector)
    negatives = [int(k) for k in negative_indices]
    u_o = outside_vectors[outside_index]

    terms = [-log_sigmoid(dot(u_o, center_vector))]
    grad_center = [-sigmoid(-dot(u_o, center_vector)) * float(u_o[i]) for i in range(d)]
    grad_outside = zeros(len(outside_vectors), d)
    for i in range(d):
        grad_outside[outside_index][i] -= sigmoid(-dot(u_o, center_vector)) * float(
            center_vector[i]
        )
    for k in negatives:
        u_k = outside_vectors[k]
        terms.append(-log_sigmoid(-dot(u_k, center_vector)))
        for i in range(d):
            grad_center[i] += sigmoid(dot(u_k, center_vector)) * float(u_k[i])
            grad_outside[k][i] += sigmoid(dot(u_k, center_vector)) * float(center_vector[i])
    return math.fsum(terms), grad_center, grad_outside


def hierarchical_softmax_loss(
    center_vector: Vector, path: Iterable[tuple[int, int]], node_vectors: Matrix
) -> Result:
    """Return the hierarchical softmax loss of a (center, outside) pair, and its gradients.

    The gradients are with respect to the center vector, (d,), and the vectors of the inner nodes,
    (V - 1, d). `path` lists the inner nodes from the root to the outside word, each with the branch
    taken there, 0 or 1.
    """
    d = len(center_vector)
    terms = []
    grad_center = [0.0] * d
    grad_nodes = zeros(len(node_vectors), d)
    for node, code in path:
        score = dot(node_vectors[node], center_vector)
        terms.append(-log_sigmoid(score if code == 0 else -score))
        slope = -sigmoid(-score) if code == 0 else sigmoid(score)
        for i in range(d):
            grad_center[i] += slope * float(node_vectors[node][i])
            grad_nodes[node][i] += slope * float(center_vector[i])
    return math.fsum(terms), grad_center, grad_nodes


def sum_of_rows(rows: Sequence[int], weight: float, vectors: Matrix, dim: int) -> list[float]:
    """Return `weight` times the sum of the given rows of a matrix with `dim` columns."""
    return [weight * math.fsum(float(vectors[row][i]) for row in rows) for i in range(dim)]


def spread_gradient(
    gradient: Vector, rows: Sequence[int], share: float, size: int
) -> list[list[float]]:
    """Return a matrix of `size` rows: `share` times `gradient` in the rows `rows`, else zero.

    A row that is listed twice in `rows` gets twice as much.
    """
    spread = zeros(size, len(gradient))
    for row in rows:
        for i, slope in enumerate(gradient):
            spread[row][i] += share * float(slope)
    return spread


def fasttext_rows(word: str, shortest: int, longest: int, buckets: int) -> list[int]:
    """Return the hash bucket of each character n-gram of a word, as in fastText.

    The n-grams have `shortest` to `longest` characters, and are taken from the word in angle
    brackets, ``<word>``. A bracket alone is not used. The hash is 32-bit FNV-1a over the UTF-8
    bytes, each read as a signed 8-bit integer.
    """
    text = f"<{word}>"
    found = []
    for length in range(shortest, longest + 1):
        for start in range(len(text) - length + 1):
            ngram = text[start : start + length]
            if length == 1 and start in (0, len(text) - 1):
                continue
            code = 2166136261
            for byte in ngram.encode():
                signed = byte - 256 if byte > 127 else byte
                code = (code ^ (signed % 2**32)) * 16777619 % 2**32
            found.append(code % buckets)
    return found


def huffman_paths(counts: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Return the path of each word from the root of the Huffman tree built from the counts.

    A path lists its inner nodes, each with the branch taken there: 0 to the node with the smaller
    count, 1 to the other. Inner nodes are numbered in the order of their creation. Among equal
    counts, an inner node is taken as smaller than a word, an older inner node as smaller than a
    newer one, and a later word as smaller than an earlier one.
    """
    # (count, whether it is a leaf, its place among equals, the words below it)
    order = sorted(range(len(counts)), key=lambda word: (-counts[word], word))
    rank = {word: place for place, word in enumerate(order)}
    waiting = [(count, 1, -rank[word], [word]) for word, count in enumerate(counts)]
    paths: list[list[tuple[int, int]]] = [[] for _ in counts]
    for made in range(len(counts) - 1):
        waiting.sort(key=lambda entry: entry[:3])
        first, second, *waiting = waiting
        for code, entry in enumerate((first, second)):
            for word in entry[3]:
                paths[word].insert(0, (made, code))
        waiting.append((first[0] + second[0], 0, made, first[3] + second[3]))
    return paths


def skipgram_loss(
    center_index: int,
    outside_indices: Sequence[int],
    center_vectors: Matrix,
    outside_vectors: Matrix,
    negatives: Sequence[Sequence[int]] | None = None,
) -> tuple[float, list[list[float]], list[list[float]]]:
    """Return the skip-gram loss of a window, and its gradients with respect to both matrices.

    The loss of a window is the sum over its outside words. `negatives` lists the noise words of
    each outside word; without it, the loss is the exact softmax loss.
    """
    v = center_vectors[center_index]
    d = len(v)
    losses = []
    grad_centers = zeros(len(center_vectors), d)
    grad_outside = zeros(len(outside_vectors), d)
    for j, o in enumerate(outside_indices):
        if negatives is None:
            loss, one_center, one_outside = softmax_loss(v, o, outside_vectors)
        else:
            loss, one_center, one_outside = negative_sampling_loss(
                v, o, negatives[j], outside_vectors
            )
        losses.append(loss)
        for i in range(d):
            grad_centers[center_index][i] += one_center[i]
            for w in range(len(outside_vectors)):
                grad_outside[w][i] += one_outside[w][i]
    return math.fsum(losses), grad_centers, grad_outside


# Objectives over a corpus


def window_pairs(
    documents: Iterable[Sequence[int]], window: int, dynamic: bool
) -> list[tuple[int, int, float]]:
    """Return the pairs (center, outside, weight) of words at most `window` apart, in text order.

    The words of a pair are in the same document. With `dynamic`, the weight of a pair at distance t
    is (window - t + 1) / window: the probability that t is at most a window size drawn uniformly
    from 1 to `window`. Otherwise the weight is 1.
    """
    pairs = []
    for document in documents:
        for t, center in enumerate(document):
            for s, outside in enumerate(document):
                distance = abs(s - t)
                if 1 <= distance <= window:
                    weight = (window - distance + 1) / window if dynamic else 1.0
                    pairs.append((int(center), int(outside), weight))
    return pairs


def softmax_objective(
    pairs: Iterable[tuple[int, int, float]], center_vectors: Matrix, outside_vectors: Matrix
) -> float:
    """Return the weighted mean of the exact softmax loss over pairs of words.

    Each pair is (center, outside, weight): two word ids, and the weight of the pair in the mean.
    """
    losses, weights = [], []
    for center, outside, weight in pairs:
        scores = [dot(u, center_vectors[center]) for u in outside_vectors]
        losses.append(weight * (log_sum_exp(scores) - scores[outside]))
        weights.append(weight)
    return math.fsum(losses) / math.fsum(weights)


def negative_sampling_objective(
    pairs: Iterable[tuple[int, int, float, Iterable[tuple[int, float]]]],
    center_vectors: Matrix,
    outside_vectors: Matrix,
) -> float:
    """Return the weighted mean of the negative-sampling loss over pairs of words.

    Each pair is (center, outside, weight, noise): two word ids, the weight of the pair in the mean,
    and its noise words, a list of (noise word, weight of the noise word). A noise word that was
    drawn for this pair alone has the weight 1. If several pairs share n noise words, in place of K
    noise words for each pair, the weight is K / n.
    """
    losses, weights = [], []
    for center, outside, weight, noise in pairs:
        v = center_vectors[center]
        terms = [-log_sigmoid(dot(outside_vectors[outside], v))]
        terms += [-share * log_sigmoid(-dot(outside_vectors[k], v)) for k, share in noise]
        losses.append(weight * math.fsum(terms))
        weights.append(weight)
    return math.fsum(losses) / math.fsum(weights)


# Steps of training


def threefry(key: Vector, counter: Vector) -> tuple[int, int]:
    """Return the two random numbers that Threefry-2x32 makes from a key and a counter.

    The key, the counter and the result are two 32-bit numbers each (Salmon et al., 2011).
    """
    keys = [int(key[0]), int(key[1]), int(key[0]) ^ int(key[1]) ^ 0x1BD11BDA]
    x, y = (counter[0] + keys[0]) % 2**32, (counter[1] + keys[1]) % 2**32
    for n in range(20):
        turn = [13, 15, 26, 6, 17, 29, 16, 24][n % 8]
        x = (x + y) % 2**32
        y = (y << turn | y >> (32 - turn)) % 2**32 ^ x
        if n % 4 == 3:
            m = n // 4 + 1
            x, y = (x + keys[m % 3]) % 2**32, (y + keys[(m + 1) % 3] + m) % 2**32
    return x, y


def sampled_words(
    documents: Iterable[Sequence[int]], keep: Vector, key: Vector
) -> list[tuple[int, int]]:
    """Return the words that sub-sampling keeps, each as (word, index of its document).

    A word is kept if the random 32-bit number for its position in the text is at most `keep[word]`;
    `key` selects the random numbers. Unknown words, -1, are not kept.
    """
    kept, position = [], 0
    for number, document in enumerate(documents):
        for word in document:
            if word >= 0 and threefry(key, (position, 0))[0] <= keep[word]:
                kept.append((int(word), number))
            position += 1
    return kept


def noise_word(key: Vector, number: int, last: Vector) -> int:
    """Return the noise word at index `number` of the random sequence that `key` selects.

    The sequence consists of 32-bit integers, and each integer stands for a word: those up to
    `last[0]` for word 0, those above it up to `last[1]` for word 1, and so on.

    The integers are in groups of 20. Within a group, each integer is the one before plus
    2**32 // 20. Group 0 begins with a random integer. Group g begins with the same integer plus
    (g * 0x9E3779B9 % 2**32) // 20. All sums are modulo 2**32.
    """
    group, place = divmod(number, 20)
    shift = group * 0x9E3779B9 % 2**32 // 20
    integer = (threefry(key, (0, 1))[0] + shift + place * (2**32 // 20)) % 2**32
    return next(word for word, end in enumerate(last) if integer <= end)


def step_terms(
    words: Sequence[tuple[int, int]],
    first: int,
    size: int,
    window: int,
    dynamic: bool,
    negatives: int,
    noise: Any,
) -> list[tuple[int, int, float]]:
    """Return the terms (center, outside, weight) of the loss in one training step of skip-gram.

    Terms of noise words have a negative weight. Every 64 successive center words share the same 20
    noise words.

    Parameters
    ----------
    words
        The text after sub-sampling, as (word, index of its document).
    first, size
        The position of the first center word in `words`, and the number of center words.
    window
        The largest distance between the words of a pair.
    dynamic
        Whether the weight of a pair falls with the distance between its words, as in
        `window_pairs`.
    negatives
        K, the number of noise words per pair. The 20 noise words are weighted as if each pair had
        drawn K of its own.
    noise
        A function that returns the noise word with a given index, such as `noise_word` with fixed
        `key` and `last`. The center words at positions 64 b to 64 b + 63 of `words` share the noise
        words with the indices 20 b to 20 b + 19.
    """
    terms = []
    for t in range(first, min(first + size, len(words))):
        pairs = 0.0
        for s in range(max(0, t - window), min(len(words), t + window + 1)):
            if s != t and words[s][1] == words[t][1]:
                weight = (window - abs(s - t) + 1) / window if dynamic else 1.0
                terms.append((words[t][0], words[s][0], weight))
                pairs += weight
        for k in range(20):
            word = noise(t // 64 * 20 + k)
            terms.append((words[t][0], word, -pairs * negatives / 20))
    return terms


def negative_sampling_step(
    terms: Iterable[tuple[int, int, float]], v: Any, u: Any, rate: float
) -> tuple[float, float]:
    """Update v and u in place by one training step; return the weight of the pairs and the loss.

    All gradients are computed before the update. Both results are sums over the step; the terms of
    noise words count in the loss, but not in the weight. The step size of a row is `rate`, but at
    most 2 / h, where h bounds the curvature of the loss in that row.

    Parameters
    ----------
    terms
        The terms of the loss, as (row c of v, row o of u, weight w). For a pair of words of the
        text, w > 0, and the term is -w log σ(u[o] · v[c]). For a center word and a noise word,
        w < 0, and the term is -|w| log σ(-u[o] · v[c]). `step_terms` makes such terms.
    v, u
        Center and outside vectors, (V, d) each.
    """
    size, d = len(v), len(v[0])
    moved = [zeros(size, d), zeros(size, d)]
    curvature = [[0.0] * size, [0.0] * size]
    losses, pairs = [], []
    for center, outside, weight in terms:
        score = dot(v[center], u[outside])
        sign = 1 if weight > 0 else -1
        losses.append(-abs(weight) * log_sigmoid(sign * score))
        pairs.append(max(weight, 0.0))
        slope = weight * sigmoid(-sign * score)
        h = abs(weight) / (2 * max(2.0, abs(score)))
        for i in range(d):
            moved[0][center][i] += slope * float(u[outside][i])
            moved[1][outside][i] += slope * float(v[center][i])
        curvature[0][center] += h * dot(u[outside], u[outside])
        curvature[1][outside] += h * dot(v[center], v[center])
    for matrix, gradients, hs in zip((v, u), moved, curvature, strict=True):
        for row, gradient, h in zip(matrix, gradients, hs, strict=True):
            for i in range(d):
                row[i] += min(rate, 2 / max(h, 1e-30)) * gradient[i]
    return math.fsum(pairs), math.fsum(losses)


# Evaluation


def average_ranks(xs: Sequence[float]) -> list[float]:
    """Return the rank of each value, starting at 1; tied values get the mean of their ranks."""
    ranks = []
    for x in xs:
        below = sum(1 for y in xs if y < x)
        equal = sum(1 for y in xs if y == x)
        ranks.append(below + (equal + 1) / 2)
    return ranks


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN if x or y is constant."""
    rank_x, rank_y = average_ranks(x), average_ranks(y)
    mean = (len(rank_x) + 1) / 2
    centered_x = [rank - mean for rank in rank_x]
    centered_y = [rank - mean for rank in rank_y]
    spread = math.sqrt(dot(centered_x, centered_x)) * math.sqrt(dot(centered_y, centered_y))
    return dot(centered_x, centered_y) / spread if spread else math.nan


def unit(vector: Vector) -> list[float]:
    """Return the vector scaled to length 1; a zero vector stays zero."""
    length = math.sqrt(dot(vector, vector))
    return [float(x) / length if length else 0.0 for x in vector]


def nearest_rows(
    vectors: Matrix, target: Vector, k: int, excluded: Iterable[int]
) -> list[tuple[int, float]]:
    """Return (index, cosine) of the k rows most similar to `target`, without `excluded` rows."""
    left_out = set(excluded)
    direction = unit(target)
    found = [(w, dot(unit(u), direction)) for w, u in enumerate(vectors) if w not in left_out]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def most_similar(vectors: Matrix, query: int, k: int) -> list[tuple[int, float]]:
    """Return (index, cosine) of the k other rows that are most similar to row `query`."""
    return nearest_rows(vectors, vectors[query], k, [query])


def analogy_3cosadd(vectors: Matrix, a: int, b: int, c: int, k: int = 1) -> list[tuple[int, float]]:
    """Answer "a is to b as c is to ?" by the k rows nearest to b - a + c (3CosAdd).

    Vectors are normalized before they are added. Rows a, b and c are excluded. The result has the
    index and the cosine of each row.
    """
    target = [
        y - x + z
        for x, y, z in zip(unit(vectors[a]), unit(vectors[b]), unit(vectors[c]), strict=True)
    ]
    return nearest_rows(vectors, target, k, [a, b, c])


def analogy_3cosmul(vectors: Matrix, a: int, b: int, c: int, k: int = 1) -> list[tuple[int, float]]:
    """Answer "a is to b as c is to ?" by the k rows with the highest 3CosMul score.

    The score of row x is p(x, b) p(x, c) / (p(x, a) + 1e-6), where p is (1 + cosine) / 2. Rows a, b
    and c are excluded. The result has the index and the score of each row.
    """

    def shifted(x: int, y: int) -> float:
        return (1 + dot(unit(vectors[x]), unit(vectors[y]))) / 2

    found = [
        (x, shifted(x, b) * shifted(x, c) / (shifted(x, a) + 1e-6))
        for x in range(len(vectors))
        if x not in (a, b, c)
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def shared_neighbours(one: Matrix, other: Matrix, k: int) -> list[float]:
    """Return, for each row, the share of its k nearest rows that are the same in both matrices."""
    shares = []
    for row in range(len(one)):
        ours, theirs = ({x for x, _ in most_similar(m, row, k)} for m in (one, other))
        shares.append(len(ours & theirs) / k)
    return shares


# Phrases


def phrase_counts(
    documents: Iterable[Sequence[str]], joiner: str, connectors: Iterable[str]
) -> tuple[dict[str, int], int]:
    """Return the counts of words and of word pairs, and the number of all tokens.

    `connectors` are words such as "of". They are among the tokens, but are not counted as words. A
    pair is two successive words that are not connectors; there may be connectors between them. The
    key of a pair is the text from its first to its last word, in which `joiner` replaces spaces.
    """
    counts: dict[str, int] = {}
    tokens = 0
    for document in documents:
        tokens += len(document)
        places = [i for i, token in enumerate(document) if token not in connectors]
        texts = [document[i] for i in places]
        texts += [joiner.join(document[i : j + 1]) for i, j in pairwise(places)]
        for text in texts:
            counts[text] = counts.get(text, 0) + 1
    return counts, tokens


def phrase_score(
    first: str,
    last: str,
    text: str,
    counts: dict[str, int],
    tokens: int,
    min_count: int,
    npmi: bool,
) -> float:
    """Return the score of a pair of words, which is high if the pair is a phrase.

    The score is that of Mikolov et al. (2013), times the number of entries in `counts`; if `npmi`
    is True, it is the normalized pointwise mutual information.

    Parameters
    ----------
    first, last
        The words of the pair.
    text
        The key of the pair in `counts`.
    counts, tokens
        The counts of words and pairs, and the number of tokens.
    min_count
        Without `npmi`, this is subtracted from the count of the pair. With `npmi`, a pair that
        occurs fewer than `min_count` times has the score minus infinity.
    """
    a, b, together = counts[first], counts[last], counts[text]
    if not npmi:
        return (together - min_count) / (a * b) * len(counts)
    if together < min_count:
        return -math.inf
    p, q, r = a / tokens, b / tokens, together / tokens
    return math.log(r / (p * q)) / -math.log(r)


def joined_phrases(
    documents: Sequence[Sequence[str]],
    joiner: str,
    connectors: Iterable[str],
    threshold: float,
    min_count: int,
    npmi: bool,
) -> tuple[list[list[str]], dict[str, float]]:
    """Join the words of phrases, from left to right; return the documents and the phrases' scores.

    The key of a score is the words of the phrase, separated by spaces.

    Parameters
    ----------
    documents
        Lists of words.
    joiner
        Joins the words of a phrase, such as "_".
    connectors
        Words such as "of", which may be inside a phrase but not at its ends.
    threshold
        A pair of words is a phrase if its score is above this.
    min_count
        Without `npmi`, this is subtracted from the count of a pair. With `npmi`, it is the smallest
        count of a phrase.
    npmi
        Whether the score is the normalized pointwise mutual information, or that of Mikolov et al.
        (2013).
    """
    counts, tokens = phrase_counts(documents, joiner, connectors)
    scores: dict[str, float] = {}
    results = []
    for document in documents:
        result, i = [], 0
        while i < len(document):
            j = i + 1
            while j < len(document) and document[j] in connectors:
                j += 1
            length = 1
            if j < len(document) and document[i] not in connectors:
                words = document[i : j + 1]
                score = phrase_score(
                    *(words[0], words[-1], joiner.join(words)), counts, tokens, min_count, npmi
                )
                if score > threshold:
                    length = len(words)
            result.append(joiner.join(document[i : i + length]))
            i += length
        results.append(result)
        places = [i for i, token in enumerate(document) if token not in connectors]
        for i, j in pairwise(places):
            words = document[i : j + 1]
            score = phrase_score(
                *(words[0], words[-1], joiner.join(words)), counts, tokens, min_count, npmi
            )
            if score > threshold:
                scores[" ".join(words)] = score
    return results, scores


# Tokens


def is_letter(character: str) -> bool:
    """Return whether a character is a letter or a number in Unicode (category L or N)."""
    return unicodedata.category(character)[0] in "LN"


def words(
    text: str,
    apostrophes: bool = True,
    hyphens: bool = False,
    lowercase: bool = True,
    nfc: bool = True,
    normalize_punctuation: bool = True,
    drop_invisible: bool = True,
) -> list[str]:
    """Return the words of a document, found one character at a time.

    The other parameters are settings of the package's tokenizer ``Words``.
    """
    inner = "\u200c\u200d" + "'\u2019" * apostrophes + "-\u2010\u2011" * hyphens
    text = replaced(text, normalize_punctuation, drop_invisible)
    if nfc:
        text = unicodedata.normalize("NFC", text)
    found: list[str] = []
    word = ""
    for at, character in enumerate(text):
        following = text[at + 1 : at + 2]
        mark = unicodedata.category(character)[0] == "M"
        joins = character in inner and following != "" and is_letter(following)
        if is_letter(character) or (word and (mark or joins)):
            word += character
        elif word:
            found.append(word)
            word = ""
    found += [word] * bool(word)
    if lowercase:
        found = [word.lower() for word in found]
    return [unicodedata.normalize("NFC", word) for word in found] if nfc else found


def replaced(text: str, normalize_punctuation: bool, drop_invisible: bool) -> str:
    """Replace non-ASCII apostrophes and hyphens by ASCII ones, and drop invisible characters.

    The first is done if `normalize_punctuation` is True, the second if `drop_invisible` is.
    """
    if normalize_punctuation:
        text = re.sub("[\u2019\u2018\u201b\u02bc\uff07\u00b4]", "'", text)
        text = re.sub("[\u2010\u2011]", "-", text)
    return re.sub("[\xad\u2060\ufeff\u200e\u200f\u061c]", "", text) if drop_invisible else text


def whitespace(
    text: str,
    lowercase: bool = True,
    nfc: bool = False,
    normalize_punctuation: bool = False,
    drop_invisible: bool = False,
) -> list[str]:
    """Return the tokens of a document, separated by white space.

    The other parameters are settings of the package's tokenizer ``Whitespace``.
    """
    found = [""]
    for character in replaced(text, normalize_punctuation, drop_invisible):
        if character.isspace():
            found.append("")
        else:
            found[-1] += character
    found = [word.lower() if lowercase else word for word in found if word]
    return [unicodedata.normalize("NFC", word) for word in found] if nfc else found
