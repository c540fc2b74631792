"""The sweeper of this project: every combination of the values given, each job once.

Hydra takes sweepers from the namespace package ``hydra_plugins`` only; `pipeline/run.py` puts the
folder above on the path. Hydra imports this file whenever it starts, so imports are light.
"""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.values import BESIDE
from pipeline.sweeps import session as callbacks
from pipeline.sweeps.results import check_objective
from pipeline.sweeps.session import has, plain
from w2v.errors import InputError

log = logging.getLogger(__name__)

Job = list[tuple[str, str]]
"""Keys and values, as the command line would give them."""


class GridSweeper(Sweeper):
    """All combinations; a setting is left out of the jobs whose choices do not have it.

    Every job is composed and checked against the limits before the first one starts. A job that
    takes its process with it is found, by running those that were under way one by one, and the
    others go on.

    Parameters
    ----------
    params
        Further overrides, for experiment files: ``{model.window: "2,5,10"}``.
    """

    def __init__(self, params: dict[str, str] | None = None) -> None:
        self.params = dict(params or {})
        self.launcher: Launcher | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Plan the jobs, open the sweep, run them.

        Raises
        ------
        InputError
            A job that cannot be composed, or the tracking store cannot be used.
        """
        assert self.config is not None
        given = [f"{key}={value}" for key, value in self.params.items()]
        jobs = self.plan([*given, *arguments])
        texts = [[text_of(key, value) for key, value in job] for job in jobs]
        sweep = callbacks.begin(self.config, texts)
        OmegaConf.save(self.config, sweep.folder / "multirun.yaml")
        # submitit's local executor starts whatever it is given: it gets no more than fits.
        local = str(self.config.hydra.launcher._target_).endswith(".LocalLauncher")
        size = sweep.at_once if local and sweep.at_once else len(texts)
        for first in range(0, len(texts), size):
            numbers = range(first, min(first + size, len(texts)))
            self.launch(sweep.folder, texts, list(numbers))

    def launch(self, folder: Path, texts: list[list[str]], numbers: list[int]) -> None:
        """Run the jobs of these consecutive numbers; whatever becomes of one, run the others."""
        assert self.launcher is not None
        try:
            self.launcher.launch([texts[n] for n in numbers], initial_job_idx=numbers[0])
            return
        except Exception as error:
            started = [n for n in numbers if (folder / str(n) / callbacks.JOB).exists()]
            if not started:
                raise
            log.warning("%s: %s", type(error).__name__, error)
        suspects = [n for n in started if not callbacks.ended(folder / str(n))]
        rest = [n for n in numbers if n not in started]
        for _, run in itertools.groupby(enumerate(rest), lambda pair: pair[1] - pair[0]):
            self.launch(folder, texts, [n for _, n in run])
        for n in suspects:
            with callbacks.judged_alone(folder / str(n)):
                self.launcher.launch([texts[n]], initial_job_idx=n)

    # The plan.

    def plan(self, arguments: Sequence[str]) -> list[Job]:
        """The jobs, each composed and checked, in the order of the command line."""
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
        values: dict[str, list[str]] = {}
        for override in parsed:
            key = override.get_key_element()
            values[key] = texts_of(override)
            name = override.key_or_group.partition(".")[0]
            if len(values[key]) > 1 and name in BESIDE:
                raise InputError(f"{override.input_line}: a sweep has one; give a single value")
        groups = [key for key in values if "." not in key and loader.get_group_options(key)]
        bases = {
            choice: loader.load_sweep_config(
                self.config, [f"{key}={value}" for key, value in zip(groups, choice, strict=True)]
            )
            for choice in itertools.product(*(values[key] for key in groups))
        }
        for choice, base in bases.items():
            self.refuse_a_sweep_in_a_sweep(dict(zip(groups, choice, strict=True)), base, values)
        settings = [key for key in values if key not in groups]
        homeless = [key for key in settings if not any(has(base, key) for base in bases.values())]
        if homeless and plain(homeless[0]):
            raise InputError(schema.no_such(homeless[0]))
        jobs: dict[tuple[tuple[str, str], ...], None] = {}
        left_out: dict[str, str] = {}
        for combination in itertools.product(*(values[key] for key in values)):
            chosen = dict(zip(values, combination, strict=True))
            choice = tuple(chosen[key] for key in groups)
            base = bases[choice]
            absent = [key for key in settings if plain(key) and not has(base, key)]
            for key in absent:
                group = key.partition(".")[0]
                left_out[key] = f"{group}={chosen.get(group, '')}"
            jobs[tuple((k, v) for k, v in chosen.items() if k not in absent)] = None
        for key, where in left_out.items():
            print(f"{key} is left out where {where}, which has no such setting")
        for job in jobs:
            self.check(bases[tuple(dict(job)[key] for key in groups)], job, groups)
        return [list(job) for job in jobs]

    def refuse_a_sweep_in_a_sweep(
        self, choice: dict[str, str], base: Any, values: dict[str, list[str]]
    ) -> None:
        """Refuse several experiments one of which brings an objective or a plan of its own."""
        assert self.config is not None
        if len(values.get("experiment", ())) < 2:
            return
        own = OmegaConf.select(base, "hydra.sweeper.params") or {}
        judged = OmegaConf.select(base, "search.objective")
        if dict(own) != self.params or judged != self.config.search.objective:
            raise InputError(
                f"experiment={choice['experiment']}: is a sweep of its own; "
                "it cannot be one choice of another"
            )

    def check(self, base: Any, job: Sequence[tuple[str, str]], groups: Sequence[str]) -> None:
        """Refuse a job whose settings the schema refuses.

        Composing takes a sixth of a second; values are set on a copy, as Hydra would.
        """
        texts = [f"{key}={value}" for key, value in job if key not in groups]
        if all(plain(key) for key, _ in job):
            composed = base.copy()
            for override in OverridesParser.create().parse_overrides(texts):
                OmegaConf.update(composed, override.key_or_group, override.value(), merge=True)
        else:
            assert self.hydra_context is not None
            assert self.config is not None
            loader = self.hydra_context.config_loader
            composed = loader.load_sweep_config(self.config, [text_of(k, v) for k, v in job])
        check_objective(schema.resolve(composed), str(composed.search.objective))


def text_of(key: str, value: str) -> str:
    """An override, as the command line would have it: what is removed has no value."""
    return key if key.startswith("~") and value == "null" else f"{key}={value}"


def texts_of(override: Override) -> list[str]:
    """The values of an override, as the command line would give them."""
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise InputError(
            f"{override.input_line}: an interval has no end of values; "
            "give a list or a range, or add search=optuna"
        )
    try:
        texts = list(dict.fromkeys(override.sweep_string_iterator()))
    except (ValueError, TypeError):
        raise InputError(f"{override.input_line}: give a list of values, or one range") from None
    if isinstance(override.value(), Glob):
        texts = [text for text in texts if not text.endswith("schema")]
        if not texts:
            raise InputError(f"{override.input_line}: stands for none of the choices of a group")
    return texts
