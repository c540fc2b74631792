"""The command line of the cache: list, verify or prune its entries."""

import argparse
import math
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from pipeline.cache.store import DAMAGED, MANIFEST, PART, lock_path, read_manifest
from pipeline.config.program import command_line
from pipeline.runtime.exit_status import ExitStatus
from w2v.errors import sanitize
from w2v.files import is_in_use, remove

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
CHECKPOINTS = "checkpoints"


class Item(NamedTuple):
    """A cache entry or a training checkpoint, with its size and the time of its last use."""

    stage: str
    key: str
    kind: str  # entry, damaged, part (an unfinished entry) or checkpoint
    path: Path
    bytes: int
    used: float  # the Unix time of the last use


def list_items(outputs: Path, stages: Sequence[str] = ()) -> list[Item]:
    """Return the cache entries, also unfinished and damaged ones, then the training checkpoints.

    They are read from the folders ``cache`` and ``checkpoints`` of `outputs`. If `stages` is not
    empty, only entries of these stages are returned; the name ``checkpoints`` selects checkpoints.
    """
    found = []
    for path in sorted((outputs / "cache").glob("*/*")):
        key, damaged, _ = path.name.partition(DAMAGED)
        if path.name.startswith(".") and path.name.endswith(PART):
            found.append(measure(path, path.parent.name, key[1:].removesuffix(PART), "part"))
        elif not path.name.startswith("."):
            found.append(measure(path, path.parent.name, key, "damaged" if damaged else "entry"))
    for path in sorted((outputs / CHECKPOINTS).glob("*")):
        found.append(measure(path, CHECKPOINTS, path.name, "checkpoint"))
    return [item for item in found if not stages or item.stage in stages]


def measure(path: Path, stage: str, key: str, kind: str) -> Item:
    """Return an `Item` for the entry or checkpoint at `path`, with its size and last use.

    `stage` is the stage of the entry, or "checkpoints"; `key` is the key of the entry or
    checkpoint. `kind` is "entry", "damaged", "part" (an unfinished entry) or "checkpoint".
    """
    size, used = 0, 0.0
    for folder, _, files in os.walk(path) if not path.is_symlink() else ():
        used = max(used, Path(folder).stat().st_mtime)
        size += sum((Path(folder) / file).lstat().st_size for file in files)
    return Item(stage, key, kind, path, size, used or path.lstat().st_mtime)


def prune(outputs: Path, stages: Sequence[str], older: float, to: float, dry: bool) -> list[Item]:
    """Delete unfinished, damaged and old items of the cache; return the items that were deleted.

    An item is a cache entry or a training checkpoint. Unfinished and damaged entries, and items not
    used for `older` days, are deleted; then the least recently used items, until the rest has at
    most `to` bytes. Infinity means no limit. Items that are in use or cannot be deleted are kept.
    With `dry`, the same items are returned, but kept. `stages` names the stages to prune (empty:
    all; ``checkpoints``: the checkpoints). `outputs` has the folders ``cache`` and ``checkpoints``.
    """
    garbage = ("part", "damaged")
    found = list_items(outputs, stages)
    found.sort(key=lambda item: (item.kind not in garbage, item.used))
    left = sum(item.bytes for item in found)
    pruned = []
    for item in found:
        old = time.time() - item.used > older * 86400
        if (item.kind in garbage or old or left > to) and remove_item(outputs, item, dry):
            left -= item.bytes
            pruned.append(item)
    return pruned


def remove_item(outputs: Path, item: Item, dry: bool) -> bool:
    """Delete an item of the cache, unless `dry`; return False if it is in use or not deletable."""
    stage = "train" if item.kind == "checkpoint" else item.stage
    lock = lock_path(outputs / "cache" / stage, item.key)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=0):
            if is_in_use(item.path / MANIFEST):
                return False
            if not dry:
                # Renamed first, so that no run finds an entry that is half removed.
                renamed = item.path.with_name(f".{item.path.name.lstrip('.')}.pruned{PART}")
                item.path.rename(renamed)
                remove(renamed)
    except (Timeout, OSError):  # in use, removed by someone else, or on a read-only disk
        return False
    return True


