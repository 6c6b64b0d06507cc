"""One local Ray for all tests of this folder: starting it costs seconds."""

import pytest


@pytest.fixture(scope="session")
def local_ray():
    """A small local Ray, started once; backends find it initialised and leave it alone."""
    import logging

    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield ray
    ray.shutdown()
