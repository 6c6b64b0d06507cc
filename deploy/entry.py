"""What `ray submit`, the cluster launcher's own command, starts on the head: ``python -m fedmf_ray`` with the
same words.

    ray submit deploy/aws.yaml deploy/entry.py run scenarios/quickstart.yaml --results /tmp/fedmf-results

Paths are relative to the checkout that the cluster's file mounts (`~/fedmf-ray`). Jobs of Ray find their
cluster in RAY_ADDRESS; this sets it, because the launcher does not.
"""

import os
import runpy
from pathlib import Path

os.chdir(Path.home() / "fedmf-ray")
os.environ.setdefault("RAY_ADDRESS", "auto")
runpy.run_module("fedmf_ray", run_name="__main__", alter_sys=True)
