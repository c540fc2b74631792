"""Estimate the memory and disk space of a training, and find the memory and cores available."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from w2v.errors import InputError
from w2v.files import size_text
from w2v.objectives import Objective
from w2v.training.checkpoint import KEPT

BYTES_PER_WORD = 500
"""Memory for a word's string, its entries in tables and its share of the noise distribution."""

BYTES_PER_DOCUMENT = 64
"""Memory for a document's position in the corpus and in the shuffled order of an epoch."""


def model_bytes(words: int, objective: Objective) -> int:
    """Return the size of a model of `words` words in bytes: input and output vectors in float32."""
    rows = objective.input_rows(words) + objective.loss.output_rows(words)
    return rows * objective.dim * 4


def training_memory(words: int, documents: int, objective: Objective, keeps_best: bool) -> int:
    """Estimate the peak memory of a training in bytes, without the memory-mapped text.

    Parameters
    ----------
    words, documents
        The number of words in the vocabulary, and of documents in the corpus.
    keeps_best
        Whether early stopping keeps a copy of the best model.
    """
    model = model_bytes(words, objective)
    need = 2 * model + words * BYTES_PER_WORD + documents * BYTES_PER_DOCUMENT
    return need + objective.loss.scratch_bytes(words, objective.dim) + model * keeps_best


def training_disk(model: int, keeps_best: bool, checkpoints: bool, tracked: bool) -> dict[str, int]:
    """Estimate the largest disk space that each kind of file of a training takes, in bytes.

    Parameters
    ----------
    model
        The size of the model in bytes.
    keeps_best
        Whether early stopping keeps a copy of the best model. On disk, the copy is in the
        checkpoints only.
    checkpoints
        Whether checkpoints are written.
    tracked
        Whether the vectors are also copied to a tracking store (MLflow).

    Returns
    -------
    dict
        The bytes by kind of file. The keys are ``the vectors``, ``checkpoints`` and ``the tracked
        copy``; the value is 0 for files that are not written.
    """
    return {
        "the vectors": model,
        "checkpoints": (KEPT + 1) * model * (1 + keeps_best) * checkpoints,
        "the tracked copy": model * tracked,
    }


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    known = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1


@cache
def machine() -> str:
    """Return the processor model and the number of available cores, as one text."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1] if found else platform.processor()}, {available_cores()} cores"


def require_memory(need: int, what: str, advice: str) -> None:
    """Check that `need` bytes of memory are free.

    Parameters
    ----------
    what
        The beginning of the error message, such as "training takes".
    advice
        The end of the error message: what to change so that less memory is needed.

    Raises
    ------
    InputError
        The memory is known to be too small.
    """
    free = free_memory()
    if free is not None and need > free:
        sizes = f"{size_text(need)} of memory and {size_text(free)} is free"
        raise InputError(f"{what} {sizes}; {advice}")


def free_memory() -> int | None:
    """Return how many bytes this process can still allocate; None if unknown, as on macOS.

    The limits of its control groups (of a container or a batch system) are respected.
    """
    free = []
    with suppress(OSError, ValueError):
        free.append(read_field(Path("/proc/meminfo"), "MemAvailable") * 1024)
        for line in Path("/proc/self/cgroup").read_text().split():
            _, controllers, path = line.split(":", 2)
            free += cgroup_free_memory(controllers, path)
    return min(free, default=None)


def cgroup_free_memory(
    controllers: str, path: str, root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield the free memory of a Linux control group and of each group that contains it, in bytes.

    Groups without a limit are left out. `controllers` and `path` are the last two fields of a line
    of ``/proc/self/cgroup``; `root` is the folder at which the control groups are mounted. In
    version 2 of control groups, `controllers` is empty. In version 1, nothing is yielded unless
    `controllers` includes ``memory``.
    """
    if controllers == "":  # version 2
        limit, used, reclaimable = "memory.max", "memory.current", "inactive_file"
    elif "memory" in controllers.split(","):
        root /= "memory"
        limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        reclaimable = "total_inactive_file"
    else:
        return
    folder = root / path.strip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):  # a limit of "max" is no number
            free = int((group / limit).read_text()) - int((group / used).read_text())
            # The kernel frees this cache on demand.
            yield max(0, free + read_field(group / "memory.stat", reclaimable))
        if group == root:
            return


def read_field(path: Path, name: str) -> int:
    """Return the value of a field in a file that has one name and number per line.

    An example is ``/proc/meminfo``, with lines such as ``MemAvailable: 123456 kB``. The unit after
    the number is not read.

    Raises
    ------
    ValueError
        No line begins with `name` and a number.
    """
    found = re.search(rf"^{name}:?\s+(\d+)", path.read_text(errors="replace"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} has no {name}")
    return int(found[1])
