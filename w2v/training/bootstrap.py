"""Draw bootstrap samples of the documents of a text, to measure how vectors depend on the text.

If the model of each seed is trained on its own sample, these models differ approximately as much as
models that are trained on different texts of the same kind.

References
----------
Antoniak, Mimno (2018), Evaluating the stability of embedding-based word similarities.
"""

import warnings

import numpy as np

from w2v.errors import InputError
from w2v.text.tokens import Text

MIN_BOOTSTRAPPED = 20
"""For fewer documents, `check_bootstrap` warns that their samples say little about other texts."""


def bootstrap_sample(text: Text, random: np.random.Generator) -> Text:
    """Draw documents from a text with replacement, as many as it has.

    The tokens are not copied. A document that is drawn twice is twice in the new text.
    """
    documents = len(text.spans)
    chosen = random.integers(documents, size=documents)
    return Text(text.tokens, text.ids, text.spans[chosen])


def check_bootstrap(documents: int) -> None:
    """Check that there are enough documents for a bootstrap sample.

    Raises
    ------
    InputError
        There are fewer than two documents.

    Warns
    -----
    UserWarning
        There are fewer than `MIN_BOOTSTRAPPED` documents.
    """
    smaller = "smaller documents are needed, such as unit=paragraph or unit=line"
    if documents < 2:
        raise InputError(
            f"bootstrap=true: must be false with {documents} document to train on, of which there "
            f"is only one sample; {smaller}"
        )
    if documents < MIN_BOOTSTRAPPED:
        warnings.warn(
            f"bootstrap: samples of only {documents} documents say little about other texts; "
            f"{smaller}",
            stacklevel=3,
        )
