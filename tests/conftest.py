"""What several rooms' tests need."""

import logging
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def checkpoints_go_away(tmp_path_factory):
    """No test writes into the state folder of the person who runs it; Ray's workers inherit this."""
    os.environ["FEDMF_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def movielens_small():
    """The folder that holds ``ml-latest-small``: FEDMF_DATA, or a copy shared beside the checkout."""
    for folder in (os.environ.get("FEDMF_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "ml-latest-small" / "ratings.csv").is_file():
            return Path(folder)
    pytest.skip("ml-latest-small is not here: run `fedmf-ray data fetch ml-latest-small` and set FEDMF_DATA")


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
