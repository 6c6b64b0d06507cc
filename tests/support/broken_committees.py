"""Committees with one careless change each: what the changes cost is shown by tests."""

import os

from fedmf_ray.schemes import Committee
from fedmf_ray.schemes.committee.members import CommitteeMember
from fedmf_ray.schemes.committee.server import CommitteeEvaluator
from fedmf_ray.schemes.committee.users import CommitteeKeyHolder


class Forgetful(Committee):
    """Members remember no set."""

    class kind(CommitteeKeyHolder):
        @property
        def members(self):
            if not self._members:
                self._members += [ForgetfulMember(self, number) for number in range(self._count)]
            return self._members

    def sides(self, shape, secrets=None):
        secret = secrets["secret"].tobytes() if secrets else os.urandom(32)
        key = self.kind(secret, shape, self.council)
        return CommitteeEvaluator(shape, key.public), key


class ForgetfulMember(CommitteeMember):
    def agree(self, closed, known):
        self._agreed.clear()
        self._listed.clear()
        return super().agree(closed, known)
