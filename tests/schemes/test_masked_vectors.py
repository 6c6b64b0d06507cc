"""Known answers: bytes of an upload, a closed round and its opening that an earlier version wrote."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.schemes import Known, Masked, Piece, Shape
from fedmf_ray.schemes.masked import streams, users
from fedmf_ray.schemes.messages import Closed

VECTORS = json.loads((Path(__file__).parent.parent / "vectors_masked.json").read_text())
CASES = VECTORS["cases"]
NONE = np.array([], np.int64)


def counting():
    """Nonces 1, 2, 3, ... instead of random ones."""
    made = 0

    def nonces(count):
        nonlocal made
        numbers = b"".join((made + at + 1).to_bytes(12, "little") for at in range(count))
        made += count
        return np.frombuffer(numbers, np.uint8).reshape(count, 12)

    return nonces


def play(bits, columns, full_text):
    """Two users, three rows: the messages of a round, by name, as bytes."""
    shape = Shape(columns, bits)
    secret = np.frombuffer(bytes(range(32)), np.uint8)
    evaluator, key = Masked().sides(shape, {"secret": secret})
    most = (1 << bits - 1) - 1
    start = np.arange(3 * columns).reshape(3, columns) * (most // 8 // (3 * columns)) - most // 16
    begun = key.begin(4, start, NONE)
    heads, pieces = {4: begun.head}, [Piece(7, 4, 0, 3), Piece(9, 4, 3, 6)]
    blocks = np.array([4, 5, 6, 4, 5, 6])
    steps = np.concatenate([start[::-1], -start]) // 2
    wire, tags = key.protect(0, steps, blocks, pieces, heads, full_text)
    total, tagged = evaluator.aggregate(begun.sums), evaluator.tags(begun.tags)
    for piece, tag in zip(pieces, tags, strict=True):
        total.add(np.arange(3), wire[piece.begin : piece.end])
        tagged.add(piece.user_id, tag)
    closed = Closed(0, 4, np.array([7, 9]), total.closing(), tagged.closing(), begun.head)
    (opening,) = key.open([closed], Known(0, heads, NONE, 2, 2))
    message = EncryptedItems(1, 4, opening.sums, opening.tags, closed.credited, opening.head, opening.proof)
    expected = start + steps[:3] + steps[3:]
    assert np.array_equal(key.read(message, np.arange(3)), expected)
    parts = {
        "first tables": begun.sums, "first tag": begun.tags, "first head": begun.head,
        "first seals": begun.proof.seals, "uploads": wire, "tags": np.stack(tags),
        "closed": evaluator.digest(closed), "tables": opening.sums, "tag": opening.tags,
        "head": opening.head, "seals": opening.proof.seals,
    }  # fmt: skip
    return {name: part if isinstance(part, bytes) else part.tobytes() for name, part in parts.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['bits']} bits, {case['columns']} columns")
def test_bytes_are_those_of_an_earlier_version(case, monkeypatch):
    monkeypatch.setattr(users, "fresh_nonces", counting())
    found = play(case["bits"], case["columns"], case["full_text"])
    for name, text in case["bytes"].items():
        seen = found[name].hex()
        assert (seen if len(seen) <= 512 else hashlib.sha256(found[name]).hexdigest()) == text, name
    assert len(case["bytes"]) == len(found)


def test_the_keystream_is_aes_256_of_fips_197():
    """Appendix C.3: a nonce and a counter are one block."""
    stream = streams.Stream(bytes(range(32)))
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    plain = np.frombuffer(block, np.uint8)
    assert stream._encrypt(plain.copy()).tobytes().hex() == "8ea2b7ca516745bfeafc49904b496089"
    nonces = np.frombuffer(bytes.fromhex("000102030405060708090a0b"), np.uint8)[None]
    words = stream.words(nonces, 4, np.dtype("<u4"))
    by_hand = stream._encrypt(np.concatenate([nonces[0], np.zeros(4, np.uint8)]))
    assert words.tobytes() == by_hand.tobytes()


def test_hkdf_has_a_purpose_and_fields_with_their_lengths():
    secret = bytes(range(32))
    made = {
        streams.derive(secret, *fields)
        for fields in [
            ("a",),
            ("a", b""),
            ("a", b"", b""),
            ("a", b"bc"),
            ("ab", b"c"),
            ("a", 1),
            ("a", b"\1"),
        ]
    }
    assert len(made) == 7
    assert streams.derive(secret, "a").hex() == VECTORS["derived"]
