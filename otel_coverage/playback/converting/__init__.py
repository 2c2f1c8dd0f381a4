"""Makes playback recordings of HAR files, which a person can read and mend."""

from otel_coverage.playback.converting.converter import Conversion, convert
from otel_coverage.playback.converting.rules import RULES, Rules

__all__ = ["RULES", "Conversion", "Rules", "convert"]
