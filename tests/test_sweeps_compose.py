"""Test that each job of a sweep gets the configuration that Hydra would compose for it."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import schema
from pipeline.sweeps.compose import SharedComposition
from pipeline.sweeps.grid import plan_jobs
from pipeline.sweeps.overrides import is_group
from tests.commands import ROOT
from tests.test_config import BASE


@pytest.fixture
def master() -> Iterator[DictConfig]:
    schema.register()
    with initialize_config_dir(str(ROOT / "conf"), **BASE):
        yield compose("config", return_hydra_config=True)


class Counter:
    """A wrapper of Hydra's config loader that counts the jobs' configurations that it composes."""

    def __init__(self) -> None:
        self.composed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(GlobalHydra.instance().config_loader(), name)

    def load_sweep_config(self, *arguments: Any) -> DictConfig:
        self.composed += 1
        return GlobalHydra.instance().config_loader().load_sweep_config(*arguments)


def everything(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=False)


JOBS = (
    ["loss=negsample", "loss.negatives=3", "seed=1"],
    ["loss=softmax", "seed=2", "corpus.limit=4"],
    ["corpus=files", "corpus.path=[a.txt,'b c.txt']", "train.lr=1e-3", "seed=2"],
    ["evaluate.analogy={google: null}", "stages=[tokenize]"],
    ["~evaluate.similarity.simlex999", "+evaluate.similarity.own=x.tsv", "seed=3"],
    ["experiment=softmax", "model.window=7", "train.decay_epochs=null"],
)


@pytest.mark.parametrize("job", JOBS)
def test_a_shared_composition_equals_hydras_own(master: DictConfig, job: list[str]) -> None:
    shared = SharedComposition(GlobalHydra.instance().config_loader())
    own = GlobalHydra.instance().config_loader().load_sweep_config(master, list(job))
    own.hydra.output_subdir = None  # job.json and config.yaml say what Hydra would write there
    for _ in range(2):
        assert everything(shared.load_sweep_config(master, job)) == everything(own)


def test_jobs_with_the_same_choices_are_composed_once(master: DictConfig) -> None:
    counter = Counter()
    shared = SharedComposition(counter)
    for loss in ("negsample", "softmax"):
        for seed in range(3):
            job = shared.load_sweep_config(master, [f"loss={loss}", f"seed={seed}"])
            assert ("negatives" in job.loss, job.seed) == (loss == "negsample", seed)
    assert counter.composed == 2
    assert SharedComposition(counter).load_sweep_config(master, ["loss=softmax"]).seed == 0


def test_the_jobs_of_a_grid_are_composed_once_to_plan_and_to_run_them(master: DictConfig) -> None:
    master.hydra.overrides.task = ["loss=negsample,softmax", "seed=range(3)", "++cache.verify=size"]
    shared: Any = SharedComposition(counter := Counter())
    jobs = plan_jobs(master, shared)
    assert [(one.loss.name, one.seed) for one in jobs.values()] == [
        (loss, seed) for loss in ("negsample", "softmax") for seed in range(3)
    ]
    planned = counter.composed
    for job, settings in jobs.items():
        assert schema.resolve(shared.load_sweep_config(master, job)) == settings
    assert counter.composed == planned == 4  # with and without what has a plus
    master.hydra.overrides.hydra = ["hydra.sweep.dir=elsewhere"]
    assert shared.load_sweep_config(master, job).hydra.sweep.dir == "elsewhere"
    # The number of a job is known only when it runs.
    master.hydra.overrides.hydra = ["hydra.job.name=job${hydra.job.num}"]
    config = shared.load_sweep_config(master, job)
    config.hydra.job.num = 3
    assert config.hydra.job.name == "job3"


@pytest.mark.usefixtures("master")  # it makes Hydra look for its plug-ins
def test_a_folder_without_settings_is_no_group(tmp_path: Path) -> None:
    path = ConfigSearchPathImpl()
    path.append("user", f"file://{tmp_path}")
    loader = ConfigLoaderImpl(path)
    (tmp_path / "seed").mkdir()
    assert not is_group("seed", loader)
    (tmp_path / "seed" / "mine.yaml").write_text("{}\n")
    assert is_group("seed", loader)


def test_a_process_that_gets_a_shared_composition_composes_once(master: DictConfig) -> None:
    received = pickle.loads(pickle.dumps(SharedComposition(Counter())))
    for seed in range(3):
        assert received.load_sweep_config(master, [f"seed={seed}"]).seed == seed
    assert received.loader.composed == 1


@pytest.mark.parametrize("override", ["seed=x", "model.windw=3"])
def test_what_hydra_refuses_is_refused_in_its_words(master: DictConfig, override: str) -> None:
    loader = GlobalHydra.instance().config_loader()
    messages = []
    for one in (loader, SharedComposition(loader)):
        with pytest.raises((ConfigCompositionException, OmegaConfBaseException)) as raised:
            one.load_sweep_config(master, [override])
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
