"""Decide how many cores and threads are used, and refuse work that lacks memory or disk space."""

import os
import platform
import re
import shutil
from functools import cache
from pathlib import Path

from rich.filesize import decimal

from w2v.errors import InputError
from w2v.training.memory import available_cores, free_memory

TOKENS_PER_BYTE = 0.6
"""Bytes of token ids for each byte of text in a language of short words."""

THREAD_POOL_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
"""Environment variables that libraries read for the size of their thread pools when they load."""


def threads_per_job(jobs_at_once: int) -> int:
    """Return how many threads each job of a sweep gets when so many jobs run at the same time."""
    return max(1, available_cores() // jobs_at_once)


@cache
def machine() -> str:
    """Return what tells how fast this machine is: its processor, and the cores that are used."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1] if found else platform.processor()}, {available_cores()} cores"


def keep_compiled_programs(outputs: Path) -> None:
    """Let JAX keep what it compiles in a folder of the outputs, unless another one is set."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(outputs.absolute() / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def limit_threads_of_child_processes(threads: int) -> None:
    """Set the environment variables that bound the thread pools of processes started later.

    Variables that are set already, by the user, are kept.
    """
    for name in THREAD_POOL_VARIABLES:
        os.environ.setdefault(name, str(threads))


def require_memory(need: int, what: str) -> None:
    """Raise an `InputError` if `what`, such as "training", needs more bytes than are free."""
    free = free_memory()
    if free is not None and need > free:
        raise InputError(
            f"{what} takes {decimal(need)} of memory and {decimal(free)} is free; lower "
            "model.dim or vocab.max_size, or raise vocab.min_count"
        )


def require_disk(need: dict[str, int], folder: Path, what: str) -> None:
    """Raise an `InputError` if `what`, such as "training", writes more to a folder than fits.

    `need` holds the bytes by kind of file.
    """
    free, total = free_disk(folder), sum(need.values())
    if total > free:
        parts = ", ".join(f"{kind} {decimal(size)}" for kind, size in need.items() if size)
        raise InputError(
            f"{what} writes {decimal(total)} ({parts}) and the disk of {folder} has "
            f"{decimal(free)} free; free some, or set outputs to a folder elsewhere"
        )


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    paths = (folder.absolute(), *folder.absolute().parents)
    return shutil.disk_usage(next(path for path in paths if path.exists())).free
