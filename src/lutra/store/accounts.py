"""People who may sign in to a study, their sessions, and failed attempts; a SQLite file beside the ledger."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen

from lutra.core.errors import MissingExtra, UsageError

ACCOUNTS = "accounts.db"
"""File of accounts in a study's folder."""
LEAST_LENGTH = 12
"""Of a password; length counts, not kinds of characters. [nist800-63b] NIST SP 800-63B, 5.1.1."""
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
NO_PASSWORD = "none"  # noqa: S105
"""In place of a hash: no password fits."""
FAILURES, WINDOW = 5, timedelta(minutes=15)
"""Failed attempts of a name or from an address after which it waits, and for how long they count."""


class RoleOf(StrEnum):
    """What a person may do."""

    READER = "reader"
    PHYSICIST = "physicist"
    PHYSICIAN = "physician"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


def _roles(given: Iterable[str]) -> frozenset[RoleOf]:
    return frozenset(map(RoleOf, given))


@frozen
class Account:
    """A person."""

    name: str
    roles: frozenset[RoleOf] = field(converter=_roles)
    disabled: bool = False

    def may(self, *roles: RoleOf) -> bool:
        """Whether the person has one of the roles."""
        return not self.disabled and bool(self.roles & set(roles))


@frozen
class Session:
    """A person who signed in.

    Parameters
    ----------
    csrf
        Token that every form of this session carries.
    confirmed_until
        Of a session that began at a provider: until when a signature counts as confirmed there; None: it has a password.
    """

    account: Account
    csrf: str
    confirmed_until: datetime | None = None

    @property
    def through_provider(self) -> bool:
        """Whether the person signed in at a provider, and confirms signatures there."""
        return self.confirmed_until is not None

    @property
    def confirmed(self) -> bool:
        """Whether the person has confirmed a signature that was not given yet."""
        return self.confirmed_until is not None and datetime.now(UTC) < self.confirmed_until


def _checked(account: Account) -> Account:
    """Refuse roles that do not go together.

    Raises
    ------
    UsageError
        If there is none, or a reader has a second one: readers of response are blinded to dosimetry.
    """
    if not account.roles:
        raise UsageError(f"{account.name} has no role", required=f"one of: {', '.join(RoleOf)}")
    if RoleOf.READER in account.roles and len(account.roles) > 1:
        raise UsageError(f"{account.name} cannot be reader and something else", required="a reader sees no dosimetry")
    return account


