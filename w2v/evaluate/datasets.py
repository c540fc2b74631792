"""Where the benchmarks lie, and how their lines are read."""

from importlib.util import find_spec
from pathlib import Path

from w2v.errors import InputError
from w2v.text.sources import open_binary

BENCHMARKS = {
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
    "google": "questions-words.txt",
}


def benchmark_path(name: str) -> Path:
    """Where the installed gensim keeps a benchmark; gensim is not imported.

    Parameters
    ----------
    name
        ``wordsim353``, ``simlex999`` or ``google``.

    Raises
    ------
    InputError
        Another name, gensim not installed, or installed without its test data.

    References
    ----------
    Finkelstein et al. (2002), WordSim-353. Hill, Reichart, Korhonen (2015), SimLex-999.
    Mikolov, Chen, Corrado, Dean (2013), the Google analogies.
    """
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark is named {name!r}; there are {', '.join(BENCHMARKS)}")
    spec = find_spec("gensim")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "test" / "test_data" / BENCHMARKS[name]
        if path.is_file():
            return path
    raise InputError(f"the benchmark {name!r} comes with gensim; install gensim to have it")


def lines_of(path: str | Path) -> list[str]:
    """The lines of a text file in UTF-8, unpacked when its name ends in .gz, .bz2 or .xz.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    try:
        with open_binary(str(path)) as file:
            return file.read().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
