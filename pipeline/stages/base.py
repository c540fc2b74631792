"""What every stage has, and what it is given when it runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.cache.store import Entry, digest, stage_key
from pipeline.config.settings import Config
from pipeline.config.values import is_number
from pipeline.runtime.console import Display
from pipeline.runtime.resources import machine
from pipeline.runtime.signals import StopRequest
from pipeline.tracking.tracker import Tracker
from w2v.errors import InputError
from w2v.hashes import FileHashes
from w2v.report.findings import Findings
from w2v.source_code import source_digests
from w2v.text.sources import size_of


@dataclass
class Context:
    """The run that a stage is part of."""

    config: Config
    display: Display
    tracker: Tracker
    stop: StopRequest
    cores: int  # that the run may use
    threads: int  # of the engine
    command: str = ""  # repeats the run
    job: int | None = None  # its number in a sweep; None: a single run
    sweep_dims: int = 0  # of a job and all later ones: the dimensions of their vectors, added up
    entries: dict[str, Entry] = field(default_factory=dict)  # the results so far, by stage
    findings: Findings | None = None  # of an evaluation that was made now

    @property
    def outputs(self) -> Path:
        """The folder for everything that is made."""
        return Path(self.config.outputs)

    @cached_property
    def hashes(self) -> FileHashes:
        """The SHA-256 of the files that the run reads."""
        return self.config.file_hashes()

    @property
    def verify(self) -> bool:
        """Whether results are compared with their SHA-256 before they are used again."""
        return self.config.cache.verify == "sha256"

    @property
    def words(self) -> int:
        """Words that training has read: the step at which MLflow shows final figures."""
        return int(self.entries["train"].facts["words"]) if "train" in self.entries else 0


Make = Callable[[Path], dict[str, Any]]
"""Fills an empty folder and returns facts about it, as JSON values."""


class Expected(NamedTuple):
    """What making a result will take: seconds, if that is known, and bytes."""

    seconds: float | None = None
    memory: int = 0
    disk: int = 0


MAX_INPUTS = 10_000
"""Manifests list the files that a result was made from only if they are not more."""


class Stage(ABC):
    """One stage: what its result depends on, how it is made, shown and recorded.

    To add a stage, write a file with a subclass, and add it to `pipeline.stages.STAGES`.
    """

    name: ClassVar[str]  # on the command line and in the cache
    section: ClassVar[str]  # of summary.json
    group: ClassVar[str] = ""  # of the settings that the library calls by its own arguments
    consumes: ClassVar[tuple[str, ...]] = ()  # the stages whose results it reads

    def applies(self, config: Config) -> bool:  # noqa: ARG002
        """Return whether an experiment has this stage at all."""
        return True

    def check(self, config: Config) -> None:
        """Refuse paths in the settings at which nothing is that can be read, before any work."""

    @abstractmethod
    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        """Return the settings that the result depends on, as JSON values, and how it is made.

        They are named as the user names them. The cache adds `upstream` and `code_version`. Files
        count by their content.
        """

    @abstractmethod
    def describe(self, facts: Mapping[str, Any]) -> str:
        """Return a line about the result for the terminal."""

    def ready(self, context: Context, entry: Entry) -> None:
        """Do what must be done as soon as the result is there, made now or found in the cache."""

    def record(self, context: Context, entry: Entry) -> None:
        """Record the result, when all stages have run."""

    def files(self, context: Context, entry: Entry) -> dict[str, str]:  # noqa: ARG002
        """Return the files that the summary names."""
        return {}

    def finish(
        self, context: Context, entry: Entry, run_dir: Path, summary: Mapping[str, Any]
    ) -> None:
        """Do what needs the summary, such as writing a report."""

    def key(self, context: Context, settings: dict[str, Any]) -> str:
        """Return the key of the result in the cache."""
        return stage_key(self.name, self.code_version, settings, self.upstream(context))

    def upstream(self, context: Context) -> dict[str, str]:
        """Return the keys of the results that the stage reads, by stage."""
        entries = context.entries
        return {name: entries[name].key for name in self.consumes if name in entries}

    @property
    def code(self) -> dict[str, str]:
        """The source files that the result depends on, each with a hash."""
        return code_of(type(self).__module__)

    @property
    def code_version(self) -> str:
        """A hash of `code`."""
        return digest(self.code)

    def about(self, context: Context) -> dict[str, Any]:
        """Return what the manifest says beside the settings, after `prepare`, for plans."""
        inputs = dict(context.hashes.seen)
        size = size_of([*inputs]) or 0
        return {
            "code": self.code,
            "inputs": inputs if len(inputs) <= MAX_INPUTS else {},
            "input_bytes": size,
            "machine": machine(),
        }

    def expect(self, context: Context, past: Mapping[str, Any] | None) -> Expected:  # noqa: ARG002
        """Return what making the result will take.

        `past` is the manifest of the nearest result that was made on such a machine, if any.
        Results of other stages that are not there yet have the facts of the nearest ones.
        """
        if past is None:
            return Expected()
        return Expected(past["seconds"], disk=sum(one["bytes"] for one in past["files"].values()))

    def guess(self, context: Context, facts: dict[str, Any], ratio: float) -> dict[str, Any]:
        """Return the facts that are expected of a result, by those of the nearest one there is.

        `ratio` is the size of the text that is read, in units of that of the other result; 0 if it
        is unknown. The facts are empty if nothing is expected.
        """
        del context, ratio
        return facts

    def explain(self, error: InputError, config: Config) -> InputError:
        """Return an error that names a setting by its key, where the library names an argument."""
        name = str(error).partition("=")[0]
        ours = self.group and name.isidentifier() and hasattr(getattr(config, self.group), name)
        return InputError(f"{self.group}.{error}") if ours else error


def numbers(section: str, facts: Mapping[str, Any]) -> dict[str, float]:
    """Return the facts that are numbers, named as metrics: ``corpus/tokens``."""
    return {f"{section}/{key}": value for key, value in facts.items() if is_number(value)}


ROOMS = ("w2v.", "pipeline.stages.", "pipeline.corpora.")
"""Modules whose code can change a result. Others only run and record the stages."""

SHARED = ("w2v", "pipeline.stages.base")
"""Modules that all stages share and that change no result."""

DATA = {"w2v.report.page": "templates/*"}
"""Other files that a module reads."""


@cache
def code_of(module: str) -> dict[str, str]:
    """Return the source files on which what a module makes depends, each with a hash."""
    return source_digests(module, ROOMS, SHARED, DATA)
