"""What all tests share."""

import pytest
from hypothesis import settings

# No database of examples: tests leave nothing outside their temporary folder.
settings.register_profile("w2v", database=None, deadline=None)
settings.load_profile("w2v")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sweeps", type=int, default=2, help="parallel sweeps on fresh stores, one after another"
    )


@pytest.fixture
def sweeps_in_a_row(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--sweeps")
    return number
