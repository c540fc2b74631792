"""Implement ``plan=true``: show what a run would compute and why, without computing it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.cache import store
from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.experiment import check_paths, left_out, stages_of
from pipeline.runtime.console import Display
from pipeline.runtime.exit_status import ExitStatus
from pipeline.runtime.signals import StopRequest
from pipeline.stages.base import Context, Expected, Stage
from pipeline.stages.report import NAME, Ended
from pipeline.tracking.tracker import Tracker
from w2v.files import canonical_json, free_disk, size_text
from w2v.labels import format_duration
from w2v.manifest_differences import (
    Manifest,
    by_distance,
    comparable,
    read_manifests,
    reasons,
    text_ratio,
    upstream_reasons,
)
from w2v.training.memory import available_cores, free_memory

NAMED = 4
"""The maximum number of reasons that a plan gives for computing one result."""


@dataclass(frozen=True)
class Step:
    """What a run would do in one stage."""

    stage: str
    why: str = ""  # the result would be computed; empty: it is cached
    expected: Expected = field(default_factory=Expected)
    job: int | None = None  # the earlier job of the sweep that would compute the result


@dataclass
class Planner:
    """Predicts which stages of successive runs would be computed, and which read from the cache."""

    display: Display = field(default_factory=Display)
    made: dict[tuple[str, str], tuple[int | None, Entry]] = field(default_factory=dict)
    manifests: dict[Path, list[Manifest]] = field(default_factory=dict)

    def plan(self, config: Config, job: int | None = None) -> list[Step]:
        """Return a `Step` for each stage of a run: whether, why and at what cost it would run.

        If the scores are cached but not the plots, a `Step` is added for a new evaluation that
        draws plots. (Jobs of a sweep draw none.) ``config.measure`` adds the speed test. `job` is
        the run's number in a sweep, or None. `InputError` is raised for invalid stages or files.
        """
        check_paths(config)
        cores = available_cores()
        context = Context(config, self.display, Tracker(), StopRequest(), cores, cores, job=job)
        steps = []
        for stage in stages_of(config):
            with stage.explaining(config):
                steps.append(self._step(stage, context))
        evaluated = context.entries.get("evaluate")
        if evaluated is not None and evaluated.cached and job is None:
            summary = {"config": config.as_dict()}
            run = Ended(Path(), context.outputs, context.entries, summary, config.title, "")
            if store.find(context.outputs / "cache" / NAME, run.key, context.verify) is None:
                expected = Expected(evaluated.seconds)
                steps.append(Step(NAME, "its plots are missing: scores are made again", expected))
        if config.measure is not None:
            steps.append(Step("measure", "it is timed in every run"))
        return steps

    def _step(self, stage: Stage, context: Context) -> Step:
        """Return the `Step` of one stage: whether, why and at what cost a run would compute it.

        For the plans of later stages, ``context.entries`` gets the stage's cache entry, or a
        substitute with estimated facts, such as the number of tokens, if the cache has none.
        """
        folder = context.outputs / "cache" / stage.name
        context.hashes.seen.clear()
        settings, _ = stage.prepare(context)
        key = stage.key(context, settings)
        if (stage.name, key) in self.made:
            job, context.entries[stage.name] = self.made[stage.name, key]
            return Step(stage.name, "made before", job=job)
        # If a source has the right sizes, and yet is to be made anew, its content is damaged.
        sources = [one for one in stage.upstream(context).items() if one in self.made]
        spoilt = any(not store.read_manifest(Path(folder.parent, *one))[1] for one in sources)
        if not spoilt and (found := store.find(folder, key, context.verify)):
            context.entries[stage.name] = found
            return Step(stage.name)
        if stage.name not in context.config.stages:
            raise left_out(stage, context.config)
        settings = json.loads(canonical_json(settings))  # as a manifest has them
        wanted = stage.about(context, settings)
        near = by_distance(wanted, self._manifests(folder))
        past = next((one for one in near if comparable(one, wanted)), None)
        facts: dict[str, Any] = {}
        try:
            expected = stage.expect(context, past)
            facts = stage.guess(context, past["facts"], text_ratio(wanted, past)) if past else {}
        except (LookupError, TypeError, ValueError, ZeroDivisionError):
            expected = stage.expect(context, None)  # manifests of older versions may lack items
        entry = Entry(key, folder / key, False, 0.0, facts, settings)
        context.entries[stage.name] = entry
        self.made[stage.name, key] = context.job, entry
        why = [expected.start] * bool(expected.start)
        why += self._why(context, wanted, near[0] if near else None, folder / key)
        more = len(why) - NAMED
        text = "; ".join(why[:NAMED]) + (f"; and {more} more" if more > 0 else "")
        return Step(stage.name, text, expected)

    def _why(
        self, context: Context, wanted: Manifest, near: Manifest | None, path: Path
    ) -> Iterator[str]:
        """Yield the reasons why the cache has no valid result at `path`.

        `wanted` is the manifest (metadata) that the result would have; it is compared with `near`,
        that of the most similar cached result. `near` is None if the stage has no cached result.
        """
        if path.exists() and (damage := store.read_manifest(path, context.verify)[1]):
            yield f"the result is damaged ({damage})"
            return
        anew = [name for name, key in wanted["upstream"].items() if (name, key) in self.made]
        if anew:
            yield f"{' and '.join(anew)} {'is' if len(anew) == 1 else 'are'} made anew"
        if near is not None:
            others = {name: key for name, key in wanted["upstream"].items() if name not in anew}
            cache = path.parents[1]
            yield from upstream_reasons(
                others, near["upstream"], lambda name: self._manifests(cache / name)
            )
            yield from reasons(wanted, near)
        elif not anew:
            yield "there is no result yet"

    def _manifests(self, folder: Path) -> list[Manifest]:
        if folder not in self.manifests:
            self.manifests[folder] = read_manifests(folder, store.MANIFEST, store.code_path)
        return self.manifests[folder]


def show(display: Display, plans: Mapping[str, Sequence[Step]], outputs: Path, at_once: int) -> int:
    """Print the plan of each run, and the time, memory and disk space that all runs need.

    Return 0 if all is cached, 3 otherwise. `plans` has the steps of each run, by the run's title.
    `at_once` is how many jobs run in parallel. The runs would write to the folder `outputs`.
    """
    works = [step for steps in plans.values() for step in steps if step.why]
    for title, steps in plans.items():
        wanted = [step for step in steps if step.why or len(plans) == 1]
        display.say(title if wanted else f"{title}  cached")
        for step in wanted:
            display.say(f"  {step.stage:<9} {line_of(step)}")
    if not works:
        display.say("everything is in the cache")
        return 0
    own = [step for step in works if step.job is None]
    made = [step.expected for step in own]
    unknown = list(dict.fromkeys(step.stage for step in own if step.expected.seconds is None))
    seconds = sum(one.seconds or 0 for one in made) / at_once
    time = f"about {format_duration(seconds)}" + f", {at_once} at a time" * (at_once > 1)
    line = "in all    " + (time + " and " * bool(unknown)) * (seconds > 0)
    line += f"{', '.join(unknown)}, of which there is no time yet" if unknown else ""
    memory, free = at_once * max(one.memory for one in made), free_memory()
    line += f"; {size_text(memory)} of memory" if memory else ""
    line += f" ({size_text(free)} free)" if memory and free is not None else ""
    disk = size_text(sum(one.disk for one in made))
    display.say(f"{line}; {disk} of disk ({size_text(free_disk(outputs))} free)")
    return ExitStatus.WORK_TO_DO


def line_of(step: Step) -> str:
    """Say whether a step is cached, will have been made by an earlier job, or why it must run."""
    if not step.why:
        return "cached"
    if step.job is not None:
        return f"made by job {step.job}"
    expected = step.expected
    sizes = {"memory": expected.memory, "disk": expected.disk}
    needs = ["" if expected.seconds is None else f"about {format_duration(expected.seconds)}"]
    needs += [f"{size_text(size)} of {kind}" for kind, size in sizes.items() if size]
    return f"to make: {step.why}  ({', '.join(filter(None, needs)) or 'no time yet'})"


def plan_run(config: Config, run_dir: Path) -> int:
    """Print which stages of a run would be computed; return 0 if all results are cached, else 3.

    Hydra has already made the folder `run_dir`. It is deleted if all its files are Hydra's.
    """
    planner = Planner()
    steps = planner.plan(config)
    remove_run_folder(run_dir)
    return show(planner.display, {f"plan of {config.title}": steps}, Path(config.outputs), 1)


def show_jobs(jobs: Mapping[tuple[str, ...], Config], at_once: int) -> int:
    """Print the plan of a sweep; return 0 if there is nothing to compute, 3 otherwise.

    `jobs` has each job's settings by its overrides (``key=value``); `at_once` run in parallel.
    """
    planner, plans = Planner(), {}
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    for number, (job, config) in enumerate(jobs.items()):
        own = " ".join(text for text in job if text not in common)
        plans[f"job {number}  {own}"] = planner.plan(config, number)
    return show(planner.display, plans, Path(config.outputs), min(at_once, len(jobs)))


def result_keys(config: Config) -> list[str]:
    """Return a run's cache keys, one per stage: hashes of the stage's settings, input and code."""
    context = Context(config, Display(), Tracker(), StopRequest(), cores=1, threads=1)
    for stage in stages_of(config):
        with stage.explaining(config):
            settings, _ = stage.prepare(context)
        key = stage.key(context, settings)
        context.entries[stage.name] = Entry(key, Path(), False, 0.0, {}, settings)
    return [entry.key for entry in context.entries.values()]


def remove_run_folder(folder: Path) -> None:
    """Delete a run's folder, and up to two empty parents, if only Hydra wrote to the folder."""
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {".hydra", "run.log"}:
            for path in (*(folder / ".hydra").glob("*.yaml"), folder / "run.log"):
                path.unlink()
            for path in (folder / ".hydra", folder, *folder.parents[:2]):
                path.rmdir()
