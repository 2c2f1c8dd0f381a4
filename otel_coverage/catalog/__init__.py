"""All classes and functions of one revision, found without running it."""

from otel_coverage.catalog.builder import build
from otel_coverage.catalog.catalog import Catalog, CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.catalog.code_symbols import push

__all__ = ["Catalog", "CatalogError", "CatalogFile", "CatalogSymbol", "build", "push"]
