"""DOOR: the reading room in a browser: sign in, read, decide and sign, lock, and see who did what."""

from lutra.web.app import create_app

__all__ = ["create_app"]
