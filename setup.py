"""The one thing pyproject.toml cannot say: build what is compiled, if a compiler is there."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "fedmf_ray.schemes.paillier._ifma",
            ["fedmf_ray/schemes/paillier/native/module.c"],
            depends=[
                f"fedmf_ray/schemes/paillier/native/{name}.h"
                for name in ("convert", "key", "lanes", "number", "power", "sums", "tile", "work")
            ],
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
    ]
)
