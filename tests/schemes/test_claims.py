"""Schemes that claim too much are refuted, honest ones are not, and a plug-in is checked before it runs."""

import math
import re

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.planning import plan
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes import SCHEMES as REGISTRY
from fedmf_ray.schemes import claims, coins
from tests.support.installed import install
from tests.support.lying_schemes import LIARS, OpenSumsAdmitted
from tests.support.padded_scheme import Padded
from tests.support.small_protocol import SCHEMES


@pytest.mark.parametrize("liar", LIARS, ids=lambda kind: kind.__name__)
def test_a_scheme_that_claims_too_much_is_refuted(liar):
    reason = claims.refuted(liar())
    assert reason is not None
    assert "\n" not in reason
    assert re.search(LIARS[liar], reason)


@pytest.mark.parametrize("scheme", [Padded(), OpenSumsAdmitted()], ids=lambda one: one.name)
def test_a_scheme_that_keeps_its_claim_is_not(scheme):
    """Those of this package: test_schemes.py."""
    assert claims.refuted(scheme) is None


@pytest.mark.parametrize("rows", [6, 96, 160])
@pytest.mark.parametrize("skew", [1, 4])
def test_bytes_that_have_nothing_to_do_with_the_coins_are_as_rare_as_they_should_be(rows, skew):
    """A bound: it may be too careful, but must not be exceeded, however few rows there are."""
    random = np.random.default_rng(rows + skew)
    bins = (16 * random.random((rows, 40_000)) ** skew).astype(np.uint8)
    surprise = coins.log_probability(bins, random.random(rows) < 0.5)
    for share in (0.3, 0.03, 0.003):
        assert (surprise < math.log(share)).mean() <= share
    alike = coins.log_probability(np.repeat([[0], [9]], rows, axis=0), np.arange(2 * rows) < rows)
    assert alike < -rows / 2  # what does go with them is found


class TestPlugIns:
    """``Plan.of`` checks schemes that come from other distributions, once per process and settings."""

    @pytest.fixture(autouse=True)
    def calls(self, tmp_path, monkeypatch):
        lying, honest = "tests.support.lying_schemes", "tests.support.padded_scheme"
        points = {"padded": f"{honest}:Padded", "readable": f"{lying}:Readable", "broken": f"{lying}:Broken"}
        install(tmp_path, monkeypatch, "masks", "1.2", {"fedmf_ray.schemes": points})
        monkeypatch.setattr(REGISTRY, "_loaded", {})
        monkeypatch.setattr(plan, "_refutations", {})
        calls = []
        monkeypatch.setattr(plan, "refuted", lambda scheme: calls.append(scheme) or claims.refuted(scheme))
        return calls

    def plan_of(self, **protocol):
        ratings = {"source": "synthetic", "users": 4, "items": 8, "sparsity": 0.5}
        tree = {"name": "claims", "ratings": ratings, "protocol": protocol}
        return plan.Plan.of(scenario_file.parse(tree, "claims.yaml"))

    def test_one_that_keeps_its_claim_is_checked_once(self, calls):
        for _ in range(2):
            assert self.plan_of(scheme="padded").scheme == Padded()
        assert calls == [Padded()]

    @pytest.mark.parametrize("protocol", [{"scheme": "readable"}, {"scheme": "plain", "charge": "readable"}])
    def test_one_that_claims_too_much_does_not_run(self, calls, protocol):
        for _ in range(2):
            with pytest.raises(FedMFError) as refused:
                self.plan_of(**protocol)
            assert re.fullmatch(
                r"masks 1\.2 \(entry point readable = tests\.support\.lying_schemes:Readable of "
                r"fedmf_ray\.schemes\): scheme 'readable' claims that its server reads no more than rows, "
                r"but its key-holder has no secrets.*",
                str(refused.value),
            )
        assert len(calls) == 1

    def test_one_that_fails_while_it_is_checked_is_named(self):
        with pytest.raises(
            FedMFError, match=r"masks 1.2 .*'broken' cannot be checked: RuntimeError: two lines$"
        ):
            self.plan_of(scheme="broken")

    def test_those_that_are_here_are_not_checked(self, calls):
        for name in SCHEMES:
            self.plan_of(scheme=name, key_bits=1024)
        assert calls == []
