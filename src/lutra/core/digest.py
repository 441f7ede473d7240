"""Identity by content: the same value has the same digest on every machine.

A value is first written in a canonical form (plain JSON in which arrays stand as the hash of their bytes), then hashed.
The store writes exactly this form to disk, so a digest can be checked with nothing but SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any

import attrs
import numpy as np

ARRAY_KEY = "@array"
TYPE_KEY = "@type"


def array_digest(array: np.ndarray[Any, Any]) -> str:
    """SHA-256 over element type, shape and little-endian bytes. [hex]"""
    little = array if sys.byteorder == "little" else array.astype(array.dtype.newbyteorder("<"))
    header = f"{array.dtype.kind}{array.dtype.itemsize}{array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(little).tobytes()).hexdigest()


def canonical(value: Any, arrays: dict[str, np.ndarray[Any, Any]] | None = None) -> Any:
    """Write a value as plain JSON data.

    Parameters
    ----------
    value
        attrs value, container, number, text, date or array.
    arrays
        If given, filled with every array met, by its hash.

    Raises
    ------
    TypeError
        If something has no canonical form, such as a naive datetime or an object that is not a value.
    """
    match value:
        case None | bool() | str():
            plain: Any = value.value if isinstance(value, Enum) else value
        case Enum():
            plain = value.value
        case int() | np.integer():
            plain = int(value)
        case float() | np.floating():
            plain = _plain_float(float(value))
        case datetime():
            if value.tzinfo is None:
                raise TypeError(f"{value!r} has no time zone, so it has no canonical form")
            plain = value.isoformat()
        case date():
            plain = value.isoformat()
        case np.ndarray():
            name = array_digest(value)
            if arrays is not None:
                arrays[name] = value
            plain = {ARRAY_KEY: name}
        case Mapping():
            plain = {str(key): canonical(value[key], arrays) for key in sorted(value, key=str)}
        case tuple() | list():
            plain = [canonical(item, arrays) for item in value]
        case _ if attrs.has(type(value)):
            plain = {TYPE_KEY: type(value).__name__}
            for field in attrs.fields(type(value)):
                if field.init:
                    plain[field.name] = canonical(getattr(value, field.name), arrays)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form; make it an attrs value")
    return plain


def digest(value: Any) -> str:
    """SHA-256 of the canonical form. [hex]"""
    return text_digest(canonical_json(canonical(value)))


def canonical_json(plain: Any) -> str:
    """Write canonical data the one way it is hashed: sorted keys, no spaces."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def text_digest(text: str) -> str:
    """SHA-256 of UTF-8 text. [hex]"""
    return hashlib.sha256(text.encode()).hexdigest()


def _plain_float(number: float) -> float | str:
    if np.isfinite(number):
        return number + 0.0  # -0.0 and 0.0 are the same value
    return str(number)
