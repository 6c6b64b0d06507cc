"""What the tests of several packages need."""

import logging
import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent

# Other work on the machine makes no test red.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def checkpoints_go_away(tmp_path_factory):
    """No test writes into the state folder of the person who runs it; Ray's workers inherit this."""
    os.environ["FEDMF_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session", autouse=True)
def _quick_disk():
    """No machine loses power in a test, and waiting for disks was a third of the time of all runs."""
    real, os.fsync = os.fsync, lambda _: None
    yield
    os.fsync = real


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT


def _movielens_folder():
    """FEDMF_DATA, or a copy shared beside the checkout, if ``ml-latest-small`` is there."""
    for folder in (os.environ.get("FEDMF_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "ml-latest-small" / "ratings.csv").is_file():
            return Path(folder)
    return None


@pytest.fixture(scope="session")
def movielens_small():
    """The folder that holds ``ml-latest-small``."""
    folder = _movielens_folder()
    if folder is None:
        pytest.skip(
            "ml-latest-small is not here: run `fedmf-ray data fetch ml-latest-small` and set FEDMF_DATA"
        )
    return folder


@pytest.fixture(scope="session")
def no_movielens():
    """For what another test covers where ``ml-latest-small`` is."""
    if _movielens_folder() is not None:
        pytest.skip("ml-latest-small is here: a test of all scenarios covers this one")


@pytest.fixture(scope="session")
def local_ray():
    """A small local Ray, started once; backends find it initialised and leave it alone."""
    from fedmf_ray.engine.connection import import_ray

    ray = import_ray()
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    yield ray
    ray.shutdown()
