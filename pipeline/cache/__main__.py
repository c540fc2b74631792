"""Run the command line of the cache: ``python pipeline/cache list``, ``verify`` or ``prune``."""

import sys
from pathlib import Path

# Python looks for modules in the folder of a script; the project is two folders above.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from pipeline.cache.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
