"""The sweepers (grid, halving, search), without slow imports: Hydra imports this at every start."""

from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.settings import Config
from pipeline.sweeps.compose import SharedComposition
from pipeline.sweeps.grid import plan_jobs
from pipeline.sweeps.halving import check_halving, run_rungs
from pipeline.sweeps.launchers import jobs_at_once, prepare_processes, run_all_jobs
from pipeline.sweeps.overrides import Jobs
from pipeline.sweeps.session import SweepFailedError, check_hydra_settings, open_sweep
from pipeline.tracking import SharedStore
from w2v.errors import InputError
from w2v.files import require_writable
from w2v.settings import with_home


class ProjectSweeper(Sweeper):
    """The base class of the sweepers; stores Hydra's arguments until the sweep starts."""

    def __init__(self, **_: object) -> None:
        """Ignore the keys of ``hydra.sweeper``, which are read from the configuration later."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Store Hydra's arguments, check settings, and prepare the processes that will run jobs.

        With ``plan=true``, no job will run: no process is prepared, and only a grid is allowed.
        """
        shared: Any = SharedComposition(hydra_context.config_loader)
        self.hydra_context: HydraContext = HydraContext(shared, hydra_context.callbacks)
        self.shared = SharedStore()
        run: Any = task_function
        self.task_function: TaskFunction = partial(run, shared=self.shared)
        self.config: DictConfig = config
        schema.check_overrides(config.hydra.overrides.task)
        for group, key in ((config, "outputs"), (config.tracking, "uri")):
            group[key] = with_home(group[key])
        require_writable("outputs", Path(config.outputs))
        check_hydra_settings(config)
        if not config.plan:
            prepare_processes(config)
        elif type(self) is not GridSweeper:
            problem = "needs search=grid; other searches choose their jobs as they go"
            raise InputError(f"plan=true: {problem}")


class GridSweeper(ProjectSweeper):
    """The sweeper for ``search=grid``, which runs every combination of the given values."""

    def sweep(self, arguments: list[str]) -> None:  # noqa: ARG002
        """Plan and check all jobs; then run them or, with ``plan=true``, print the plan."""
        launcher = Plugins.instance().instantiate_launcher(
            self.hydra_context, self.task_function, self.config
        )
        jobs = plan_jobs(self.config, self.hydra_context.config_loader)
        self.check([*jobs.values()])
        if self.config.plan:
            from pipeline.plan import show_jobs

            if status := show_jobs(jobs, jobs_at_once(self.config) or 1):
                raise SweepFailedError("there is work to do", status)
            return
        with open_sweep(self.config, self.shared, jobs) as folder:
            OmegaConf.save(self.config, folder / "multirun.yaml")
            self.run(launcher, folder, [list(job) for job in jobs])

    def check(self, settings: list[Config]) -> None:
        """Let a subclass raise `InputError` for settings that it cannot run; a grid can run all."""

    def run(self, launcher: Launcher, folder: Path, jobs: Jobs) -> None:
        run_all_jobs(launcher, self.config, folder, jobs)


class HalvingSweeper(GridSweeper):
    """The sweeper for ``search=halving``: between rounds, the worse configurations are dropped."""

    def check(self, settings: list[Config]) -> None:
        check_halving(self.config, [one.train for one in settings])
        self.training = settings[0].train

    def run(self, launcher: Launcher, folder: Path, jobs: Jobs) -> None:
        run_rungs(launcher, self.config, folder, jobs, self.training)


class SearchSweeper(ProjectSweeper):
    """The sweeper for ``search=optuna``, which uses Hydra's own Optuna sweeper."""

    def sweep(self, arguments: list[str]) -> None:
        """Open a search's study, folder and MLflow run; run Hydra's sweeper with `arguments`."""
        from pipeline.sweeps.search import open_study

        study = open_study(self.config, jobs_at_once(self.config) or 1)
        with study as best, open_sweep(self.config, self.shared, {}, best):
            sweeper = Plugins.instance().instantiate_sweeper(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=self.config,
            )
            sweeper.sweep(arguments)
