"""The secret of a study, and what follows from it: pseudonyms, shifts of dates, UIDs.

Everything is HMAC-SHA256 of the old value under the key [rfc2104]: the same old value gives the same new one in every file and
every year, and without the key nobody can go back or forth, not even by trying all patient numbers.
"""

from __future__ import annotations

import hashlib
import hmac

from attrs import field, frozen

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Digits and letters nobody confuses when reading aloud."""
WORD_ALPHABET = "BCDFGHJKMNPQSVWXZ"
"""Consonants only, without L, R and T: a keyed word reads neither as a word nor as a side."""
PSEUDONYM_LENGTH = 5
SHORTEST_SHIFT_DAYS, SHIFT_RANGE_DAYS = 366, 3653
"""Dates move back by one to eleven years: never into the future, never less than a year."""
KEY_BYTES = 32


@frozen
class PseudonymKey:
    """Key of a study; kept apart from the study.

    Parameters
    ----------
    secret
        32 random bytes.

    References
    ----------
    [rfc2104] HMAC: Keyed-Hashing for Message Authentication.
    """

    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and gives nothing away; stored in the study's audit trail."""
        return self._hmac("fingerprint", "")[:8].hex()

    def uid(self, old: str) -> str:
        """UID below 2.25, PS3.5 B.2, from a version 8 UUID [rfc9562]; at most 44 characters."""
        octets = bytearray(self._hmac("uid", old)[:16])
        octets[6] = octets[6] & 0x0F | 0x80
        octets[8] = octets[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(octets, 'big')}"

    def pseudonym(self, patient_id: str, prefix: str = "LU") -> str:
        """Short name of a subject, such as `LU-7K2QM`."""
        return f"{prefix}-{self._letters('pseudonym', patient_id, ALPHABET, PSEUDONYM_LENGTH)}"

    def proof(self, patient_id: str) -> str:
        """Tells apart two patients who would get one pseudonym; says nothing about either without the key."""
        return self._hmac("proof", patient_id)[:8].hex()

    def shift_days(self, patient_id: str) -> int:
        """Days by which all dates of a subject move; the same for all its files. [d]"""
        drawn = int.from_bytes(self._hmac("shift", patient_id), "big") % SHIFT_RANGE_DAYS
        return -(SHORTEST_SHIFT_DAYS + drawn)

    def word(self, word: str) -> str:
        """Stand-in for a word that may not stay, such as `XBKQDV`; capitals make no difference."""
        return "X" + self._letters("word", word.casefold(), WORD_ALPHABET, 5)

    def _letters(self, purpose: str, value: str, alphabet: str, n: int) -> str:
        number = int.from_bytes(self._hmac(purpose, value), "big")
        letters = []
        for _ in range(n):
            number, place = divmod(number, len(alphabet))
            letters.append(alphabet[place])
        return "".join(letters)

    def _hmac(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()
