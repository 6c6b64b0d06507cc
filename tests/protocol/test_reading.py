"""What users conclude from the tables that they read, and in which order: integrity before bounds."""

import dataclasses
import secrets

import numpy as np
import pytest

from fedmf_ray.errors import DivergenceError
from fedmf_ray.protocol.items import TamperedError, open_tables
from fedmf_ray.schemes.numbers import array_to_numbers
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from tests.support.small_protocol import Federation, agreed_terms

HOLDERS = ["packed", "elementwise"]


def n_of(federation):
    p, q = array_to_numbers(federation.key.secrets()["primes"])
    return p * q


@pytest.mark.parametrize("scheme", HOLDERS)
def test_a_value_that_a_server_pushes_over_its_bound_is_tampering_not_divergence(scheme):
    """Otherwise the error that ends a run would tell the server how large a value was."""
    federation = Federation(scheme, agreed_terms())
    federation.deliver(federation.uploads())
    n, (server,) = n_of(federation), federation.servers
    width = federation.messages[0].ciphertexts.shape[-1]
    zeros = [1] * (federation.messages[0].ciphertexts.shape[1] - 1)
    wire = paillier.serialise([1 + (20 << 20) * n, *zeros], (1, len(zeros) + 1, width))
    server._sum.add(np.array([4]), wire)
    federation.publish()
    shares = federation.shares()
    with pytest.raises(DivergenceError):  # the value can be read, and is over its bound
        open_tables(shares, federation.terms)
    with pytest.raises(TamperedError):
        federation.open()


def test_users_who_diverge_honestly_are_told_so():
    federation = Federation("packed", agreed_terms(value_bound=1.0, update_bound=8.0))
    federation.users.opened[:] = 5.0
    with pytest.raises(DivergenceError, match="round 1, item .*: a value is over protocol.value_bound 1"):
        federation.play()


@pytest.mark.parametrize("scheme", HOLDERS)
@pytest.mark.parametrize("which", ["all blocks", "one block"])
def test_a_random_ciphertext_is_tampering_in_one_line(scheme, which):
    federation = Federation(scheme, agreed_terms(servers=2))
    federation.play()
    n, message = n_of(federation), federation.messages[1]
    wire = message.ciphertexts.copy()
    blocks = range(len(wire)) if which == "all blocks" else [2]
    for block in blocks:
        units = [1 + secrets.randbelow(n * n - 1) for _ in range(wire.shape[1])]
        wire[block] = paillier.serialise(map(paillier.mpz, units), wire[block].shape)
    federation.messages = [federation.messages[0], dataclasses.replace(message, ciphertexts=wire)]
    for parts in (1, 3):
        with pytest.raises(
            TamperedError, match="^round 1: the item matrix of server 1 is not the sum"
        ) as one:
            federation.open(parts)
        assert "\n" not in str(one.value)


@pytest.mark.parametrize("scheme", HOLDERS)
def test_a_random_tag_is_tampering(scheme):
    federation = Federation(scheme, agreed_terms())
    federation.play()
    (message,) = federation.messages
    tag = paillier.serialise([paillier.mpz(secrets.randbelow(n_of(federation) ** 2))], message.tag.shape)
    federation.messages = [dataclasses.replace(message, tag=tag)]
    with pytest.raises(TamperedError, match="round 1"):
        federation.open()
