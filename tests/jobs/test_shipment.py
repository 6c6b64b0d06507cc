"""What a job takes along."""

import zipfile

import pytest
import yaml

from fedmf_ray.errors import FedMFError
from fedmf_ray.jobs import shipment
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes.paillier import native_kernel
from fedmf_ray.study import cells


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,1,5\n")
    (tmp_path / "mine.yaml").write_text(
        "ratings: {source: file, path: ratings.csv}\ncluster: {address: elsewhere:6379, in_flight: 3}\n"
    )
    return tmp_path / "mine.yaml"


def unzipped(ready, folder):
    ready.write(folder / "job.zip")
    with zipfile.ZipFile(folder / "job.zip") as archive:
        archive.extractall(folder / "there")
    return folder / "there"


def test_code_scenario_and_ratings_travel_and_the_scenario_finds_them(scenario, tmp_path):
    ready = shipment.prepare(scenario, ["stop.rounds=7"])
    there = unzipped(ready, tmp_path)
    for name in (
        "fedmf_ray/__main__.py",
        "fedmf_ray/schemes/paillier/packed.py",
        "fedmf_ray/report/report.html.j2",
    ):
        assert (there / name).is_file()
    assert not list(there.rglob("*.pyc"))
    assert len(list(there.rglob("*.so"))) == (native_kernel.ifma is not None)  # jobs are as fast as runs here
    loaded = scenario_file.load(there / shipment.SCENARIO)
    assert (loaded.name, loaded.stop.rounds, loaded.cluster.in_flight) == ("mine", 7, 3)
    assert loaded.cluster.address is None  # a job belongs to the cluster that it was submitted to
    assert loaded.ratings.path == str(there / "ratings" / "ratings.csv")
    assert (ready.name, ready.command) == ("mine", "run")


def test_a_study_travels_as_a_study(root, tmp_path):
    ready = shipment.prepare(root / "scenarios" / "study-keys-small.yaml")
    assert ready.command == "sweep"
    there = cells.load(unzipped(ready, tmp_path) / shipment.SCENARIO)
    here = cells.load(root / "scenarios" / "study-keys-small.yaml")
    assert [cell.scenario for cell in there.cells] == [cell.scenario for cell in here.cells]


def test_the_same_content_is_the_same_archive(scenario, tmp_path):
    for name in ("a.zip", "b.zip"):
        shipment.prepare(scenario).write(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_movielens_travels_from_the_cache_or_is_left_to_the_cluster(root, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(tmp_path))
    file = root / "scenarios" / "reference-part.yaml"
    away = shipment.prepare(file)
    assert away.files == {}
    assert "FEDMF_DATA" not in away.env_vars
    assert "ml-latest-small is not in this machine's cache" in away.notes[0]
    (tmp_path / "ml-latest-small").mkdir()
    ratings = tmp_path / "ml-latest-small" / "ratings.csv"
    ratings.write_text("userId,movieId,rating,timestamp\n")
    here = shipment.prepare(file)
    assert here.files == {"data/ml-latest-small/ratings.csv": ratings}
    assert here.env_vars["FEDMF_DATA"] == "data"
    assert here.notes == []


def test_what_cannot_travel_is_one_line(scenario, tmp_path, monkeypatch):
    monkeypatch.setattr(shipment, "LARGEST_BYTES", 1000)
    with pytest.raises(FedMFError, match=r"ratings.csv: \d MB when zipped, a Ray job takes along at most"):
        shipment.prepare(scenario).write(tmp_path / "job.zip")
    tree = yaml.safe_load(scenario.read_text())
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tree | {"sweep": {"ratings.path": ["a", "b"]}}))
    with pytest.raises(FedMFError, match="study.yaml: sweep: ratings files that change"):
        shipment.prepare(tmp_path / "study.yaml")
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(FedMFError, match="ratings.csv: no such ratings file"):
        shipment.prepare(scenario)
