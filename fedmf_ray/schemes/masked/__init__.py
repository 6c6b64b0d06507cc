"""``masked``: one-time masks from a secret that all users share, and a user who opens each round.

See ``SECURITY.md`` beside this file for the argument.
"""

from fedmf_ray.schemes.masked.scheme import Masked

__all__ = ["Masked"]
