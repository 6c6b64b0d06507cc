"""``committee``: masks from keys that each user shares with groups of members, so that no user can open
another's upload, and the server with up to t members cannot either.

See ``SECURITY.md`` beside this file for the argument.
"""

from fedmf_ray.schemes.committee.scheme import Committee

__all__ = ["Committee"]
