"""How often the reader's analysis is right: on traces that people have judged, and on simulated ones of known truth."""

from server.accuracy.command import app

__all__ = ["app"]
