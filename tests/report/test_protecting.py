"""What a run says of its protection: from traits, never from a name."""

import pytest

from fedmf_ray.report.protecting import who_reads
from fedmf_ray.schemes import SCHEMES, Masked, Plain, Reads


def scenario(algorithm="fedmf", **protocol):
    common = {
        "scheme": "packed",
        "charge": None,
        "key_bits": 3072,
        "part_text_sparsity": 1.0,
        "min_raters": 1,
    }
    return {"model": {"algorithm": algorithm}, "protocol": common | protocol}


def test_an_encrypted_run():
    assert who_reads(scenario()) == [
        "packed, 3072 bits: the server sees which rows, or blocks of rows, each user uploads, and reads no "
        "value",
        "a server that is helped by one user reads every upload",
        "users read the item matrix: an item's only rater shows in it; 3 hides it (protocol.min_raters: 1)",
    ]
    server, _, users = who_reads(scenario(part_text_sparsity=0, min_raters=5))
    assert "the same rows from all users (full text)" in server
    assert "items with fewer raters than 5 are not trained" in users


def test_sums_of_pairs_are_said():
    item_item, co_ratings, ridge = scenario(), scenario(), scenario()
    item_item["model"] |= {"rule": "item_item"}
    co_ratings["model"] |= {"rule": "ridge", "ridge": {"co_ratings": 500}}
    ridge["model"] |= {"rule": "ridge", "ridge": {"co_ratings": None}}
    for one, said in ((item_item, True), (co_ratings, True), (ridge, False)):
        assert ("sums over pairs of items" in who_reads(one)[-1]) == said


def test_a_run_in_the_clear_protects_nobody_and_a_charged_one_says_what_computed():
    assert who_reads(scenario(scheme="plain"))[0].endswith(
        "the server reads every upload: nobody is protected from it"
    )
    charged = who_reads(scenario(scheme="plain", charge="packed"))
    assert charged[0].startswith("packed, 3072 bits: the server sees")
    assert "computed in the clear" in charged[2]


def test_who_may_help_a_server_is_said_by_the_scheme(monkeypatch):
    assert len(who_reads(scenario(scheme="plain"))) == 2
    for scheme in ("packed", "elementwise", "masked"):
        assert "helped by one user reads every upload" in who_reads(scenario(scheme=scheme))[1]
    four = {"committee": {"members": 4, "colluding": 1}}
    assert who_reads(scenario(scheme="committee", **four))[1] == (
        "a server that is helped by any number of users and 1 member of the committee reads no upload of the "
        "others; with 2 members it reads every upload"
    )
    nine = {"committee": {"members": 9, "colluding": 3}}
    assert "3 members of the committee reads no" in who_reads(scenario(scheme="committee", **nine))[1]
    monkeypatch.setattr(Masked, "opened_by", lambda *_: False)
    assert "any number of users reads no upload" in who_reads(scenario(scheme="masked"))[1]


def test_central_baselines_and_schemes_that_are_not_here_claim_nothing():
    assert who_reads(scenario("biases")) == ["biases, central: one process holds all ratings"]
    assert who_reads(scenario(scheme="gone"))[0].endswith("what its server reads is not known")


@pytest.mark.parametrize("reads", list(Reads))
def test_every_trait_has_words(reads, monkeypatch):
    class Other(Plain):
        name = "other"
        server_reads = reads

    monkeypatch.setattr("fedmf_ray.report.protecting.scheme_of", lambda *_: Other())
    assert "the server" in who_reads(scenario(scheme="other"))[0]
    assert "other" not in SCHEMES.names()
