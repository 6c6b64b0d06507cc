"""Known answers: bytes of an upload, a member's part and signed tables that an earlier version wrote."""

import hashlib
import json
from pathlib import Path

import numpy as np

from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.schemes import Committee, Known, Piece, Shape
from fedmf_ray.schemes.committee import merkle, users
from fedmf_ray.schemes.messages import Closed
from tests.schemes.test_masked_vectors import counting

VECTORS = json.loads((Path(__file__).parent.parent / "vectors_committee.json").read_text())
NONE = np.array([], np.int64)


def play(bits, columns, full_text):
    """Two users, three rows, four members: the messages of a round, by name, as bytes."""
    secret = np.frombuffer(bytes(range(32)), np.uint8)
    evaluator, key = Committee(hybrid=False).sides(Shape(columns, bits), {"secret": secret})
    for one in key.members:
        one.life = bytes(16 * [one.number + 1])
    most = (1 << bits - 1) - 1
    start = np.arange(3 * columns).reshape(3, columns) * (most // 8 // (3 * columns)) - most // 16
    begun = key.begin(4, start, NONE)
    message = EncryptedItems(0, 4, begun.sums, begun.tags, NONE, begun.head, begun.proof)
    assert np.array_equal(key.read(message, np.arange(3)), start)
    heads, pieces = {4: begun.head}, [Piece(7, 4, 0, 3), Piece(9, 4, 3, 6)]
    steps = np.concatenate([start[::-1], -start]) // 2
    wire, tags = key.protect(0, steps, np.array([4, 5, 6, 4, 5, 6]), pieces, heads, full_text)
    total, tagged = evaluator.aggregate(begun.sums), evaluator.tags(begun.tags)
    for piece, tag in zip(pieces, tags, strict=True):
        total.add(np.arange(3), wire[piece.begin : piece.end])
        tagged.add(piece.user_id, tag)
    closed = Closed(0, 4, np.array([7, 9]), total.closing(), tagged.closing(), begun.head)
    known = Known(0, heads, NONE, 2, 2)
    signatures = {one.number: one.agree(closed, known) for one in key.members}
    parts = [key.members[who[0]].part(at, closed, known, signatures) for at, who in enumerate(key.groups)]
    (opening,) = key.open([closed], known)
    message = EncryptedItems(1, 4, opening.sums, opening.tags, closed.credited, opening.head, opening.proof)
    assert np.array_equal(key.read(message, np.arange(3)), start + steps[:3] + steps[3:])
    found = {
        "introduced": key.introduce(np.array([7, 9])), "first tables": begun.sums, "first tag": begun.tags,
        "first head": begun.head, "uploads": wire, "tags": np.stack(tags),
        "closed": evaluator.digest(closed), "signature": signatures[2], "part": parts[1].words,
        "part signed": parts[1].signature, "tables": opening.sums, "tag": opening.tags,
        "head": opening.head, "links": b"".join(opening.proof.links),
        "group keys": b"".join(key.public.group_keys),
    }  # fmt: skip
    return {name: part if isinstance(part, bytes) else part.tobytes() for name, part in found.items()}


def test_bytes_are_those_of_an_earlier_version(monkeypatch):
    for case in VECTORS["cases"]:
        monkeypatch.setattr(users, "fresh_nonces", counting())
        found = play(case["bits"], case["columns"], case["full_text"])
        assert set(case["bytes"]) == set(found)
        for name, text in case["bytes"].items():
            assert hashlib.sha256(found[name]).hexdigest() == text, name


def test_a_path_leads_to_the_root():
    for count in (1, 2, 3, 15, 16, 17, 33, 100):
        rows = np.random.default_rng(count).integers(0, 256, (count * 16, 5), np.uint8)
        leaves = merkle.leaves_of(rows)
        assert len(leaves) == count
        top = merkle.root(leaves)
        for at in range(count):
            assert merkle.climbed(leaves[at], at, count, merkle.path(leaves, at)) == top
            if count > 1:
                assert merkle.climbed(leaves[at - 1], at, count, merkle.path(leaves, at)) != top


def test_a_leaf_is_no_node():
    """Second preimages across levels: prefixes keep them apart."""
    leaves = [merkle.leaf(np.full((16, 2), at, np.uint8)) for at in range(2)]
    inner = np.frombuffer(b"".join(leaves), np.uint8)[None]
    assert merkle.root(leaves) != merkle.leaf(inner)
