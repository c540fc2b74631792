"""Draw the documents of a text with replacement, so that seeds stand for texts, too.

Antoniak, Mimno (2018), Evaluating the stability of embedding-based word similarities.
"""

import warnings

import numpy as np

from w2v.errors import InputError
from w2v.text.tokens import Text

MIN_BOOTSTRAPPED = 20
"""Of fewer documents, a warning says that bootstrap samples of them are too much alike."""


def bootstrap_sample(text: Text, random: np.random.Generator) -> Text:
    """Return as many documents as a text has, drawn with replacement.

    The text is not copied. A document that is drawn twice is read twice.
    """
    documents = len(text.spans)
    chosen = random.integers(documents, size=documents)
    return Text(text.tokens, text.ids, text.spans[chosen])


def check_bootstrap(documents: int) -> None:
    """Refuse a bootstrap of a single document; warn of one of few documents."""
    smaller = "smaller documents are needed, such as unit=paragraph or unit=line"
    if documents < 2:
        raise InputError(
            f"bootstrap=true: must be false for a text of {documents} document, of which there is "
            f"only one sample; {smaller}"
        )
    if documents < MIN_BOOTSTRAPPED:
        warnings.warn(
            f"bootstrap: samples of only {documents} documents say little about other texts; "
            f"{smaller}",
            stacklevel=3,
        )
