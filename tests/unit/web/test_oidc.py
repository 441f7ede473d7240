"""Signing in at a provider: a small one on loopback, which can be told to lie in every way the standard warns of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define, field
from starlette.testclient import TestClient

pytest.importorskip("joserfc")
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from lutra.core.errors import UsageError
from lutra.pipeline.study import StudyFolder
from lutra.store.accounts import Accounts
from lutra.web import create_app
from lutra.web.access import COOKIE
from lutra.web.oidc import OidcSettings, Provider, read_settings

from .conftest import PASSWORD, token_of

SECRET = "between: the two/of us"  # noqa: S105  (of nobody)
LABS = "record_id,redcap_event_name,lab_date,lab_test,lab_value,lab_unit\nS1,baseline,2026-01-05,platelets,150,10*9/L\n"


@define
class Fake:
    """A provider that says what it is told to say."""

    key: Any = field(factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "first"}))
    issuer: str = ""
    codes: dict[str, dict[str, str]] = field(factory=dict)
    lies: dict[str, Any] = field(factory=dict)
    alg: str = "RS256"
    signs_with: Any = None
    asked: list[str] = field(factory=list)

    def metadata(self) -> dict[str, Any]:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{end}" for name, end in ends.items()}}

    def sign_in(self, address: str, name: str) -> dict[str, str]:
        """Be the page where somebody signs in: give what the browser takes back to the room."""
        asked = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**asked, "name": name}
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        asked = self.codes.pop(form.get("code", ""), None)
        pair = base64.b64encode(b"lutra:between%3A%20the%20two%2Fof%20us").decode()
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or authorization != f"Basic {pair}"
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "lutra", "sub": "u1", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
                  "preferred_username": asked["name"], **self.lies}  # fmt: skip
        if asked.get("prompt") == "login":
            claims = {"auth_time": now, **claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.alg in ("none", "HS256"):  # by hand: the library makes neither with the key of a provider
            head = {"alg": self.alg, "kid": self.key.kid}
            signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
            digest = (
                hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256") if self.alg == "HS256" else b""
            )
            return {"id_token": f"{signed}.{_base64(digest)}"}
        key = self.signs_with or self.key
        registry = JWSRegistry(algorithms=[self.alg])
        return {"id_token": jwt.encode({"alg": self.alg, "kid": key.kid}, claims, key, registry=registry)}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def fake() -> Iterator[Fake]:
    provider = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            keys = {"keys": [provider.key.as_dict(private=False)]}
            known = {"/.well-known/openid-configuration": provider.metadata(), "/keys": keys}
            self._say(known.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(provider.token(form, self.headers.get("authorization", "")))

        def _say(self, said: dict[str, Any] | None) -> None:
            self.send_response(200 if said else 400)
            self.end_headers()
            self.wfile.write(json.dumps(said or {}).encode())

        def log_message(self, *_: Any) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    server.server_close()


@pytest.fixture
def room(root: Path, fake: Fake) -> TestClient:
    (root / "clinical" / "labs.csv").write_text(LABS)
    Accounts(root / "accounts.db").add("anna", ["physician"], None)
    settings = OidcSettings(fake.issuer, "lutra", "http://room.test", SECRET)
    return TestClient(
        create_app(root, provider=Provider(settings)), base_url="http://room.test", follow_redirects=False
    )


def _enter(room: TestClient, fake: Fake, name: str = "anna", then: str = "/") -> Any:
    sent = room.get("/sign-in/provider", params={"then": then})
    assert sent.status_code == 303
    return room.get("/sign-in/provider/back", params=fake.sign_in(sent.headers["location"], name))


def _nobody_is_in(room: TestClient) -> bool:
    return room.get("/").status_code == 303


def test_somebody_with_an_account_comes_in(room: TestClient, fake: Fake, root: Path) -> None:
    assert "Sign in at 127.0.0.1" in room.get("/sign-in").text
    answer = _enter(room, fake, then="/responses")
    assert answer.status_code == 200  # a page: after a redirect from elsewhere the strict cookie would not be sent
    assert 'url=/responses"' in answer.text
    cookies = answer.headers["set-cookie"]
    assert "SameSite=strict" in cookies
    assert "anna, physician" in room.get("/").text
    (entry,) = [e for e in StudyFolder(root).ledger.audit_trail() if e["action"] == "signed in"]
    assert entry["detail"] == {"by": "anna", "through": fake.issuer}


def test_nobody_gets_an_account_by_signing_in(room: TestClient, fake: Fake, root: Path) -> None:
    answer = _enter(room, fake, "stranger")
    assert answer.status_code == 403
    assert "no account here for you" in answer.text
    assert "stranger" not in {a.name for a in Accounts(root / "accounts.db").all()}
    Accounts(root / "accounts.db").change("anna", disabled=True)
    assert _enter(room, fake).status_code == 403
    assert _nobody_is_in(room)


NOW = time.time()
LIES = {
    "another sign-in": {"nonce": "other"},
    "no nonce": {"nonce": None},
    "another client": {"aud": "other"},
    "several clients": {"aud": ["lutra", "other"]},
    "given to another client": {"aud": ["lutra", "other"], "azp": "other"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "http://127.0.0.1:1"},
    "expired": {"exp": NOW - 3600},
    "no end": {"exp": None},
    "an end in words": {"exp": "2099"},
    "from the future": {"iat": NOW + 3600},
    "not yet": {"nbf": NOW + 3600},
    "nobody": {"sub": None},
    "no name": {"preferred_username": None},
    "a list of names": {"preferred_username": ["anna"]},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_does_not_hold_is_refused(room: TestClient, fake: Fake, lie: str) -> None:
    fake.lies = LIES[lie]
    assert _enter(room, fake).status_code == 400
    assert _nobody_is_in(room)
    fake.lies = {}
    assert _enter(room, fake).status_code == 200


def test_a_token_without_a_signature_of_the_provider_is_refused(room: TestClient, fake: Fake) -> None:
    forgeries = [
        ("none", None),
        ("HS256", None),  # the public key taken for a shared one
        ("RS256", jwk.RSAKey.generate_key(2048, {"kid": "first"})),
        ("RS256", jwk.RSAKey.generate_key(2048, {"kid": "unknown"})),
    ]
    for alg, key in forgeries:
        fake.alg, fake.signs_with = alg, key
        answer = _enter(room, fake)
        assert answer.status_code == 400, alg
        assert "not signed by the provider" in answer.text
        assert _nobody_is_in(room)


def test_a_new_key_of_the_provider_is_looked_for(room: TestClient, fake: Fake) -> None:
    assert _enter(room, fake).status_code == 200
    fake.key = jwk.ECKey.generate_key("P-256", {"kid": "second"})
    fake.alg = "ES256"
    assert _enter(room, fake).status_code == 400  # asked a moment ago
    provider = next(c.cell_contents for r in room.app.routes if getattr(r, "path", "") == "/sign-in/provider"  # type: ignore[attr-defined]
                    for c in r.endpoint.__closure__ if isinstance(c.cell_contents, Provider))  # fmt: skip
    provider._keys_at_s = float("-inf")
    assert _enter(room, fake).status_code == 200
    assert fake.asked.count("/keys") == 2


def test_an_answer_counts_once_and_in_its_browser(room: TestClient, fake: Fake) -> None:
    sent = room.get("/sign-in/provider")
    answer = fake.sign_in(sent.headers["location"], "anna")
    other = TestClient(room.app, base_url="http://room.test", follow_redirects=False)
    assert other.get("/sign-in/provider/back", params=answer).status_code == 400  # a victim's browser
    assert room.get("/sign-in/provider/back", params=answer).status_code == 400  # and it is used up
    assert _enter(room, fake).status_code == 200
    assert room.get("/sign-in/provider/back", params={**answer, "state": "made up"}).status_code == 400
    assert room.get("/sign-in/provider/back").status_code == 400


def test_many_may_be_at_the_provider_at_once(room: TestClient, fake: Fake) -> None:
    sent = room.get("/sign-in/provider")
    crowd = TestClient(room.app, base_url="http://room.test", follow_redirects=False)
    for _ in range(600):
        crowd.get("/sign-in/provider")
    assert room.get("/sign-in/provider/back", params=fake.sign_in(sent.headers["location"], "anna")).status_code == 200


def test_an_answer_of_another_provider_is_refused(room: TestClient, fake: Fake) -> None:
    answer = fake.sign_in(room.get("/sign-in/provider").headers["location"], "anna")
    assert room.get("/sign-in/provider/back", params={**answer, "iss": "https://other.test"}).status_code == 400
    sent = room.get("/sign-in/provider").headers["location"]
    state = parse_qs(urlsplit(sent).query)["state"][0]
    said = room.get("/sign-in/provider/back", params={"state": state, "error": "access_denied<script>"})
    assert said.status_code == 400
    assert "access_denied&lt;script&gt;" in said.text


@pytest.mark.parametrize(
    "then", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "", "/\r\nx"]
)
def test_nobody_is_sent_elsewhere(room: TestClient, then: str) -> None:
    assert room.get("/sign-in/provider", params={"then": then}).status_code == 404


def _form(room: TestClient) -> dict[str, str]:
    page = room.get("/decisions/S1/1").text
    digest, seen = (page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("decision", "seen"))
    return {
        "csrf": token_of(page),
        "decision": digest,
        "seen": seen,
        "verdict": "DELAY",
        "reason": "away",
        "password": PASSWORD,
    }


def test_a_signature_is_confirmed_at_the_provider_and_once(room: TestClient, fake: Fake, root: Path) -> None:
    _enter(room, fake)
    assert (
        room.post("/decisions/S1/1", data=_form(room)).status_code == 403
    )  # nothing confirmed, and there is no password
    before = room.cookies[COOKIE]
    sent = room.get("/sign-in/provider", params={"then": "/decisions/S1/1"}).headers["location"]
    asked = parse_qs(urlsplit(sent).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    room.cookies.delete(COOKIE)  # a strict cookie does not come along from the provider's page
    assert room.get("/sign-in/provider/back", params=fake.sign_in(sent, "anna")).status_code == 200
    old = TestClient(room.app, base_url="http://room.test", follow_redirects=False, cookies={COOKIE: before})
    assert _nobody_is_in(old)
    assert "You confirmed that it is you" in room.get("/decisions/S1/1").text
    assert room.post("/decisions/S1/1", data=_form(room)).status_code == 303
    assert room.post("/decisions/S1/1", data=_form(room)).status_code == 403
    trail = [e["action"] for e in StudyFolder(root).ledger.audit_trail()]
    assert trail.count("decision signed") == 1
    assert trail.count("confirmed at the provider") == 1


@pytest.mark.parametrize(
    "lie", [{"auth_time": None}, {"auth_time": NOW - 3600}, {"auth_time": "now"}, {"auth_time": True}]
)
def test_a_provider_that_did_not_ask_again_confirms_nothing(room: TestClient, fake: Fake, lie: dict[str, Any]) -> None:
    _enter(room, fake)
    fake.lies = lie
    assert _enter(room, fake).status_code == 400
    assert "Confirm that it is you" in room.get("/decisions/S1/1").text


def test_another_person_cannot_confirm(room: TestClient, fake: Fake) -> None:
    _enter(room, fake)
    assert _enter(room, fake, "the-physician").status_code == 403
    assert "Confirm that it is you" in room.get("/decisions/S1/1").text


def test_a_password_is_no_way_into_an_account_without_one(room: TestClient) -> None:
    for password in ("", "none", PASSWORD):
        token = token_of(room.get("/sign-in").text)
        assert room.post("/sign-in", data={"name": "anna", "password": password, "csrf": token}).status_code == 401


def test_settings_are_read_and_must_be_safe(tmp_path: Path) -> None:
    file = tmp_path / "oidc.toml"
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    good = 'issuer = "https://login.test/x"\nclient_id = "lutra"\nroom = "https://room.test"\n'
    file.write_text(good + 'client_secret_file = "secret"\nclaim = "email"\n')
    settings = read_settings(file)
    assert (settings.client_secret, settings.claim) == (SECRET, "email")
    assert settings.callback == "https://room.test/sign-in/provider/back"
    assert SECRET not in repr(settings)
    for bad, word in (
        (good.replace("https://login", "http://login"), "https"),
        (good + 'colour = "red"\n', "colour"),
        (good.replace('client_id = "lutra"\n', ""), "client_id"),
        (good + 'client_secret_file = "nowhere"\n', "client secret"),
        ("issuer", "settings of a provider"),
    ):
        file.write_text(bad)
        with pytest.raises(UsageError, match=word):
            read_settings(file)


def test_mail_counts_only_if_the_provider_has_verified_it(root: Path, fake: Fake) -> None:
    Accounts(root / "accounts.db").add("anna@room.test", ["physician"], None)
    provider = Provider(OidcSettings(fake.issuer, "lutra", "http://room.test", SECRET, "email"))
    room = TestClient(create_app(root, provider=provider), base_url="http://room.test", follow_redirects=False)
    fake.lies = {"email": "anna@room.test"}
    assert _enter(room, fake).status_code == 400
    fake.lies["email_verified"] = True
    assert _enter(room, fake).status_code == 200
