import pytest
import yaml

from fedmf_ray.study import cells
from tests.support.small_studies import BASE


@pytest.fixture
def load(tmp_path):
    def from_sweep(swept, **changes):
        path = tmp_path / "study-x.yaml"
        path.write_text(yaml.safe_dump(BASE | changes | {"sweep": swept}, sort_keys=False))
        return cells.load(path)

    return from_sweep
