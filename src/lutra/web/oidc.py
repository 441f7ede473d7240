"""OpenID Connect as a client: the authorization code flow with PKCE, and every check of the token that comes of it.

Who somebody is, a provider says; what an account may do stays with Lutra, and nobody gets an account by signing in.
[oidc] OpenID Connect Core 1.0, 3.1; [rfc7636] PKCE; [rfc9207] issuer in the answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote, urlencode, urlsplit

from attrs import field, frozen

from lutra.core.errors import LutraError, MissingExtra, UsageError

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with the provider's key alone: `none` proves nothing, and HS256 could be made with a key that is public."""
LEEWAY_S, WAIT_S, PATIENCE_S = 60, 10.0, 600.0
"""How far clocks may differ; how long the provider may take to answer, and a person to sign in there. [s]"""
LARGEST_ANSWER, MOST_PENDING = 1 << 20, 1000
SETTINGS = ("issuer", "client_id", "room", "client_secret_file", "claim")


class RefusedByProvider(LutraError):
    """A sign-in at the provider that does not hold."""


@frozen
class OidcSettings:
    """What an administrator of the provider and of Lutra agreed on.

    Parameters
    ----------
    issuer
        Address of the provider, as its tokens name it.
    room
        Address of the reading room, as browsers see it; its callback is `/sign-in/provider/back`.
    client_secret
        None: a public client, which has PKCE alone.
    claim
        Claim of the ID token that holds the name of an account.
    """

    issuer: str
    client_id: str
    room: str
    client_secret: str | None = field(default=None, repr=False)
    claim: str = "preferred_username"

    @property
    def callback(self) -> str:
        """Where the provider sends people back to."""
        return f"{self.room.rstrip('/')}/sign-in/provider/back"


