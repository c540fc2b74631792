"""Write HTML pages on the vectors that a sweep's best configuration gave with several seeds."""

import sys
from datetime import datetime
from pathlib import Path
from typing import cast

from pipeline.stages.report import SUMMARY
from pipeline.sweeps.results import Job, read_json
from w2v.errors import InputError
from w2v.evaluate.ensemble import Ensemble
from w2v.evaluate.settings import Evaluate
from w2v.evaluate.sweep import Sweep
from w2v.report.comparisons import compare_texts, write_ensemble
from w2v.vectors import Use, WordVectors


def write_ensembles(folder: Path, result: Sweep[Job]) -> list[Path]:
    """Write HTML pages on a sweep's best configuration with several seeds into its `folder`.

    ``result.ranking`` lists groups of comparable configurations, each from best to worst. The first
    configuration with several seeds counts as best; if there is none, return []. Otherwise, return
    the paths of the pages: a report, a map unless ``evaluate.map`` is empty, and, with
    ``evaluate.compare``, a comparison with the vectors of another text. Warn if making one fails.
    """
    every = (one for ranked in result.ranking.values() for one in ranked)
    best = next((one for one in every if len(one.vectors) > 1), None)
    if best is None:
        return []
    jobs = [job.number for job in best.runs.values()]
    config = read_json(folder / str(jobs[0]) / SUMMARY)["config"]
    settings = Evaluate(**config["evaluate"])
    chosen = [f"{key}={text}" for key, text in best.settings.items() if text is not None]
    paths = [str(Path(file).parent) for file in best.vectors]
    pages: list[Path] = []
    try:
        ensemble = Ensemble(WordVectors.load(path, cast(Use, settings.use)) for path in paths)
        pages += write_ensemble(
            folder,
            ensemble,
            title=" ".join([*chosen, "on", config["corpus"]["name"]]),
            resampled=config["train"]["bootstrap"],
            when=datetime.now().astimezone(),
            probes=settings.probes or config["corpus"]["probes"] or (),
            paths=paths,
            methods=settings.map,
            map_words=settings.map_words,
        )
        if settings.compare:
            pages.append(compare_texts(folder, ensemble, config))
    except (InputError, OSError) as error:
        numbers = " ".join(map(str, jobs))
        print(f"warning: jobs {numbers} have no page of their own: {error}", file=sys.stderr)
    return pages
