"""The one thing pyproject.toml cannot say: build the native kernel if a compiler is there."""

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
        )
    ]
)