class Accounts:
    """The file of accounts.

    Parameters
    ----------
    path
        Made if it is not there, readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.touch(mode=0o600)
        with self._open() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, roles TEXT, password TEXT, disabled INTEGER)"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, name TEXT, csrf TEXT, begun TEXT, seen TEXT)"
            )
            db.execute("CREATE TABLE IF NOT EXISTS failures (who TEXT, at TEXT)")
            db.execute("CREATE TABLE IF NOT EXISTS confirmed (token TEXT PRIMARY KEY, until TEXT)")

    # ---- people ----
    def add(self, name: str, roles: Iterable[str], password: str | None) -> Account:
        """Make an account; without a password its person comes through a provider alone.

        Raises
        ------
        UsageError
            If the name is empty or taken, the password too short, or no role is given.
        """
        account = _checked(Account(name.strip(), frozenset(map(RoleOf, roles))))
        if not account.name or len(account.name) > 80 or not account.name.isprintable():
            raise UsageError("a name of 1 to 80 printable characters is needed", required="a name")
        hashed = NO_PASSWORD if password is None else _hashed(password, account.name)
        row = (account.name, json.dumps(sorted(account.roles)), hashed, 0)
        with self._open() as db:
            if not db.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?)", row).rowcount:
                raise UsageError(f"{name} has an account already", required="another name")
        return account

    def all(self) -> tuple[Account, ...]:
        """Everybody, by name."""
        with self._open() as db:
            return _people(db)

    def change(
        self,
        name: str,
        *,
        roles: Iterable[str] | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> None:
        """Change an account and end its sessions.

        Raises
        ------
        UsageError
            If there is none, it is disabled (or active) already, or nobody would be left who can manage accounts.
        """
        hashed = None if password is None else _hashed(password, name)
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")  # nobody changes another account between the check and the change
            known = {a.name: a for a in _people(db)}
            if name not in known:
                raise UsageError(f"no account {name!r}", required=f"one of: {', '.join(known) or 'none yet'}")
            old = known[name]
            new = _checked(
                Account(name, old.roles if roles is None else roles, old.disabled if disabled is None else disabled)
            )
            if disabled is old.disabled:
                raise UsageError(
                    f"{name} is {'disabled' if disabled else 'active'} already", required="the other state"
                )
            others = any(a.may(RoleOf.ADMIN) for a in known.values() if a.name != name)
            if old.may(RoleOf.ADMIN) and not new.may(RoleOf.ADMIN) and not others:
                raise UsageError(f"{name} is the last administrator", required="another one before")
            if hashed is not None:
                db.execute("UPDATE accounts SET password = ? WHERE name = ?", (hashed, name))
            db.execute(
                "UPDATE accounts SET roles = ?, disabled = ? WHERE name = ?",
                (json.dumps(sorted(new.roles)), int(new.disabled), name),
            )
            db.execute("DELETE FROM sessions WHERE name = ?", (name,))

    # ---- signing in ----
    def check(self, name: str, password: str, address: str = "") -> Account | None:
        """Give the account if name and password are right; a wrong pair is remembered against name and address."""
        with self._open() as db:
            row = db.execute("SELECT roles, password, disabled FROM accounts WHERE name = ?", (name,)).fetchone()
        # The same work for a name that nobody has, so that the time does not tell.
        right = _verified(row[1] if row else _nobody(), password)
        if row and right and not row[2]:
            with self._open() as db:
                db.execute("DELETE FROM failures WHERE who = ?", _whos(name, "")[:1])
            return Account(name, json.loads(row[0]))
        now = datetime.now(UTC).isoformat()
        with self._open() as db:
            db.executemany("INSERT INTO failures VALUES (?, ?)", [(who, now) for who in _whos(name, address)])
        return None

    def must_wait(self, name: str, address: str = "") -> bool:
        """Whether too many attempts failed lately."""
        since = (datetime.now(UTC) - WINDOW).isoformat()
        with self._open() as db:
            db.execute("DELETE FROM failures WHERE at < ?", (since,))
            counts = [
                db.execute("SELECT count(*) FROM failures WHERE who = ?", (who,)).fetchone()[0]
                for who in _whos(name, address)
            ]
        return counts[0] >= FAILURES or any(count >= 4 * FAILURES for count in counts[1:])

    def open_session(self, account: Account, confirmed_until: datetime | None = None) -> tuple[str, Session]:
        """Begin a session; its token is given once and only its digest is kept."""
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), datetime.now(UTC).isoformat()
        with self._open() as db:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (_digest(token), account.name, csrf, now, now))
            db.execute("DELETE FROM confirmed WHERE token NOT IN (SELECT token FROM sessions)")
            if confirmed_until is not None:
                db.execute("INSERT INTO confirmed VALUES (?, ?)", (_digest(token), confirmed_until.isoformat()))
        return token, Session(account, csrf, confirmed_until)

    def use_confirmation(self, token: str) -> bool:
        """Whether a session has a confirmed signature to give; it is given by this."""
        now = datetime.now(UTC).isoformat()
        with self._open() as db:
            change = "UPDATE confirmed SET until = ? WHERE token = ? AND until > ?"
            return db.execute(change, (now, _digest(token), now)).rowcount == 1

    def session(self, token: str) -> Session | None:
        """Give the session of a token unless it ended, and note that it is alive."""
        now = datetime.now(UTC)
        with self._open() as db:
            row = db.execute(
                "SELECT s.csrf, s.begun, s.seen, a.name, a.roles, a.disabled, c.until FROM sessions s "
                "JOIN accounts a ON a.name = s.name LEFT JOIN confirmed c ON c.token = s.token WHERE s.token = ?",
                (_digest(token),),
            ).fetchone()
            if row is None:
                return None
            begun, seen = datetime.fromisoformat(row[1]), datetime.fromisoformat(row[2])
            if row[5] or now - seen > IDLE or now - begun > LONGEST:
                db.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))
                return None
            db.execute("UPDATE sessions SET seen = ? WHERE token = ?", (now.isoformat(), _digest(token)))
        return Session(Account(row[3], json.loads(row[4])), row[0], datetime.fromisoformat(row[6]) if row[6] else None)

    def close_session(self, token: str) -> None:
        """End a session."""
        with self._open() as db:
            db.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=30)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _people(db: sqlite3.Connection) -> tuple[Account, ...]:
    rows = db.execute("SELECT name, roles, disabled FROM accounts ORDER BY name").fetchall()
    return tuple(Account(name, json.loads(roles), bool(disabled)) for name, roles, disabled in rows)


def _whos(name: str, address: str) -> list[str]:
    """Whom a failure counts against; as digests, because people type other things than their name into its field."""
    return [_digest(f"name {name}"), *([_digest(f"address {address}")] if address else [])]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hasher() -> Any:
    try:
        from argon2 import PasswordHasher  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtra("passwords need argon2", do="pip install lutra[web]") from error
    return PasswordHasher()


def _hashed(password: str, name: str) -> str:
    if len(password) < LEAST_LENGTH or len(password) > 1000:
        raise UsageError(f"a password of {len(password)} characters", required=f"{LEAST_LENGTH} or more")
    if name.casefold() in password.casefold():
        raise UsageError("the password holds the name", required="one that does not")
    return str(_hasher().hash(password))


def _verified(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415  (an extra)

    try:
        return bool(_hasher().verify(hashed, password))
    except (Argon2Error, InvalidHashError):
        return False


_NOBODY: list[str] = []


def _nobody() -> str:
    """Hash that no password fits, made once."""
    if not _NOBODY:
        _NOBODY.append(str(_hasher().hash(secrets.token_urlsafe(32))))
    return _NOBODY[0]
