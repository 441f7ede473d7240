"""Pages of the reading room, in the templates and the look of the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, PackageLoader
from markupsafe import Markup

from lutra import __version__
from lutra.core.decision import Decision
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.course_view import is_signed
from lutra.pipeline.response_lock import locks
from lutra.pipeline.results import slug
from lutra.pipeline.study import StudyFolder
from lutra.report.model import StudyView
from lutra.report.pages import environment
from lutra.store.accounts import Session
from lutra.web.access import RULES, SEES_DOSES

WAY_HOME = '<nav aria-label="Main"><a href="/">Home</a>'
IMAGES = '<a href="/images/{}">Images</a>'
PLACES = (
    ("/", "Home", "home"),
    ("/report/index.html", "Study", "report"),
    ("/report/analysis.html", "Analysis", "report"),
    ("/responses", "Responses", "responses"),
    ("/edits", "Edits", "edits"),
    ("/run", "Run", "run"),
    ("/audit", "Audit", "audit"),
    ("/accounts", "Accounts", "accounts"),
)


class Pages:
    """Renders pages of one study."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.through: str | None = None  # where people may sign in too
        self.assets = Path(str(files("lutra.report") / "assets"))
        self.own_assets = Path(str(files("lutra.web") / "assets"))
        protocol = StudyFolder(root).protocol
        self._env = environment(protocol.study.time_zone)
        self._env.loader = ChoiceLoader([PackageLoader("lutra.web"), PackageLoader("lutra.report")])
        self._name, self._title = protocol.study.name, protocol.study.title
        self._digest, self._zone = protocol.digest, protocol.study.time_zone

    def render(self, name: str, session: Session | None, **values: Any) -> str:
        """Render a page for a person."""
        study = StudyView(
            self._name,
            self._title,
            self._name,
            self._digest,
            self._zone,
            f"Lutra {__version__}",
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            (),
            (),
            simulated=False,
        )
        account = session.account if session else None
        places = [(href, words) for href, words, what in PLACES if account and account.may(*RULES[what])]
        shown = {"csrf": session.csrf if session else "", "account": account, "places": places, "session": session}
        shown |= {"through": self.through, **values}
        return self._env.get_template(name).render(study=study, root="/", why=Markup("{}"), **shown)

    def with_way_home(self, page: str, path: str) -> str:
        """Put a link to the reading room into a page of the report, and to the images of the subject it is about."""
        subjects = StudyFolder(self.root).ledger.subject_ids() if path.startswith("subjects/") else ()
        images = [IMAGES.format(quote(s)) for s in subjects if path == f"subjects/{slug(s)}.html"]
        return page.replace('<nav aria-label="Main">', "".join((WAY_HOME, *images)), 1)

    def home(self, study: StudyFolder, session: Session) -> Mapping[str, Any]:
        """Give what waits for somebody: decisions and their signatures, responses and their locks."""
        audit = study.ledger.audit_trail()
        locked = dict(locks(audit))
        doses = session.account.may(*SEES_DOSES)
        report = "report" if doses else "reading"
        conductor = Conductor(study.store, study.ledger)
        rows = []
        for record in study.records():
            subject = record.subject.subject_id
            made = [m for m in record.course.decisions if m]
            last: Decision | None = conductor.value(made[-1]) if made else None
            signed = last is not None and is_signed(last, audit)
            page = f"/{report}/subjects/{slug(subject)}.html"
            rows.append((subject, page, last if doses else None, signed, locked.get(subject), len(record.lesions)))
        return {"rows": rows, "doses": doses}
