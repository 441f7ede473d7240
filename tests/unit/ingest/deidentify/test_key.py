"""What follows from a key: always the same, never the old, and nothing without the key."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.core.errors import InputError, UsageError
from lutra.core.frozen import FrozenMap
from lutra.ingest.deidentify import PseudonymKey, create_key, default_key_path, read_key, require_outside
from lutra.ingest.deidentify.subject import identify, read_pseudonyms

keys = st.binary(min_size=32, max_size=32).map(PseudonymKey)
ids = st.text(min_size=0, max_size=64)


@given(keys, ids)
def test_dates_always_move_back_by_one_to_eleven_years(key: PseudonymKey, patient: str) -> None:
    assert -(366 + 3653) < key.shift_days(patient) <= -366
    assert key.shift_days(patient) == PseudonymKey(key.secret).shift_days(patient)


@given(keys, st.text("0123456789.", min_size=1, max_size=64))
def test_a_keyed_uid_is_a_uuid_below_2_25(key: PseudonymKey, old: str) -> None:
    """PS3.5 B.2; RFC 9562 version 8, variant 10."""
    root, _, number = key.uid(old).rpartition(".")
    assert root == "2.25"
    assert len(key.uid(old)) <= 44
    octets = uuid.UUID(int=int(number))
    assert (octets.version, octets.variant) == (8, uuid.RFC_4122)
    assert key.uid(old) != old


def test_the_uid_of_a_known_key_by_hand() -> None:
    """HMAC-SHA256 computed with `openssl dgst -sha256 -mac HMAC` over `uid`, a zero byte and `1.2.3`, key of 32 bytes `k`."""
    digest = bytearray.fromhex("f85c6bb6b2b508603ae127131b3874b5")
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    assert PseudonymKey(b"k" * 32).uid("1.2.3") == f"2.25.{int.from_bytes(digest, 'big')}"


def test_another_key_is_another_world() -> None:
    one, other = PseudonymKey(b"1" * 32), PseudonymKey(b"2" * 32)
    assert one.uid("1.2") != other.uid("1.2")
    assert one.pseudonym("A") != other.pseudonym("A")
    assert one.fingerprint != other.fingerprint
    assert len({one.shift_days(str(n)) for n in range(200)}) > 150  # no two patients share a calendar by design


def test_nothing_shows_the_secret() -> None:
    key = PseudonymKey(bytes(range(32)))
    assert "secret" not in repr(key)
    assert key.secret.hex() not in repr(key) + key.fingerprint + key.proof("A") + key.uid("1")


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "study.key"
    key = create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_key(path) == key
    with pytest.raises(UsageError, match="already"):
        create_key(path)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize("text", ["", "hello", "lutra pseudonym key 1\nabc\n", "lutra pseudonym key 1\n" + "zz" * 32])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="no pseudonym key"):
        read_key(path)


def test_a_key_inside_the_study_is_refused_also_by_way_of_a_link(tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "keys").mkdir(parents=True)
    (tmp_path / "link").symlink_to(study / "keys")
    for path in (
        study / "a.key",
        study / "keys" / "a.key",
        tmp_path / "link" / "a.key",
        study / ".." / "study" / "a.key",
    ):
        with pytest.raises(UsageError, match="inside the study"):
            require_outside(path, study, "pseudonym key")
    require_outside(tmp_path / "study.key", study, "pseudonym key")


def test_the_default_place_follows_the_configuration_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert default_key_path(tmp_path / "PRRT") == tmp_path / "config" / "lutra" / "keys" / "PRRT.key"


def test_chosen_pseudonyms(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("patient_id,pseudonym\n4711,LUMEN-01\n 4712 ,LUMEN-02\n")
    table = read_pseudonyms(path)
    key = PseudonymKey(b"k" * 32)
    assert identify("4711", key, table, frozenset()).pseudonym == "LUMEN-01"
    assert identify("4711", key, table, frozenset()).days == key.shift_days("4711")
    with pytest.raises(InputError, match="not in the table"):
        identify("4713", key, table, frozenset())
    assert identify("4713", key, FrozenMap(), frozenset()).pseudonym == key.pseudonym("4713")


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "patient_id,pseudonym\n",
        "id,name\n1,A\n",
        "patient_id,pseudonym\n1,A\n1,B\n",
        "patient_id,pseudonym\n1,A\n2,A\n",
        "patient_id,pseudonym\n4711,X4711\n",
        "patient_id,pseudonym\n1,A/../B\n",
        "patient_id,pseudonym\n1,\n",
    ],
)
def test_a_table_that_would_leak_or_merge_is_refused(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(rows)
    with pytest.raises(UsageError, match=r"table\.csv"):
        read_pseudonyms(path)
