"""``python -m fedmf_ray``: the same as the ``fedmf-ray`` command.

A job on a cluster starts here, so an old Python or a missing package is named in one line.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - a cluster's Python, on which pip installed nothing
    sys.exit(f"error: fedmf-ray needs Python 3.10 or later, {sys.executable} is {sys.version.split()[0]}")

try:
    from fedmf_ray.cli.main import main

    main()
except ModuleNotFoundError as error:
    sys.stderr.write(
        f"error: {error.name} is not installed for {sys.executable}: pip install it there, or let Ray do so "
        "for this job (--runtime-env deploy/runtime-env.yaml)\n"
    )
    sys.exit(2)
