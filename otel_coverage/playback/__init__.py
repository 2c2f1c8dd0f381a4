"""Playback: recorded workflows, replayed against a running application under their profiles' names."""

from otel_coverage.playback.loader import load, load_all
from otel_coverage.playback.outcome import Outcome
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile, Step, Upload

__all__ = ["Outcome", "Player", "Profile", "Step", "Upload", "load", "load_all"]
