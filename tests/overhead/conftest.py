from tests.playback.conftest import application, recording

__all__ = ["application", "recording"]
