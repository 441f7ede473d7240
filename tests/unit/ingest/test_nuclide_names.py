"""Nuclides in the words of headers, and words that name none."""

from __future__ import annotations

import pytest

from lutra.ingest.nuclide_names import nuclide_from_words


@pytest.mark.parametrize(
    ("words", "nuclide"),
    [
        ("18F", "F-18"),
        ("F^18^[^18^Fluorine]", "F-18"),
        ("^18^Fluorine", "F-18"),
        ("Fluorine F^18^", "F-18"),
        ("18F-PSMA-1007", "F-18"),
        ("PSMA-1007 F-18", "F-18"),
        ("FDG -- 18F", "F-18"),
        ("68Ga-DOTATATE", "Ga-68"),
        ("Gallium-68", "Ga-68"),
        ("177 Lutetium", "Lu-177"),
        ("Lu177", "Lu-177"),
        ("[177Lu]Lu-DOTA-TATE", "Lu-177"),
        ("99mTc", "Tc-99m"),
        ("Technetium-99m", "Tc-99m"),
        ("123 I", "I-123"),
        ("11C-Methionine", "C-11"),
    ],
)
def test_words_that_name_a_nuclide(words: str, nuclide: str) -> None:
    assert nuclide_from_words(words) == nuclide


@pytest.mark.parametrize(
    "words",
    [
        "",
        "123 mg",
        "123mg",
        "10 in",
        "10 mCi",
        "250 MBq",
        "FDG",
        "PSMA-1007",
        "1177 Lu",
        "Lu-1771",
        "TF-18",
        "12 C",
        "Solution",
    ],
)
def test_words_that_name_none(words: str) -> None:
    assert nuclide_from_words(words) is None
