"""The installed command ``w2v``: runs experiments, and ``w2v cache``."""

import sys

from pipeline.runtime.startup import escape_unencodable, leave_at_once


def main() -> int:
    """Run the command line in ``sys.argv``, and return its exit status."""
    escape_unencodable()
    leave_at_once()
    if sys.argv[1:2] == ["cache"]:
        from pipeline.cache.command import main as cache

        return cache(sys.argv[2:])
    from pipeline.run import main as experiments

    return experiments()
