"""What pyproject.toml cannot say: what travels inside the package, and that C and the reports' page are built."""

import os
import runpy
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py

# Elsewhere the callbacks in Python serve, as they do where no compiler is: hence optional.
WANTS_EXTENSION = (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 12)
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)

CSRC = "otel_coverage/recording/csrc"

# A git checkout alone builds the page: sdist and wheel carry it. OTEL_COVERAGE_BUILD_PAGE=0 does without.
WEB = Path("web", "build.py")
page = runpy.run_path(str(WEB)) if WEB.exists() and os.environ.get("OTEL_COVERAGE_BUILD_PAGE") != "0" else None
BUILDS = {"bdist_wheel", "build", "dist_info", "editable_wheel", "egg_info", "sdist"}
WANTS_NODE = page is not None and BUILDS & set(sys.argv) and not page["is_current"]() and not page["has_node"]()


class BuildWithPage(build_py):
    """Builds the page before its files are collected."""

    def finalize_options(self) -> None:
        """An environment for work does without the page where it cannot be built; what is given away does not."""
        super().finalize_options()
        if page is None or not {"bdist_wheel", "build", "editable_wheel", "sdist"} & set(sys.argv):
            return
        try:
            page["build"]()
        except page["BuildError"] as error:
            if "editable_wheel" not in sys.argv:
                sys.exit(f"{error}\nOTEL_COVERAGE_BUILD_PAGE=0 builds without it: index.html is then a summary")
            print(f"index.html of reports will be a summary until `make page` succeeds: {error}", file=sys.stderr)


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
        "otel_coverage.catalog": ["*.schema.json"],
        "otel_coverage.ci": ["templates/*.j2"],
        "otel_coverage.gates": ["*.schema.json"],
        "otel_coverage.impact": ["*.schema.json"],
        "otel_coverage.playback.schemas": ["*.schema.json"],
        "otel_coverage.recording": ["_callbacks.pyi"],
        "otel_coverage.reporting.schemas": ["*.schema.json"],
        "otel_coverage.reporting.page": ["bundle/page.js", "bundle/page.css", "bundle/licenses.txt"],
        "otel_coverage.examples": ["shop/**/*.py", "stack/**/*.py", "profiles/**/*.jsonl", "profiles/**/*.csv"],
        "otel_coverage.queries": ["**/*.sql"],
    },
    include_package_data=False,
    cmdclass={"build_py": BuildWithPage},
    # pip asks for it where the page has to be built and PATH has no Node
    setup_requires=[page["NODE_PACKAGE"]] if page is not None and WANTS_NODE else [],
    ext_modules=[
        Extension(
            "otel_coverage.recording._callbacks",
            [f"{CSRC}/{name}.c" for name in ("branch_edges", "code_state", "decisions", "module", "reading")],
            depends=[f"{CSRC}/callbacks.h"],
            extra_compile_args=[] if sys.platform == "win32" else ["-Wall", "-Wextra"],
            optional="CIBUILDWHEEL" not in os.environ,  # a wheel without it would claim to have it
        )
    ]
    if WANTS_EXTENSION
    else [],
)
