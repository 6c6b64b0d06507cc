"""Whether the nodes of a cluster run what this process runs.

Processes of one run exchange pickled values and count on computing the same bits. Another version of this
package, of Python, Ray or NumPy would end in an error of somebody else's in the middle of a round, or in
other results. So each node is asked before it hosts anything. The question is sent by value: it needs nothing
of ours on the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

Versions = Mapping[str, str]
"""By what it is: fedmf-ray (with a digest of its code), Python, Ray, NumPy."""


def question() -> Callable[[], dict[str, str]]:
    """A function that says what the process that calls it runs. Functions within functions are sent by
    value."""

    def versions() -> dict[str, str]:
        import hashlib
        import importlib
        import platform
        from pathlib import Path

        def version(name: str) -> str:
            try:
                return str(importlib.import_module(name).__version__)
            except ImportError:
                return "none"

        ours = version("fedmf_ray")
        if ours != "none":
            folder = Path(str(importlib.import_module("fedmf_ray").__file__)).parent
            code = hashlib.sha256()
            for path in sorted(folder.rglob("*.py")):
                code.update(str(path.relative_to(folder)).encode() + path.read_bytes())
            ours += f" (code {code.hexdigest()[:8]})"
        # Other patch releases of Python and NumPy read the same pickles and compute the same bits.
        python, numpy = (
            ".".join(text.split(".")[:2]) for text in (platform.python_version(), version("numpy"))
        )
        return {"fedmf-ray": ours, "Python": python, "Ray": version("ray"), "NumPy": numpy}

    return versions


@cache
def here() -> dict[str, str]:
    """What this process runs."""
    return question()()


def difference(theirs: Versions) -> str | None:
    """``fedmf-ray 0.1 instead of 0.2``; None if a node runs the same."""
    mine = here()
    differing = [
        f"{name} {theirs[name]} instead of {mine[name]}" for name in mine if theirs[name] != mine[name]
    ]
    return ", ".join(differing) or None
