"""Nothing that is rebuilt may change a bit of V, a loss, a byte on the wire, or a ciphertext's format."""

import json

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.protocol.parts import Part
from fedmf_ray.protocol.round import ROUND
from fedmf_ray.protocol.seals import LETTERS, Sealer, Token, _digest_of, seals_of
from fedmf_ray.schemes import Shape, scheme_of
from fedmf_ray.schemes.numbers import numbers_to_array
from tests.support import digests
from tests.support.small_runs import small

KNOWN = json.loads(digests.FILE.read_text())
VECTORS = json.loads((digests.ROOT / "tests" / "vectors.json").read_text())
PRIMES = int(VECTORS["p"], 16), int(VECTORS["q"], 16)


def test_every_scenario_computes_and_sends_what_it_did(movielens_small, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(movielens_small))
    found = {name: digests.digest(scenario) for name, scenario in digests.all_cuts()}
    assert [name for name in KNOWN if found.get(name) != KNOWN[name]] == []
    assert list(found) == list(KNOWN)


def test_without_movielens_those_on_synthetic_ratings_do(no_movielens):
    for name, scenario in digests.all_cuts():
        if scenario.ratings.source == "synthetic":
            assert digests.digest(scenario) == KNOWN[name], name


COLUMNS = {
    "rounds.csv": """
        round train_mse test_rmse test_mae basis protocol_s slowest_download_s slowest_decrypt_s
        slowest_update_s slowest_encrypt_s slowest_upload_s server_cpu_s open_s open_cpu_s open_bytes
        seal_s seal_cpu_s seal_bytes user_cpu_s_max user_decrypt_cpu_s_mean
        user_update_cpu_s_mean user_encrypt_cpu_s_mean network_s_max upload_bytes_total download_bytes_total
        users uploads refused user_actors wall_s
    """,
    "users.csv.gz": """
        round basis user_id decrypt_cpu_s update_cpu_s encrypt_cpu_s download_bytes upload_bytes upload_rows
        upload_blocks slowdown network_s device_s
    """,
}
SUMMARY = "status rounds setup last_round checkpoints lists ranking wall_s"
RANKING = "k users hit_rate precision recall ndcg map coverage"


def test_tables_and_the_summary_of_a_run_have_the_same_columns(tmp_path):
    folder = run(small(metrics={"top_k": 2}), tmp_path, Silent())
    for name, columns in COLUMNS.items():
        assert list(pd.read_csv(folder / name)) == columns.split(), name
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary) == SUMMARY.split()
    assert list(summary["last_round"]) == COLUMNS["rounds.csv"].split()
    assert list(summary["ranking"]) == RANKING.split()


def test_each_phase_of_a_round_fills_columns_that_are_there():
    known = {*COLUMNS["rounds.csv"].split(), *COLUMNS["users.csv.gz"].split()}
    assert [phase.name for phase in ROUND] == [
        "train", "add", "close", "open", "publish", "seal", "read",
    ]  # fmt: skip
    assert all(set(phase.columns) <= known for phase in ROUND)


def sides(scheme):
    secrets = {"primes": numbers_to_array(PRIMES)}
    return scheme_of({"scheme": scheme, "key_bits": 1024}).sides(Shape(5, VECTORS["slot_bits"]), secrets)


@pytest.mark.parametrize("scheme", ["plain", "elementwise", "packed"])
class TestKnownAnswers:
    """Bytes that an earlier version wrote."""

    def wire(self, scheme):
        known = VECTORS["wire"][scheme]
        return np.frombuffer(bytes.fromhex(known["bytes"]), np.uint8).reshape(known["shape"])

    def test_bytes_of_an_earlier_version_are_read(self, scheme):
        _, key = sides(scheme)
        assert np.array_equal(key.decrypt(self.wire(scheme)), VECTORS["integers"])

    def test_bytes_have_the_same_shape_today(self, scheme):
        _, key = sides(scheme)
        wire = key.encrypt(np.array(VECTORS["integers"]))
        assert wire.shape == self.wire(scheme).shape
        assert scheme != "plain" or np.array_equal(wire, self.wire(scheme))

    def test_tags_are_the_same_numbers(self, scheme):
        _, key = sides(scheme)
        if scheme == "plain":
            assert key.authenticator is None
            return
        weighed = key.weigh(np.array([2, 4, 9]), np.array(VECTORS["integers"]), self.wire(scheme))
        pad = key.authenticator.pad(bytes(range(8)), 7, 3, 2)
        assert {"weighed": hex(weighed), "pad": hex(pad)} == VECTORS["tags"][scheme]


def test_seals_and_tokens_are_those_of_an_earlier_version():
    """A run that goes on follows its last token."""
    key, known = sides("packed")[1], VECTORS["seals"]
    token = Token(3, bytes(32), bytes(32), bytes(32), (), (), bytes(range(32)))
    wire = np.arange(512, dtype=np.uint16).astype(np.uint8).reshape(2, 1, 256)
    assert [seal.tobytes().hex() for seal in seals_of(token, np.array([5, 6]), wire)] == known["seals"]
    assert _digest_of(Part(1, 5, 7), 3, wire).hex() == known["part"]
    text = bytes(96) + b"".join(number.to_bytes(128, "little") for number in (7, 9))
    letter = bytes(12) + AESGCM(key.derive(LETTERS)).encrypt(
        bytes(12), text, b"token" + bytes([3]) + bytes(7)
    )
    read = Sealer(key).token(letter, 3)
    assert (read.balance, read.reset, read.value.hex()) == ((7,), (9,), known["token"])
