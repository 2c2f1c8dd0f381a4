"""All classes and functions of one revision, found without running it."""

from otel_coverage.catalog.building import build
from otel_coverage.catalog.catalog import Catalog, CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.catalog.document import catalog_document
from otel_coverage.catalog.pushing import push

__all__ = ["Catalog", "CatalogError", "CatalogFile", "CatalogSymbol", "build", "catalog_document", "push"]
