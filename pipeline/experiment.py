"""Run one experiment: its stages in order, each computed or read from the cache, then recorded."""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.cache import store
from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.config.values import as_yaml
from pipeline.runtime.write_errors import explain_write_errors
from pipeline.stages import STAGES
from pipeline.stages.base import Context, Stage
from pipeline.stages.report import SUMMARY, remove_earlier
from w2v.errors import InputError, showing_warnings
from w2v.files import in_use, json_page, written_aside
from w2v.threads import limited_threads

log = logging.getLogger(__name__)


def check_stages(config: Config, stages: Sequence[Stage] = STAGES) -> None:
    """Raise `InputError` if ``config.stages`` names an unknown stage."""
    names = [stage.name for stage in stages]
    if not set(config.stages) <= set(names):
        raise InputError(f"stages={as_yaml(config.stages)}: must be some of [{', '.join(names)}]")


def check_paths(config: Config, stages: Sequence[Stage] = STAGES) -> None:
    """Raise `InputError` for an unknown stage, or an input file that cannot be read."""
    check_stages(config, stages)
    for stage in stages_of(config, stages):
        with stage.explaining(config):
            stage.check(config)


def stages_of(config: Config, stages: Sequence[Stage] = STAGES) -> list[Stage]:
    """Return the stages of an experiment, up to the last one named in ``config.stages``."""
    found = [stage for stage in stages if stage.applies(config)]
    last = max((i for i, stage in enumerate(found) if stage.name in config.stages), default=-1)
    return found[: last + 1]


def left_out(stage: Stage, config: Config) -> InputError:
    """Return the error for a stage that ``config.stages`` omits and whose result is not cached."""
    return InputError(
        f"stages={as_yaml(config.stages)}: {stage.name} is left out, and the cache does not hold "
        f"its result; add {stage.name} to stages"
    )


class Experiment:
    """Runs the stages of an experiment in order, and records their results."""

    def __init__(self, context: Context, stages: Sequence[Stage] = STAGES) -> None:
        check_stages(context.config, stages)
        self.context = context
        self.stages = stages_of(context.config, stages)

    def run(self, run_dir: Path) -> dict[str, Any]:
        """Run the stages, record them, write ``summary.json`` to `run_dir`, and return its content.

        The cache must have the results of earlier stages that ``config.stages`` omits. The speed
        test in ``config.measure``, if any, follows the stages. If `run_dir` holds an earlier run,
        its files are removed first, so that no old report stays beside the new summary.
        """
        context = self.context
        remove_earlier(run_dir)
        with ExitStack() as kept:  # from being pruned, until the run ends
            for stage in self.stages:
                explaining = stage.explaining(context.config)
                with limited_threads(context.threads), showing_warnings(self._warn), explaining:
                    entry = context.entries[stage.name] = self._result(stage)
                kept.enter_context(in_use(entry.path / store.MANIFEST))
            for stage in self.stages:
                stage.record(context, context.entries[stage.name])
            summary = self._summary(run_dir)
            if context.config.measure is not None:
                from pipeline.measure import measure

                summary |= measure(context, run_dir)
            with written_aside(run_dir / SUMMARY) as aside:
                aside.write_text(json_page(summary) + "\n", encoding="utf-8")
            context.tracker.files([run_dir / SUMMARY], "")
            for stage in self.stages:
                stage.finish(context, context.entries[stage.name], run_dir, summary)
        return summary

    def _warn(self, line: str) -> None:
        self.context.display.say(line, "yellow")

    def _result(self, stage: Stage) -> Entry:
        """Return a stage's result from the cache; if it is not there, compute it.

        If ``config.stages`` does not name the stage, raise `InputError` instead of computing it.
        """
        context, folder = self.context, self.context.outputs / "cache" / stage.name
        context.hashes.seen.clear()
        settings, compute = stage.prepare(context)

        def make(out: Path) -> dict[str, Any]:
            with showing_warnings(self._warn) as warned:
                facts = compute(out)
            return {**facts, "warnings": warned} if warned else facts

        key, about = stage.key(context, settings), stage.about(context, settings)
        if stage.name in context.config.stages:
            full = explain_write_errors(context.outputs, stage.name)
            with context.display.bar(stage.name), context.stop.deferrable(), full:
                entry = store.find_or_make(folder, key, about, make, self._damaged, context.verify)
        else:
            found = store.find(folder, key, context.verify)
            if found is None:
                raise left_out(stage, context.config)
            entry = found
        for line in entry.facts.get("warnings", ()) if entry.cached else ():
            self._warn(line)
        context.tracker.tag({f"stage.{stage.name}": key})
        stage.ready(context, entry)
        log.info("%s %s %s", stage.name, entry.path, "cached" if entry.cached else "made")
        context.display.stage(stage.name, stage.describe(entry.facts), entry.cached, entry.seconds)
        return entry

    def _damaged(self, path: Path, aside: Path, reason: str, later: list[Path]) -> None:
        line = f"{path} is damaged ({reason}): moved to {aside.name} and made again"
        stages = Counter(one.parent.name for one in later)
        made = ", ".join(f"{count} of {stage}" for stage, count in stages.items())
        self._warn(line + f"; results made from it are moved aside, too: {made}" * bool(later))

    def _summary(self, run_dir: Path) -> dict[str, Any]:
        context, entries = self.context, self.context.entries
        summary: dict[str, Any] = {
            "run_dir": str(run_dir),
            "mlflow_run_id": context.tracker.run_id,
            "config": context.config.as_dict(),
            "stages": {
                name: {"key": e.key, "path": str(e.path), "cached": e.cached, "seconds": e.seconds}
                for name, e in entries.items()
            },
        }
        files: dict[str, str] = {}
        for stage in self.stages:
            summary[stage.section] = entries[stage.name].facts
            files |= stage.files(context, entries[stage.name])
        return summary | ({"files": files} if files else {})
