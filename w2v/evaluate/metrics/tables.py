"""The names, columns and column types of the result tables of an evaluation."""

COLUMNS = {
    # One row per word pair of a similarity benchmark.
    "pairs": {
        "benchmark": "str",
        "word_1": "str",
        "word_2": "str",
        "human": "float64",  # people's score, on the benchmark's own scale
        "model": "float64",  # cosine of the two vectors; NaN if a word has no vector
        "used": "bool",  # whether the pair counts in the benchmark's score
    },
    # One row per similarity benchmark.
    "similarity": {
        "benchmark": "str",
        "vectors": "str",  # "v": center vectors; "v+u": their sums with outside vectors
        "spearman": "float64",  # rank correlation of "human" and "model"; NaN if undefined
        "pearson": "float64",
        "low": "float64",  # 95 % bootstrap interval of "spearman"
        "high": "float64",
        "pairs": "int64",  # pairs used
        "total": "int64",  # pairs in the benchmark
        "ngrams": "int64",  # pairs with a word whose vector is made of n-grams alone
        "coverage": "float64",  # fraction of the pairs whose words both have vectors
        "oov": "str",  # "skip": pairs with unknown words are left out; "zero": cosine 0
    },
    # One row per analogy category and method. The sums over categories are rows as well: category
    # "all" of the sections "semantic", "syntactic" and "all".
    "analogies": {
        "benchmark": "str",
        "method": "str",  # "3CosAdd" or "3CosMul"
        "section": "str",  # "semantic" or "syntactic"
        "category": "str",
        "questions": "int64",  # questions used
        "known": "int64",  # questions whose words are all in the vocabulary
        "total": "int64",  # questions in the benchmark
        "correct_1": "int64",  # questions whose right answer came first
        "correct_5": "int64",  # questions whose right answer was among the first five
        "accuracy": "float64",  # correct_1 / questions; NaN if no question was used
        "low": "float64",  # 95 % interval of "accuracy"
        "high": "float64",
        "vocabulary": "int64",  # answers were chosen among this many most frequent words
    },
    # One row per probe word and rank.
    "neighbours": {
        "word": "str",
        "rank": "int64",  # from 1, the nearest neighbor
        "neighbour": "str",
        "similarity": "float64",  # cosine
    },
    # One row per benchmark and band of word frequency. A pair or question belongs to the band of
    # its rarest word.
    "bands": {
        "benchmark": "str",
        "metric": "str",  # "spearman", or "accuracy" of 3CosAdd
        "first": "int64",  # the band's most frequent rank, from 1
        "last": "int64",
        "used": "int64",  # pairs or questions used
        "value": "float64",
        "low": "float64",  # 95 % interval of "value"
        "high": "float64",
    },
    # One row per compared word. All of these words are in the vocabularies of both runs.
    "stability": {
        "word": "str",
        "overlap": "float64",  # fraction of its nearest neighbors that both runs share
    },
}
"""The type of each column (see `w2v.tables`), by the names of table and column."""
