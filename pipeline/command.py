"""The installed command: ``w2v`` runs experiments, ``w2v cache`` manages the cache of results."""

import sys

from pipeline.runtime import startup


def main() -> int:
    """Run ``w2v cache`` or an experiment, as ``sys.argv`` says; return the exit status."""
    startup.start()
    if sys.argv[1:2] == ["cache"]:
        from pipeline.cache.command import main as cache

        return cache(sys.argv[2:])
    from pipeline.run import main as experiments

    return experiments()
