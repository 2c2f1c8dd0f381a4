"""Makes playback recordings of what a browser did, which a person can read and mend."""

from otel_coverage.playback.converting import har
from otel_coverage.playback.converting.converter import Conversion, convert
from otel_coverage.playback.converting.exchange import Exchange, Part, Source
from otel_coverage.playback.converting.rules import RULES, Rules

__all__ = ["RULES", "Conversion", "Exchange", "Part", "Rules", "Source", "convert", "har"]
