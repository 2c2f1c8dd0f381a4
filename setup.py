"""What pyproject.toml cannot say: the SQL files of ``queries/`` travel inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["otel_coverage", "otel_coverage.*"]), "otel_coverage.queries"],
    package_dir={"otel_coverage.queries": "queries"},
    package_data={"otel_coverage": ["py.typed"], "otel_coverage.queries": ["**/*.sql"]},
    include_package_data=False,
)
