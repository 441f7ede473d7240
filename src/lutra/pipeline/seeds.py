"""One seed for the study, and from it one for every step that draws random numbers."""

from __future__ import annotations

import hashlib

from lutra.pipeline.protocol import Protocol


def seed_of(protocol: Protocol, *parts: str) -> int:
    """Seed of one step: follows from the study's seed and from what the step is about, not from the order of the run."""
    return seed_from(protocol.study.seed, *parts)


def seed_from(seed: int, *parts: str) -> int:
    """Seed of one step from another seed and what the step is about."""
    text = "\0".join((str(seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
