"""The library's face: what ``import fedmf_ray`` offers, as functions and two classes.

    calls      run, resume, load
    study_calls  sweep, estimate, audit
    runs       Run: one run folder; what its users know is read on their side when it is asked for
    studies    Study: one study folder
    keys       a scenario as a caller gives it: a path, a dict, a Scenario
    handed     ratings, test sets and titles as a caller gives them: a frame becomes a file on the users' side
    own_ids    ids as the caller's data have them, and positions
    watching   a bar on request, and a callback per round
    exported   a run's items, vectors and predictions as files

Nothing here imports pandas, pydantic or Ray before a function is called.
"""

from fedmf_ray.api.calls import load, resume, run
from fedmf_ray.api.runs import Run
from fedmf_ray.api.studies import Study
from fedmf_ray.api.study_calls import audit, estimate, sweep
from fedmf_ray.api.unknown import UnknownIdError

__all__ = ["Run", "Study", "UnknownIdError", "audit", "estimate", "load", "resume", "run", "sweep"]
