"""Files for clusters agree with each other, with the code, and with Ray's own schema."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import yaml
from packaging.version import Version

from fedmf_ray import __version__
from fedmf_ray.cli.main import cli
from fedmf_ray.jobs.cluster import remote_folder
from fedmf_ray.scenario import file as scenario_file

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


@pytest.fixture(scope="module")
def deploy(root):
    return root / "deploy"


@pytest.fixture(scope="module")
def base_image(deploy):
    """What the image is built on, with the version of Ray in its tag."""
    (base,) = re.findall(r"^FROM docker.io/(\S+)$", (deploy / "Containerfile").read_text(), re.MULTILINE)
    return base


def test_clusters_install_what_pyproject_asks_for(root, deploy):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["parquet"]}
    (of_ray,) = [entry for entry in wanted if entry.startswith("ray")]
    lines = (deploy / "requirements.txt").read_text().splitlines()
    required = {line for line in lines if not line.startswith("#")}
    assert required == wanted - {of_ray}
    assert set(yaml.safe_load((deploy / "runtime-env.yaml").read_text())["pip"]) == required


def test_the_aws_cluster_satisfies_rays_schema(root, deploy, base_image):
    cluster = yaml.safe_load((deploy / "aws.yaml").read_text())
    schema = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
    jsonschema.validate(cluster, json.loads(schema.read_text()))
    assert cluster["head_node_type"] in cluster["available_node_types"]
    assert cluster["docker"]["image"] == base_image
    assert "-e RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    ours = [path for path in cluster["file_mounts"].values() if not path.startswith("~")]
    assert sorted(ours) == [".", "deploy/requirements.txt"]
    assert all((root / path).exists() for path in ours)


def test_the_image_holds_what_the_kubernetes_job_starts(root, deploy, base_image):
    text = (deploy / "Containerfile").read_text()
    copied = {}
    for words in re.findall(r"^COPY --chown=\S+ (.+)$", text, re.MULTILINE):
        *sources, target = words.split()
        for source in sources:
            assert (root / source).exists(), source
            copied[target if len(sources) == 1 else f"{target}{source}"] = source
    job = yaml.safe_load((deploy / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    words = spec["entrypoint"].split()
    assert words[:4] == ["python", "-m", "fedmf_ray", "run"]
    folder, _, name = words[4].rpartition("/")
    assert copied[folder] == "scenarios"
    scenario_file.load(root / "scenarios" / name)
    assert words[5:] == ["--results", remote_folder(spec["jobId"])]  # where `follow` looks
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    images = {container["image"] for group in groups for container in group["template"]["spec"]["containers"]}
    assert images == {f"REGISTRY/fedmf-ray:{__version__}"}
    version = spec["rayClusterSpec"]["rayVersion"]
    assert base_image.startswith(f"rayproject/ray:{version}-")
    assert Version(version) >= Version("2.52")  # token authentication


def test_every_command_in_the_guides_exists(root, deploy):
    for guide in (root / "docs" / "how-to" / "cluster.md", deploy / "README.md"):
        text = guide.read_text().replace("\\\n", " ")
        for name, rest in re.findall(r"^    fedmf-ray ([a-z]+)(.*)$", text, re.MULTILINE):
            options = {option for parameter in cli.commands[name].params for option in parameter.opts}
            assert set(re.findall(r"(--[a-z-]+)", rest.partition("#")[0])) <= options, (guide.name, name)
    assert "fedmf-ray:" + __version__ in (deploy / "README.md").read_text()
