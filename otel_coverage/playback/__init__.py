"""Recorded workflows, replayed against a running application, each under its profile's name."""

from otel_coverage.playback.outcome import Outcome
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile, Step, Upload
from otel_coverage.playback.reading import read

__all__ = ["Outcome", "Player", "Profile", "Step", "Upload", "read"]
