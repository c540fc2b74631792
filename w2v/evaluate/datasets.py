"""Find the files of benchmarks by name: those that gensim ships, and standard sets of word pairs.

Standard sets are downloaded when they are first used. The files are parsed by
`w2v.evaluate.similarity` and `w2v.evaluate.analogies`.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from w2v.compression import open_binary
from w2v.errors import InputError
from w2v.files import local_path

BENCHMARKS = {
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
    "google": "questions-words.txt",
}
"""The file of each benchmark among gensim's test data."""


def benchmark_path(name: str) -> Path:
    """Return the path of a benchmark file in the installed gensim package.

    Parameters
    ----------
    name
        ``wordsim353``, ``simlex999`` or ``google``.

    Raises
    ------
    InputError
        There is no benchmark of this name, or gensim or its test data is not installed.

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


NOT_STATED = "not stated in the file; see the reference"

STANDARD_URL = (
    "https://raw.githubusercontent.com/mfaruqui/eval-word-vectors/"
    "94b3dd9fdbac7ed08dbee7179cd5ee464acf0594/data/word-sim/"
)
"""The web address of the standard sets of word pairs, collected by Faruqui and Dyer (2014)."""


class Dataset(NamedTuple):
    """The description of a benchmark for reports; for a set in `STANDARD`, also what to download.

    Attributes
    ----------
    title, reference, licence
        The benchmark's name, the paper to cite, and its license.
    file, sha256
        The file name below `STANDARD_URL` and its checksum; "" for benchmarks that gensim ships.
    """

    title: str
    reference: str
    licence: str = NOT_STATED
    file: str = ""
    sha256: str = ""


SHIPPED = {
    "wordsim353": Dataset("WordSim-353", "Finkelstein et al. (2002), Placing search in context"),
    "simlex999": Dataset("SimLex-999", "Hill, Reichart, Korhonen (2015), SimLex-999"),
    "google": Dataset(
        "Google's analogies",
        "Mikolov, Chen, Corrado, Dean (2013), Efficient estimation of word representations",
        "Apache 2.0, as part of word2vec",
    ),
}
"""The benchmarks that gensim ships, by the names that `benchmark_path` knows."""

STANDARD = {
    "men": Dataset(
        "MEN",
        "Bruni, Tran, Baroni (2014), Multimodal distributional semantics",
        NOT_STATED,
        "EN-MEN-TR-3k.txt",
        "888b13580faa362c7b11da0a670258cf1b1eb4bf0ecbcd418918729a3bd3f43a",
    ),
    "mturk771": Dataset(
        "MTurk-771",
        "Halawi, Dror, Gabrilovich, Koren (2012), Large-scale learning of word "
        "relatedness with constraints",
        NOT_STATED,
        "EN-MTurk-771.txt",
        "04dc297c9e86b6fa7cf8ef0e4ba2e2c8d3399ec68d92fb7a53c0b4aae27198b5",
    ),
    "mturk287": Dataset(
        "MTurk-287",
        "Radinsky, Agichtein, Gabrilovich, Markovitch (2011), A word at a time",
        NOT_STATED,
        "EN-MTurk-287.txt",
        "a9ae3a9decb75a9700fe0cf18b048c1344774d9f40e0196baf8e34d4cd9d1ce5",
    ),
    "rw": Dataset(
        "Rare Words (RW)",
        "Luong, Socher, Manning (2013), Better word representations with "
        "recursive neural networks for morphology",
        NOT_STATED,
        "EN-RW-STANFORD.txt",
        "5108d54dfc746f44f9c3d7e31d2857c37cf71430bc1594175a61a3b89bb0ae1f",
    ),
    "simverb3500": Dataset(
        "SimVerb-3500",
        "Gerz, Vulić, Hill, Reichart, Korhonen (2016), SimVerb-3500",
        NOT_STATED,
        "EN-SimVerb-3500.txt",
        "9d84274e7ad029fd3cf69dd0516e9ade624bbef9bd4e2050f6cc1fa01471e0f5",
    ),
    "ws353sim": Dataset(
        "WordSim-353, similarity",
        "Agirre, Alfonseca, Hall, Kravalova, Paşca, Soroa (2009), A study on "
        "similarity and relatedness",
        NOT_STATED,
        "EN-WS-353-SIM.txt",
        "f1da938998863c94e53f72f984a5c6e215f0b46c323aae8f0f4930703a339107",
    ),
    "ws353rel": Dataset(
        "WordSim-353, relatedness",
        "Agirre, Alfonseca, Hall, Kravalova, Paşca, Soroa (2009), A study on "
        "similarity and relatedness",
        NOT_STATED,
        "EN-WS-353-REL.txt",
        "66a7c88100624d0a391605ff61ce84e11d11ee620d51ec0298da49592838f8fa",
    ),
    "rg65": Dataset(
        "RG-65",
        "Rubenstein, Goodenough (1965), Contextual correlates of synonymy",
        NOT_STATED,
        "EN-RG-65.txt",
        "c243f3a91c3f5d8cf67f21a67f6fb80bde8b6bb060851a6a48e6f2d68ec98c9f",
    ),
    "mc30": Dataset(
        "MC-30",
        "Miller, Charles (1991), Contextual correlates of semantic similarity",
        NOT_STATED,
        "EN-MC-30.txt",
        "33ee05911496ff83d95cac351d0746c6f63b9181b605cb7d307f4daa8864511b",
    ),
    "yp130": Dataset(
        "YP-130",
        "Yang, Powers (2006), Verb similarity on the taxonomy of WordNet",
        NOT_STATED,
        "EN-YP-130.txt",
        "7643fdbc6158c3424061e2cba450c71285767266ff9f3db947bfc1f1f5ce67ab",
    ),
    "verb143": Dataset(
        "VERB-143",
        "Baker, Reichart, Korhonen (2014), An unsupervised model for instance "
        "level subcategorization acquisition",
        NOT_STATED,
        "EN-VERB-143.txt",
        "7259e19961c81912aa4c72de0102e480b2ad2bb9f4ce97d036fbde8e1a403001",
    ),
}
"""The standard sets of word pairs, by name."""


def standard_path(name: str, folder: str | Path, url: str = STANDARD_URL) -> Path:
    """Return the path of a standard set of word pairs; download it if it is not in the folder.

    Parameters
    ----------
    name
        A key of `STANDARD`.
    folder
        The folder for downloaded files. If the set's file is there and has the right checksum, it
        is used, even if it was copied there by hand. With another checksum, it is replaced.
    url
        The address of the folder from which the file is downloaded.

    Raises
    ------
    InputError
        The name is unknown, or the file has to be downloaded and cannot be.
    """
    from w2v.text.download import download

    if name not in STANDARD:
        raise InputError(f"standard: no such set; there are {', '.join(STANDARD)}")
    chosen = STANDARD[name]
    path, address = local_path(folder) / chosen.file, f"{url.rstrip('/')}/{chosen.file}"
    try:
        download(address, chosen.sha256, path)
    except InputError as error:
        raise InputError(
            f"standard: {address} cannot be downloaded ({error}); get this file elsewhere and put "
            f"it into {folder}, or give its path in place of standard"
        ) from None
    return path


def about(name: str, source: str | None) -> Dataset | None:
    """Return the description of a benchmark that gensim ships or that this library can download.

    Those that can be downloaded are the sets of word pairs in `STANDARD`, which are called standard
    sets. Return None for a file of the user, and for a benchmark that is not used.

    Parameters
    ----------
    name
        The name of the benchmark in the settings.
    source
        Where the settings say that the benchmark comes from: ``gensim``, ``standard``, or the path
        of a file of the user; None if it is not used.
    """
    return {"gensim": SHIPPED, "standard": STANDARD}.get(str(source), {}).get(name)


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a UTF-8 text file, decompressing it if its name ends in .gz, .bz2 or .xz.

    A line ends in a line feed, a carriage return, or both.

    Raises
    ------
    InputError
        The file cannot be read or is not UTF-8.
    """
    try:
        with open_binary(path) as file:
            return re.split("\r\n?|\n", file.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
