"""The arithmetic on doubles without Python around it: what `make test-arm64` runs under emulation."""

import os
import platform
import shutil
import subprocess

import pytest

from fedmf_ray.schemes.paillier import extensions

FMA2 = next(each for each in extensions.EXTENSIONS if each.name == "fma2")
COMPILER = shutil.which(os.environ.get("CC", "cc"))

pytestmark = [
    pytest.mark.skipif(FMA2.obstacle() is not None, reason=f"no fma2: {FMA2.obstacle()}"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="it has its own flags"),
]


@pytest.mark.parametrize(("changed", "wrong"), [("", "0 of 640"), ("end_products(before);", "640 of 640")])
def test_limbs_agree_with_integers(root, tmp_path, changed, wrong):
    """And where a call would not set its rounding, nothing does."""
    begin = "Mode before = begin_products();"
    text = (root / "tests" / "native" / "limbs.c").read_text().replace(begin, begin + changed)
    (tmp_path / "limbs.c").write_text(text)
    native = root / "fedmf_ray" / "schemes" / "paillier" / "native"
    flags = ["-O1", "-std=gnu11", "-ffp-contract=off", "-DWIDTH=2", f"-I{native}"]
    program = tmp_path / "limbs"
    subprocess.run([COMPILER, *flags, str(tmp_path / "limbs.c"), "-o", str(program)], check=True)
    told = subprocess.run([program], capture_output=True, text=True)
    assert f"{wrong} products are wrong" in told.stdout
    assert (told.returncode == 0) == (not changed)
