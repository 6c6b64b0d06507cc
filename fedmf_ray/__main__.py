"""``python -m fedmf_ray``: the same as the ``fedmf-ray`` command."""

from fedmf_ray.cli import main

main()
