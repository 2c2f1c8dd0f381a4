"""What pyproject.toml cannot say: queries/ and examples/ travel inside the package, the callbacks in C are built."""

import os
import sys
import sysconfig
import tempfile

from setuptools import Extension, find_packages, setup

# Elsewhere the callbacks in Python serve, as they do where no compiler is: hence optional.
WANTS_EXTENSION = (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 12)
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)

CSRC = "otel_coverage/recording/csrc"

# A wheel is built beside the tree: what an earlier one left in build/ would go into the next.
beside = tempfile.TemporaryDirectory() if "bdist_wheel" in sys.argv else None

setup(
    options={"build": {"build_base": beside.name}, "egg_info": {"egg_base": beside.name}} if beside else {},
    packages=[
        *find_packages(include=["otel_coverage", "otel_coverage.*"]),
        "otel_coverage.examples",
        "otel_coverage.queries",
    ],
    package_dir={"otel_coverage.examples": "examples", "otel_coverage.queries": "queries"},
    package_data={
        "otel_coverage": ["py.typed"],
        "otel_coverage.recording": ["_callbacks.pyi"],
        "otel_coverage.examples": ["shop/**/*.py", "profiles/**/*.jsonl", "profiles/**/*.csv"],
        "otel_coverage.queries": ["**/*.sql"],
    },
    include_package_data=False,
    ext_modules=[
        Extension(
            "otel_coverage.recording._callbacks",
            [f"{CSRC}/{name}.c" for name in ("branch_edges", "code_state", "decisions", "module")],
            depends=[f"{CSRC}/callbacks.h"],
            extra_compile_args=[] if sys.platform == "win32" else ["-Wall", "-Wextra"],
            optional="CIBUILDWHEEL" not in os.environ,  # a wheel without it would claim to have it
        )
    ]
    if WANTS_EXTENSION
    else [],
)
