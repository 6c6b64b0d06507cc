"""What tests of the library's face share: each works in a folder and with a state folder of its own."""

import pytest


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """``results`` are made in the working directory; frames and checkpoints in FEDMF_STATE."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "state"))
    return tmp_path
