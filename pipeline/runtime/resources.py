"""Decide how many cores and threads are used, and refuse work that lacks memory or disk space."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.filesize import decimal

from w2v.errors import InputError
from w2v.objectives import SkipGram
from w2v.training.checkpoint import KEPT

BYTES_PER_WORD = 500
"""Memory for a word's string, its entries in tables and its share of the noise distribution."""

BYTES_PER_DOCUMENT = 64
"""Memory for a document's position in the corpus and in the shuffled order of an epoch."""

TOKENS_PER_BYTE = 0.6
"""Bytes of token ids for each byte of text in a language of short words."""

THREAD_POOL_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Environment variables that libraries read for the size of their thread pools when they load."""

DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# Cores and threads


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_job(jobs_at_once: int) -> int:
    """Return how many threads each job of a sweep gets when so many jobs run at the same time."""
    return max(1, available_cores() // jobs_at_once)


def limit_threads_of_child_processes(threads: int) -> None:
    """Set the environment variables that bound the thread pools of processes started later.

    Variables that are set already, by the user, are kept.
    """
    for name in THREAD_POOL_VARIABLES:
        os.environ.setdefault(name, str(threads))


# Memory


def model_bytes(words: int, objective: SkipGram) -> int:
    """Return the size of the model: two float32 vectors for each word."""
    return 2 * words * objective.dim * 4


def training_memory(words: int, documents: int, objective: SkipGram, keeps_best: bool) -> int:
    """Estimate the most memory, in bytes, that training takes beside the memory-mapped text.

    Parameters
    ----------
    words, documents
        Size of the vocabulary and of the corpus.
    keeps_best
        Whether early stopping keeps a copy of the best model.
    """
    model = model_bytes(words, objective)
    need = 2 * model + words * BYTES_PER_WORD + documents * BYTES_PER_DOCUMENT
    return need + objective.loss.scratch_bytes(words, objective.dim) + model * keeps_best


def require_memory(need: int, what: str) -> None:
    """Raise an `InputError` if `what`, such as "training", needs more bytes than are free."""
    free = free_memory()
    if free is not None and need > free:
        raise InputError(
            f"{what} takes {decimal(need)} of memory and {decimal(free)} is free; lower "
            "model.dim or vocab.max_size, or raise vocab.min_count"
        )


def free_memory() -> int | None:
    """Return how many bytes this process can still allocate, or ``None`` if that is unknown.

    On Linux, the limits of its control groups (of a container or a batch system) count too.
    """
    free = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().split("\n")
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        free.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().split():
            _, controllers, path = line.split(":", 2)
            free += cgroup_free_memory(controllers, path)
    return min(free, default=None)


def cgroup_free_memory(
    controllers: str, path: str, root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield the free bytes of a control group and of each group around it that has a limit.

    Parameters
    ----------
    controllers, path
        Two fields of a line of ``/proc/self/cgroup``. The first is empty for version 2.
    """
    if controllers == "":
        base, limit, used, reclaimable = root, "memory.max", "memory.current", "inactive_file"
    elif "memory" in controllers.split(","):
        base, limit = root / "memory", "memory.limit_in_bytes"
        used, reclaimable = "memory.usage_in_bytes", "total_inactive_file"
    else:
        return
    folder = base / path.strip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):  # a limit of "max" is no number
            free = int((group / limit).read_text()) - int((group / used).read_text())
            for line in (group / "memory.stat").read_text().split("\n"):
                if line.startswith(f"{reclaimable} "):  # the kernel frees this cache on demand
                    free += int(line.split()[1])
            yield max(0, free)
        if group == base:
            return


# Disk space


def training_disk(
    words: int, objective: SkipGram, keeps_best: bool, checkpoints: bool, tracked: bool
) -> dict[str, int]:
    """Estimate the bytes that training writes to the outputs, by kind of file.

    See `training_memory`. `tracked` is whether the tracking store gets a copy of the vectors.
    """
    model = model_bytes(words, objective)
    need = {"the vectors": model}
    if checkpoints:
        need["checkpoints"] = (KEPT + 1) * model * (2 if keeps_best else 1)
    if tracked:
        need["the tracked copy"] = model
    return need


def require_disk(need: dict[str, int], folder: Path, what: str) -> None:
    """Raise an `InputError` if `what`, such as "training", writes more to a folder than fits.

    `need` holds the bytes by kind of file.
    """
    free, total = free_disk(folder), sum(need.values())
    if total > free:
        parts = ", ".join(f"{kind} {decimal(size)}" for kind, size in need.items())
        raise InputError(
            f"{what} writes {decimal(total)} ({parts}) and the disk of {folder} has "
            f"{decimal(free)} free; free some, or set outputs to a folder elsewhere"
        )


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    paths = (folder.absolute(), *folder.absolute().parents)
    return shutil.disk_usage(next(path for path in paths if path.exists())).free


@contextmanager
def report_full_disk(what: str, folder: Path) -> Iterator[None]:
    """Raise an `InputError` that names the work and the folder if the disk is full in the block."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise InputError(
            f"{what}: the disk of {folder} is full, {decimal(free_disk(folder))} free; what was "
            "finished is kept; free some, or set outputs to a folder elsewhere"
        ) from None


def is_disk_full(error: OSError) -> bool:
    """Tell whether a full disk, a quota or a limit on the size of files caused an error."""
    # NumPy raises errors without an errno: "5 requested and 3 written".
    return error.errno in DISK_FULL_ERRORS or "requested and" in str(error)
