"""``python -m fedmf_ray``: the same as the ``fedmf-ray`` command.

On a cluster this is the first line of ours that runs, so it says what a Python there lacks.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - nobody installed us there
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