def parse_size(text: str) -> int:
    """Return the bytes in a size such as ``10 GB`` (10**10), or raise `ArgumentTypeError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give it as 500M or 10G")
    size = float(match[1]) * UNITS[match[2]]
    if size > sys.maxsize:
        raise argparse.ArgumentTypeError(f"{text[:20]}... is more than any disk holds")
    return int(size)


def parse_days(text: str) -> float:
    """Convert a number of days such as ``30`` or ``0.5d``, or raise `ArgumentTypeError`."""
    if not re.fullmatch(r"\d+(\.\d+)?d?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; give it as 30 or 0.5")
    return float(text.removesuffix("d"))


def make_parser() -> argparse.ArgumentParser:
    program = "w2v cache" if command_line() == "w2v" else "pipeline/cache"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="default: outputs")
    commands = parser.add_subparsers(dest="command", required=True)
    stage = argparse.ArgumentParser(add_help=False)
    text = f"only this stage, or {CHECKPOINTS}; may be given several times"
    stage.add_argument("--stage", action="append", default=[], help=text)
    commands.add_parser("list", parents=[stage], help="every entry: stage, key, size, last use")
    commands.add_parser("verify", parents=[stage], help="compare every file with its SHA-256")
    text = "remove entries, and what killed runs left unfinished or damaged"
    pruning = commands.add_parser("prune", parents=[stage], help=text)
    text = "remove what was not used for so long"
    pruning.add_argument("--older", type=parse_days, default=math.inf, metavar="DAYS", help=text)
    text = "remove the least recently used until 10G (for example) are left"
    pruning.add_argument("--to", type=parse_size, default=math.inf, metavar="SIZE", help=text)
    pruning.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """List, verify or prune the results in the cache, as `arguments` say; return the exit status.

    `arguments` are those of the command line, such as ``["verify"]``; None: those of the process.
    The status is 2 if the folder ``--outputs`` or a ``--stage`` does not exist; 1 if ``verify``
    finds damage; else 0. ``verify`` skips entries that a run has renamed ``<key>.damaged-<time>``.
    """
    given = make_parser().parse_args(arguments)
    outputs: Path = given.outputs
    if not outputs.is_dir():
        return refuse(f"--outputs {outputs}: no such folder")
    known = [*sorted(path.name for path in (outputs / "cache").glob("*")), CHECKPOINTS]
    for stage in given.stage:
        if stage not in known:
            return refuse(f"--stage {stage}: not in {outputs}; there is {', '.join(known)}")
    if given.command == "prune":
        items = prune(outputs, given.stage, given.older, given.to, given.dry_run)
        total = "would be removed" if given.dry_run else "removed"
    else:
        items, total = list_items(outputs, given.stage), "in all"
    any_damage = False
    for item in items:
        note = "" if item.kind == "entry" else item.kind
        if given.command == "verify" and item.kind == "entry":
            _, damage = read_manifest(item.path, verify=True)
            any_damage |= bool(damage)
            note = f"damaged: {damage}" if damage else "whole"
        size, used = item.bytes / 1e6, time.strftime("%Y-%m-%d %H:%M", time.localtime(item.used))
        line = f"{item.stage:<11} {item.key:<16} {size:>10,.1f} MB  {used}  {note}"
        print(sanitize(line, terminal=True))
    print(f"{len(items)} {total}, {sum(item.bytes for item in items) / 1e6:,.1f} MB")
    return ExitStatus.FAILED if any_damage else ExitStatus.DONE


def refuse(reason: str) -> int:
    """Print an error message, and return the exit status 2."""
    print(sanitize(f"error: {reason}", terminal=True), file=sys.stderr)
    return ExitStatus.REFUSED