def read_settings(path: Path) -> OidcSettings:
    """Read the settings of a TOML file.

    Raises
    ------
    UsageError
        Naming what is missing, unknown or not safe.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"no settings of a provider: {error}", where=str(path)) from error
    wrong = [key for key, value in given.items() if key not in SETTINGS or not isinstance(value, str) or not value]
    wrong += [f"{key} (missing)" for key in SETTINGS[:3] if key not in given]
    if wrong:
        raise UsageError(f"settings {', '.join(wrong)}", where=str(path), required=f"texts {', '.join(SETTINGS)}")
    for name in ("issuer", "room"):
        _require_safe(given[name], f"{path} {name}")
    secret = given.pop("client_secret_file", None)
    if secret is not None:
        try:
            given["client_secret"] = (path.parent / secret).read_text("utf-8").strip()
        except OSError as error:
            raise UsageError(f"no client secret: {error}", where=str(path)) from error
    return OidcSettings(**given)


@frozen
class Pending:
    """A person who was sent to the provider.

    Parameters
    ----------
    browser
        What the cookie of the same browser must hold.
    then
        Page of the room to go to afterwards.
    confirms
        Account whose signature this sign-in is to confirm; None: a session begins.
    session
        Token of the session they came from, which ends when they are back: on the way back its cookie does not come along.
    """

    browser: str
    nonce: str
    verifier: str
    then: str
    confirms: str | None
    session: str = field(repr=False)
    begun_s: float


class Provider:
    """One provider, and who was sent to it."""

    def __init__(self, settings: OidcSettings) -> None:
        try:
            import joserfc  # noqa: F401, PLC0415  (an extra)
        except ImportError as error:
            raise MissingExtra(
                "signing in through OpenID Connect needs joserfc", do="pip install lutra[oidc]"
            ) from error
        self.settings = settings
        self._pending: dict[str, Pending] = {}
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}
        self._keys: dict[str, Any] = {"keys": []}
        self._keys_at_s = float("-inf")

    # ---- there ----
    def send(self, then: str, confirms: str | None = None, session: str = "") -> tuple[str, str]:
        """Remember somebody who goes to the provider; return the address, and what the cookie of the browser is to hold."""
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        pending = Pending(browser, nonce, verifier, then, confirms, session, time.time())
        with self._lock:
            late = [s for s, p in self._pending.items() if time.time() - p.begun_s > PATIENCE_S]
            for old in late or list(self._pending)[: max(0, len(self._pending) - MOST_PENDING + 1)]:
                del self._pending[old]
            self._pending[state] = pending
        challenge = _base64(hashlib.sha256(pending.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.callback,
            "scope": "openid profile email" if self.settings.claim != "sub" else "openid",
            "state": state,
            "nonce": pending.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if confirms is not None:
            asked |= {"prompt": "login", "max_age": "0"}
        address = self._discovered()["authorization_endpoint"]
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}", browser

    # ---- and back ----
    def receive(self, answer: dict[str, str], browser: str) -> tuple[Pending, str]:
        """Take the provider's answer: what somebody was sent for, and the account they are. An answer counts once.

        Raises
        ------
        RefusedByProvider
            If the answer or its token does not hold.
        """
        with self._lock:
            pending = self._pending.pop(answer.get("state", ""), None)
        if pending is None or time.time() - pending.begun_s > PATIENCE_S:
            raise RefusedByProvider("this sign-in is unknown, was used or took too long", do="sign in again")
        if not hmac.compare_digest(pending.browser.encode(), browser.encode()):
            raise RefusedByProvider("this sign-in was begun in another browser", do="sign in again")
        if answer.get("iss", self.settings.issuer) != self.settings.issuer:
            raise RefusedByProvider("the answer is of another provider", required=self.settings.issuer)
        if "error" in answer or not answer.get("code"):
            raise RefusedByProvider(f"the provider says: {answer.get('error', 'nothing')[:80]}")
        claims = self._claims(self._token(answer["code"], pending.verifier), pending)
        name = claims.get(self.settings.claim)
        if not isinstance(name, str) or not name:
            raise RefusedByProvider("the token names no account", required=f"the claim {self.settings.claim}")
        if self.settings.claim == "email" and claims.get("email_verified") is not True:
            raise RefusedByProvider("the address of mail is not verified by the provider")
        return pending, name

    def _token(self, code: str, verifier: str) -> str:
        """Exchange a code for an ID token."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.callback,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.settings.client_secret is not None:
            pair = f"{quote(self.settings.client_id, safe='')}:{quote(self.settings.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        token = _fetched(self._discovered()["token_endpoint"], urlencode(form).encode(), headers).get("id_token")
        if not isinstance(token, str):
            raise RefusedByProvider("the provider gave no ID token")
        return token

    def _claims(self, token: str, pending: Pending) -> dict[str, Any]:
        """Check signature and claims of an ID token; [oidc] 3.1.3.7."""
        claims = self._signed(token)
        now, ours = time.time(), self.settings.client_id
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        of = claims.get("azp", None if len(audiences) > 1 else ours)
        problem = None
        if claims.get("iss") != self.settings.issuer:
            problem = "is of another issuer"
        elif ours not in audiences or of != ours:
            problem = "is for another client"
        elif not _is_number(claims.get("exp")) or claims["exp"] < now - LEEWAY_S:
            problem = "has expired"
        elif not _is_number(claims.get("iat")) or claims["iat"] > now + LEEWAY_S:
            problem = "was not made yet"
        elif _is_number(claims.get("nbf")) and claims["nbf"] > now + LEEWAY_S:
            problem = "does not hold yet"
        elif not hmac.compare_digest(str(claims.get("nonce", "")).encode(), pending.nonce.encode()):
            problem = "is of another sign-in"
        elif not isinstance(claims.get("sub"), str) or not claims["sub"]:
            problem = "names nobody"
        elif pending.confirms is not None and not _is_since(claims.get("auth_time"), pending.begun_s):
            problem = "does not say that you were asked just now"
        if problem:
            raise RefusedByProvider(f"the ID token {problem}", do="sign in again")
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """Give the claims of a token that the provider has signed; unknown keys are looked for once anew."""
        from joserfc import jwk, jwt  # noqa: PLC0415  (an extra)
        from joserfc.errors import JoseError  # noqa: PLC0415

        for again in (False, True):
            try:
                keys: Any = self._key_set(again=again)
                return dict(jwt.decode(token, jwk.KeySet.import_key_set(keys), algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError, TypeError, KeyError) as error:
                if again:
                    raise RefusedByProvider("the ID token is not signed by the provider", do="sign in again") from error
        raise AssertionError  # pragma: no cover

    def _key_set(self, *, again: bool) -> dict[str, Any]:
        """Give the provider's keys; not asked for more often than every tenth of a minute, whoever sends tokens."""
        if not self._keys["keys"] or (again and time.time() - self._keys_at_s > 6):
            self._keys, self._keys_at_s = _fetched(self._discovered()["jwks_uri"]), time.time()
            if not isinstance(self._keys.get("keys"), list):
                self._keys = {"keys": []}
        # A key that both sides know would let anybody sign who reads what is public.
        return {"keys": [key for key in self._keys["keys"] if isinstance(key, dict) and key.get("kty") != "oct"]}

    def _discovered(self) -> dict[str, Any]:
        """Ask the provider where its doors are, once."""
        if not self._known:
            found = _fetched(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.settings.issuer:
                raise RefusedByProvider(
                    f"the provider calls itself {found.get('issuer')}", required=self.settings.issuer
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _require_safe(str(found.get(name, "")), name)
            self._known = found
        return self._known


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        """Follow nobody to another place with a secret."""


def _fetched(address: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask the provider, and read the JSON object it answers with."""
    request = urllib.request.Request(address, body, headers or {})  # noqa: S310  (checked: _require_safe)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=WAIT_S) as answer:
            found = json.loads(answer.read(LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        raise RefusedByProvider(f"the provider refuses: {error.code}", where=address) from error
    except (OSError, ValueError) as error:
        raise RefusedByProvider("the provider cannot be reached or understood", where=address) from error
    if not isinstance(found, dict):
        raise RefusedByProvider("the provider cannot be understood", where=address)
    return found


def _require_safe(address: str, where: str) -> None:
    parts = urlsplit(address)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise UsageError(f"address {address!r}", where=where, required="https, or http on loopback")


def _is_since(signed_in: Any, begun_s: float) -> bool:
    """Whether the provider says that somebody was asked after they were sent there."""
    return _is_number(signed_in) and begun_s - LEEWAY_S <= signed_in <= time.time() + LEEWAY_S


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
