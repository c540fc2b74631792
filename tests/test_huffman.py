"""Test the Huffman tree: it equals the tree of a slow construction, and its code is optimal.

No word's code is a prefix of another word's code. The mean length of the codes is less than the
entropy plus one bit, and is the same as in gensim.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from gensim.models import Word2Vec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from w2v.huffman import HuffmanTree


def paths(tree: HuffmanTree) -> list[list[tuple[int, int]]]:
    steps = list(zip(tree.nodes.tolist(), tree.codes.tolist(), strict=True))
    return [steps[a:b] for a, b in zip(tree.starts[:-1], tree.starts[1:], strict=True)]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=30))
def test_the_tree_equals_the_slow_construction(counts: list[int]) -> None:
    tree = HuffmanTree(np.array(counts, np.int64))
    assert paths(tree) == naive.huffman_paths(counts)
    assert tree.lengths.tolist() == [len(path) for path in paths(tree)]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 10**12), min_size=2, max_size=200))
def test_no_code_begins_another_and_the_mean_length_is_near_the_entropy(
    counts: list[int],
) -> None:
    tree = HuffmanTree(np.array(counts, np.int64))
    codes = ["".join(str(code) for _, code in path) for path in paths(tree)]
    ordered = sorted(codes)
    assert not any(b.startswith(a) for a, b in pairwise(ordered))
    shares = [count / sum(counts) for count in counts]
    entropy = -math.fsum(p * math.log2(p) for p in shares)
    mean = math.fsum(p * n for p, n in zip(shares, tree.lengths.tolist(), strict=True))
    assert entropy - 1e-9 <= mean < entropy + 1


def test_a_tree_of_two_leaves_has_one_node() -> None:
    assert paths(HuffmanTree(np.array([5, 3]))) == [[(0, 1)], [(0, 0)]]
    assert paths(HuffmanTree(np.array([4, 4]))) == [[(0, 1)], [(0, 0)]]


def test_a_deep_tree() -> None:
    counts = np.array([2**k for k in range(60, -1, -1)], np.int64)
    tree = HuffmanTree(counts)
    assert tree.lengths.tolist() == [*range(1, 61), 60]


def test_unsigned_counts_have_the_tree_of_signed_ones() -> None:
    counts = np.array([100, 50, 3, 0, 2])
    assert HuffmanTree(counts.astype(np.uint64)).lengths.tolist() == [1, 2, 3, 4, 4]
    assert paths(HuffmanTree(counts.astype(np.uint8))) == paths(HuffmanTree(counts))


def test_one_word_is_refused() -> None:
    with pytest.raises(ValueError, match="1 words: a tree needs at least two"):
        HuffmanTree(np.array([3]))


def test_the_mean_length_is_that_of_gensim() -> None:
    counts = np.random.default_rng(0).zipf(1.3, 500).clip(1, 10_000)
    model = Word2Vec(hs=1, negative=0, min_count=0, vector_size=2)
    model.build_vocab_from_freq({f"w{i}": int(count) for i, count in enumerate(counts)})
    theirs = sum(
        int(counts[i]) * len(model.wv.get_vecattr(f"w{i}", "code")) for i in range(len(counts))
    )
    assert int(counts @ HuffmanTree(counts).lengths) == theirs


@settings(derandomize=True, deadline=None, max_examples=50)
@given(counts=st.lists(st.integers(1, 1000), min_size=2, max_size=60))
def test_leaves_are_numbered_in_the_order_of_their_codes(counts: list[int]) -> None:
    tree = HuffmanTree(np.array(counts, np.int64))
    codes = [[code for _, code in path] for path in paths(tree)]
    in_order = sorted(range(len(counts)), key=codes.__getitem__)
    assert [in_order.index(word) for word in range(len(counts))] == tree.leaf_positions().tolist()
