"""The one thing pyproject.toml cannot say: build what is compiled, if a compiler is there."""

from glob import glob

from setuptools import Extension, setup

PAILLIER = "fedmf_ray/schemes/paillier/native"

setup(
    ext_modules=[
        *(
            Extension(
                f"fedmf_ray.schemes.paillier._{kernel}",
                [f"{PAILLIER}/{kernel}.c"],
                depends=sorted(glob(f"{PAILLIER}/*.h")),
                # No flags for one processor: what may run where is decided at run time. Products are fused
                # where the code says so, and nowhere else.
                extra_compile_args=["-O3", "-std=gnu11", "-ffp-contract=off", "-Wall", "-Wextra"],
                optional=True,
            )
            for kernel in ("ifma", "fma8", "fma4", "fma2")
        ),
        Extension(
            "fedmf_ray.schemes.masked._masks",
            ["fedmf_ray/schemes/masked/native/module.c"],
            depends=sorted(glob("fedmf_ray/schemes/masked/native/*.h")),
            extra_compile_args=["-O3", "-std=gnu11", "-Wall", "-Wextra"],
            optional=True,
        ),
        Extension(
            "fedmf_ray.learning._learning",
            ["fedmf_ray/learning/native/module.c"],
            depends=["fedmf_ray/learning/native/arithmetic.h"],
            # A product and a sum that are fused, or sums in another order, would be other bits than NumPy's.
            extra_compile_args=[
                "-O3",
                "-std=gnu11",
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-Wall",
                "-Wextra",
            ],
            optional=True,
        ),
    ],
    options={"build_ext": {"parallel": True}},
)
