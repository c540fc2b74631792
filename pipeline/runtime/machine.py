"""Describe the machine, and set the folder of JAX's compilation cache."""

import os
import platform
import re
from functools import cache
from pathlib import Path

from w2v.training.memory import available_cores


@cache
def machine() -> str:
    """Return the processor model and the number of available cores, as one text."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1] if found else platform.processor()}, {available_cores()} cores"


def keep_compiled_programs(outputs: Path) -> None:
    """Let JAX keep compiled programs in a folder of `outputs`, unless the user chose another."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(outputs.absolute() / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
