"""Encrypt, add and read the same values with all schemes and other tools: nanoseconds and bytes per value.

python benchmarks/schemes.py [--environments build/tools]

Compares `phe`, SecretFlow's `sf-heu` (ZPaillier, and OU by Okamoto and Uchiyama), `tenseal` (CKKS and BFV),
and the schemes here: `elementwise`, `packed` with each kernel, `masked`, and committees. Under masks,
*encrypt* includes the tag, and *read* is what a user does with published tables; opening them is in
benchmarks/masks.py. Each foreign tool gets its own environment (downloads a few packages once). The tools
take three turns. Figures are medians of the CPU time of the whole process, so that threads are included.
Values are on a grid of 2**-20; only CKKS does not return them exactly."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENTS = {
    "phe": ["phe", "gmpy2", "numpy"],
    "sf-heu": ["sf-heu", "numpy"],
    "tenseal": ["tenseal", "numpy"],
}
TURNS = 3
COLUMNS = ("encrypt_us", "add_us", "decrypt_us", "bytes", "error")


def values_of(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.rint(np.random.default_rng(0).uniform(-1, 1, count) * 2**20) / 2**20


def figures(
    count: int,
    encrypt: Callable[[], Any],
    add: Callable[[Any], Any],
    decrypt: Callable[[Any], Any],
    size: Callable[[Any], int],
) -> dict[str, float]:
    """Figures per value, from the second of two calls. ``add`` adds the encrypted values to themselves."""
    row: dict[str, float] = {}
    for _ in range(2):
        started = time.process_time()
        encrypted = encrypt()
        row["encrypt_us"] = time.process_time() - started
        started = time.process_time()
        total = add(encrypted)
        row["add_us"] = time.process_time() - started
        started = time.process_time()
        decrypted = decrypt(total)
        row["decrypt_us"] = time.process_time() - started
    error = float(np.abs(np.asarray(decrypted, float).ravel() - 2 * values_of(count)).max())
    return {
        **{name: s * 1e6 / count for name, s in row.items()},
        "bytes": size(encrypted) / count,
        "error": error,
    }


def measure_phe() -> dict[str, dict[str, float]]:
    from phe import paillier

    public, private = paillier.generate_paillier_keypair(n_length=2048)
    values = values_of(60)
    row = figures(
        len(values),
        lambda: [public.encrypt(float(x), precision=1e-5) for x in values],
        lambda encrypted: [one + one for one in encrypted],
        lambda encrypted: [private.decrypt(one) for one in encrypted],
        lambda encrypted: sum(-(-one.ciphertext(be_secure=False).bit_length() // 8) for one in encrypted),
    )
    return {f"phe {importlib.metadata.version('phe')}, Paillier 2048": row}


def measure_heu() -> dict[str, dict[str, float]]:
    from heu import numpy as hnp
    from heu import phe

    rows = {}
    for schema, name in ((phe.SchemaType.ZPaillier, "ZPaillier"), (phe.SchemaType.OU, "OU")):
        kit = hnp.setup(schema, 2048)
        encryptor, evaluator, decryptor = kit.encryptor(), kit.evaluator(), kit.decryptor()
        values = values_of(1000)
        integers = np.rint(values * 2**20).astype(np.int64).reshape(1, -1)
        encoder, decoder = phe.BigintEncoder(kit.get_schema()), phe.BigintDecoder()
        rows[f"sf-heu {importlib.metadata.version('sf-heu')}, {name} 2048"] = figures(
            len(values),
            lambda e=encryptor, i=integers, c=encoder: e.encrypt(hnp.array(i, c)),
            lambda encrypted, e=evaluator: e.add(encrypted, encrypted),
            lambda total, d=decryptor, c=decoder: d.decrypt(total).to_numpy(c).astype(float) / 2**20,
            lambda encrypted: len(encrypted.serialize()),
        )
    return rows


def measure_tenseal() -> dict[str, dict[str, float]]:
    import tenseal

    rows = {}
    for degree, moduli, scale in ((4096, [54, 54], 30), (8192, [60, 40, 60], 40)):
        context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, -1, moduli)
        context.global_scale = 2.0**scale
        values = values_of(degree // 2)
        rows[f"tenseal {importlib.metadata.version('tenseal')}, CKKS {degree}, {sum(moduli)}-bit modulus"] = (
            figures(
                len(values),
                lambda c=context, v=values: tenseal.ckks_vector(c, v),
                lambda encrypted: encrypted + encrypted,
                lambda total: total.decrypt(),
                lambda encrypted: len(encrypted.serialize()),
            )
        )
    context = tenseal.context(tenseal.SCHEME_TYPE.BFV, 8192, plain_modulus=1032193)  # larger sums would wrap
    integers = np.rint(values_of(8192) * 2**17).astype(int).tolist()
    rows[f"tenseal {importlib.metadata.version('tenseal')}, BFV 8192, 19-bit sums"] = figures(
        len(integers),
        lambda: tenseal.bfv_vector(context, integers),
        lambda encrypted: encrypted + encrypted,
        lambda total: np.asarray(total.decrypt(), float) / 2**17,
        lambda encrypted: len(encrypted.serialize()),
    )
    return rows


def measure_packed() -> dict[str, dict[str, float]]:
    from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers
    from fedmf_ray.schemes import Packed, Shape
    from fedmf_ray.schemes.paillier import kernels, native_kernel
    from fedmf_ray.schemes.paillier.slots import SlotLayout

    grid = FixedPoint(20, value_bound=16, update_bound=2, contributors=610)  # 32 bits per slot
    rows = {}
    for kernel in kernels.KERNELS:
        if kernel == "native" and native_kernel.obstacle() is not None:
            continue
        os.environ[kernels.VARIABLE] = kernel
        for key_bits in (2048, 3072):
            columns = SlotLayout(grid.slot_bits, 1, key_bits).slots_per_ciphertext
            evaluator, key = Packed(key_bits).sides(Shape(columns, grid.slot_bits))
            values = values_of(128 * columns)
            matrix, places = values.reshape(128, columns), np.arange(128)

            def add(wire: Any, evaluator: Any = evaluator, places: Any = places) -> Any:
                """Start a sum, add to it, and write it."""
                total = evaluator.aggregate(wire)
                total.add(places, wire)
                return total.wire()

            rows[f"packed {key_bits}, {kernel}"] = figures(
                len(values),
                lambda k=key, m=matrix: k.encrypt(to_integers(m, grid.scale)),
                add,
                lambda wire, k=key: to_floats(k.decrypt(wire), grid.scale),
                lambda wire: wire.nbytes,
            )
    return rows


def measure_elementwise() -> dict[str, dict[str, float]]:
    from fedmf_ray.schemes import Elementwise, Shape

    evaluator, key = Elementwise(2048).sides(Shape(10, 32))
    matrix = np.rint(values_of(60) * 2**20).astype(np.int64).reshape(6, 10)

    def add(wire: Any) -> Any:
        total = evaluator.aggregate(wire)
        total.add(np.arange(6), wire)
        return total.wire()

    row = figures(
        60,
        lambda: key.encrypt(matrix),
        add,
        lambda wire: key.decrypt(wire) / 2**20,
        lambda wire: wire.nbytes,
    )
    return {"elementwise 2048": row}


def measure_masks() -> dict[str, dict[str, float]]:
    """Ten users with a hundred rows each; what they read are tables of a thousand rows."""
    from fedmf_ray.protocol.messages import NOBODY, EncryptedItems
    from fedmf_ray.schemes import Committee, Masked, Piece, Shape

    rows, columns, bits = {}, 32, 32
    for scheme in (Masked(), Committee(3, 1), Committee(4, 1)):
        evaluator, key = scheme.sides(Shape(columns, bits))
        values = values_of(1000 * columns)
        matrix = np.rint(values * 2**20).astype(np.int64).reshape(1000, columns)
        begun, blocks = key.begin(0, 2 * matrix, NOBODY), np.tile(np.arange(100), 10)
        first = EncryptedItems(0, 0, begun.sums, begun.tags, NOBODY, begun.head, begun.proof)
        pieces, heads = [Piece(user, 0, 100 * user, 100 * user + 100) for user in range(10)], {0: begun.head}

        def add(uploads: Any, evaluator: Any = evaluator, start: Any = begun, pieces: Any = pieces) -> Any:
            """Check and add every upload, and close the sum."""
            total, tags = evaluator.aggregate(start.sums), evaluator.tags(start.tags)
            for piece, tag in zip(pieces, uploads[1], strict=True):
                tags.add(piece.user_id, tag)
                total.add(np.arange(100), uploads[0][piece.begin : piece.end])
            return total.closing(), tags.closing()

        rows[scheme.label] = figures(
            len(values),
            lambda k=key, m=matrix, b=blocks, p=pieces, h=heads: k.protect(0, m, b, p, h, False),
            add,
            lambda _, k=key, message=first: k.read(message, np.arange(1000)) / 2**20,
            lambda uploads: uploads[0].nbytes + sum(tag.nbytes for tag in uploads[1]),
        )
    return rows


MEASURES = {
    "phe": measure_phe,
    "sf-heu": measure_heu,
    "tenseal": measure_tenseal,
    "elementwise": measure_elementwise,
    "packed": measure_packed,
    "masks": measure_masks,
}


def python_of(tool: str, environments: Path) -> Path:
    """The interpreter of the tool's environment, which is created if necessary."""
    folder = environments / tool
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ENVIRONMENTS[tool]], check=True)
        (folder / ".ready").touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--environments", type=Path, default=Path("build/tools"))
    parser.add_argument("--measure", choices=MEASURES, help="measure one tool here and print JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure]()))
        return
    pythons = {tool: python_of(tool, arguments.environments.absolute()) for tool in ENVIRONMENTS}
    pythons |= dict.fromkeys(("elementwise", "packed", "masks"), Path(sys.executable))
    seen: dict[str, list[dict[str, float]]] = {}
    for _ in range(TURNS):
        for tool, python in pythons.items():
            command = [str(python), __file__, "--measure", tool]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for name, row in json.loads(printed.splitlines()[-1]).items():
                seen.setdefault(name, []).append(row)
    print(f"{'per value':42}{'encrypt ns':>12}{'add ns':>12}{'read ns':>12}{'bytes':>9}{'error':>9}")
    for name, rows in seen.items():
        encrypt, add, decrypt, size, error = (statistics.median(row[c] for row in rows) for c in COLUMNS)
        nanoseconds = "".join(f"{1e3 * microseconds:12,.4g}" for microseconds in (encrypt, add, decrypt))
        print(f"{name:42}{nanoseconds}{size:9.3g}{error:9.1g}")


if __name__ == "__main__":
    main()
