"""Simulate secure federated matrix factorisation (FedMF, arXiv 1906.05108) on Ray.

    import fedmf_ray

    run = fedmf_ray.run("scenarios/quickstart.yaml", {"protocol.scheme": "plain"})
    run.rounds                          # a DataFrame: a row per round
    run.recommend(7)                    # what user 7 would be shown

Importing this package brings nothing heavy: worker processes import its parts. What is named in ``__all__``
is found in :mod:`fedmf_ray.api` when it is asked for, and that imports pandas, pydantic and Ray when it is
called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedmf_ray.api import Run, Study, UnknownIdError, audit, estimate, load, resume, run, sweep
    from fedmf_ray.errors import DivergenceError, FedMFError

__version__ = "0.1.0"

__all__ = [
    "DivergenceError",
    "FedMFError",
    "Run",
    "Study",
    "UnknownIdError",
    "__version__",
    "audit",
    "estimate",
    "load",
    "resume",
    "run",
    "sweep",
]

_ERRORS = ("DivergenceError", "FedMFError")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module("fedmf_ray.errors" if name in _ERRORS else "fedmf_ray.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
