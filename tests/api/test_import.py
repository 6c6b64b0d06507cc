"""Importing the library is light, and a serial run never imports Ray."""

import subprocess
import sys

import pytest

import fedmf_ray

HEAVY = ("ray", "pandas", "pydantic", "matplotlib", "rich", "yaml", "IPython")


def said_by(program, **environment):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_importing_names_brings_nothing_heavy():
    names = ", ".join(name for name in fedmf_ray.__all__ if name != "__version__")
    program = f"from fedmf_ray import {names}; import sys; print(*(m for m in {HEAVY} if m in sys.modules))"
    assert said_by(program)[0] == []


def test_every_name_is_there_and_documented():
    for name in fedmf_ray.__all__:
        assert name in dir(fedmf_ray)
        if name != "__version__":
            assert getattr(fedmf_ray, name).__doc__, name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'runs'"):
        fedmf_ray.runs  # noqa: B018
    with pytest.raises(ImportError):
        exec("from fedmf_ray import runs")


def test_a_serial_run_imports_no_ray_and_says_nothing(tmp_path):
    program = """
import sys, fedmf_ray
keys = {"ratings": {"source": "synthetic", "users": 4, "items": 6}, "model": {"factors": 2},
        "protocol": {"scheme": "plain"}, "stop": {"rounds": 1}, "cluster": {"backend": "serial"}}
run = fedmf_ray.run(keys)
run.items(), run.predict([(1, 2)]), run.recommend(1, n=2), fedmf_ray.resume(run, {"stop.rounds": 2})
print(len(fedmf_ray.load(run.path).rounds), "ray" in sys.modules)
"""
    assert said_by(program) == (["2", "False"], "")
