"""Describe the machine, check the free memory, and set the folder of JAX's compilation cache."""

import os
import platform
import re
from functools import cache
from pathlib import Path

from w2v.errors import InputError
from w2v.files import size_text
from w2v.training.memory import available_cores, free_memory

TOKENS_PER_BYTE = 0.6
"""Bytes of token ids for each byte of text in a language of short words."""


@cache
def machine() -> str:
    """Return the processor model and the number of available cores.

    Run times are compared only between equal machines.
    """
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1] if found else platform.processor()}, {available_cores()} cores"


def keep_compiled_programs(outputs: Path) -> None:
    """Let JAX keep compiled programs in a folder of `outputs`, unless the user chose another."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(outputs.absolute() / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def require_memory(need: int, what: str) -> None:
    """Raise `InputError` if less than `need` bytes of memory are free.

    `what`, such as "training", names the task in the error message.
    """
    free = free_memory()
    if free is not None and need > free:
        raise InputError(
            f"{what} takes {size_text(need)} of memory and {size_text(free)} is free; lower "
            "model.dim or vocab.max_size, or raise vocab.min_count"
        )
