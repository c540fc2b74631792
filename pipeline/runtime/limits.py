"""What a stage will need of memory and disk, and what there is: refused before the work begins."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from w2v.errors import InputError
from w2v.objectives import SkipGram, Softmax
from w2v.training.checkpoint import KEPT

FLOAT = 4
BYTES_A_WORD = 500
"""A word's string, its places in tables, its share of the noise distribution."""

BYTES_A_DOCUMENT = 64
"""Its span, in the order of the corpus and in that of the epoch, and on the way from one to the
other."""

TOKENS_A_BYTE = 0.6
"""Bytes of token ids for a byte of text, in languages of short words; packed text makes more."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def model_bytes(words: int, objective: SkipGram) -> int:
    """Of both vectors of every word."""
    return 2 * words * objective.dim * FLOAT


def training_memory(words: int, documents: int, objective: SkipGram, keeps_best: bool) -> int:
    """The most memory that training takes, beside the text, which is mapped."""
    model = model_bytes(words, objective)
    need = 2 * model + words * BYTES_A_WORD + documents * BYTES_A_DOCUMENT
    if isinstance(objective.loss, Softmax):
        # Gradients by centre and outside vectors, the parts they are summed of, and the logits.
        need += 2 * model + objective.loss.logits_mb * 2**20
    return need + model * keeps_best


def training_disk(
    words: int, objective: SkipGram, keeps_best: bool, checkpoints: bool, tracked: bool
) -> dict[str, int]:
    """What training writes under the outputs, by kind."""
    model = model_bytes(words, objective)
    need = {"the vectors": model}
    if checkpoints:
        need["checkpoints"] = (KEPT + 1) * model * (2 if keeps_best else 1)
    if tracked:
        need["the tracked copy"] = model
    return need


def require_memory(need: int, what: str) -> None:
    """Refuse what does not fit into the memory that is free."""
    free = free_memory()
    if free is not None and need > free:
        raise InputError(
            f"{what} takes {gigabytes(need)} of memory and {gigabytes(free)} is free; lower "
            "model.dim or vocab.max_size, or raise vocab.min_count"
        )


def require_disk(need: dict[str, int], folder: Path, what: str) -> None:
    """Refuse what does not fit onto the disk of a folder."""
    free = free_disk(folder)
    total = sum(need.values())
    if total > free:
        parts = ", ".join(f"{kind} {gigabytes(size)}" for kind, size in need.items())
        raise InputError(
            f"{what} writes {gigabytes(total)} ({parts}) and the disk of {folder} has "
            f"{gigabytes(free)} free; free some, or set outputs to a folder elsewhere"
        )


@contextmanager
def disk_full_is_told(what: str, folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a line.

    Raises
    ------
    InputError
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise InputError(
            f"{what}: the disk of {folder} is full, {gigabytes(free_disk(folder))} free; what was "
            "finished is kept; free some, or set outputs to a folder elsewhere"
        ) from None


def is_full(error: OSError) -> bool:
    """Whether a disk, a quota or a limit left no room; NumPy says so in words alone."""
    return error.errno in FULL or "requested and" in str(error)


def free_disk(folder: Path) -> int:
    """Bytes that can be written in a folder that is there or could be made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def free_memory() -> int | None:
    """Bytes that this process could still take, by the machine and by its control groups.

    ``None`` where the system does not tell.
    """
    free = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().split("\n")
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        free.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().split():
            _, kinds, path = line.split(":", 2)
            free += group_memory(kinds, path)
    return min(free, default=None)


def group_memory(kinds: str, path: str, root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """What the control groups from a path up to the root leave free, in either version."""
    if kinds == "":
        base, limit, used, idle = root, "memory.max", "memory.current", "inactive_file"
    elif "memory" in kinds.split(","):
        base, limit = root / "memory", "memory.limit_in_bytes"
        used, idle = "memory.usage_in_bytes", "total_inactive_file"
    else:
        return
    folder = base / path.strip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):  # "max" is no limit
            least = int((group / limit).read_text()) - int((group / used).read_text())
            for line in (group / "memory.stat").read_text().split("\n"):
                if line.startswith(f"{idle} "):  # the disk's cache, given back on demand
                    least += int(line.split()[1])
            yield max(0, least)
        if group == base:
            return


def gigabytes(size: int) -> str:
    """``1.2 GB``, or ``34 MB`` or ``56 kB`` where that is less."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:,.{name == 'GB':d}f} {name}"
    return f"{size / 1e3:,.0f} kB"
