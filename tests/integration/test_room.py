"""The reading room in a browser, on a simulated patient: from signing in to a drawn region, a run, and a signed decision.

What is asked is what somebody sees: an overlay can be loaded, counted and invisible.
"""

from __future__ import annotations

import io
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs import define, field
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("uvicorn")
import uvicorn

from lutra.pipeline.clinical import import_tables
from lutra.pipeline.course_view import signatures
from lutra.pipeline.edits import edits_of
from lutra.pipeline.image_view import SubjectImages
from lutra.pipeline.report import write_study_report
from lutra.pipeline.study import StudyFolder
from lutra.store.accounts import Accounts, RoleOf
from lutra.web import create_app

SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PASSWORD = "otters-hold-hands-asleep"  # noqa: S105  (of nobody)
SUBJECT = "SIM-001"
NEW = "lesion 77 retroperitoneum"
Picture = npt.NDArray[np.int16]


@define
class Room:
    """A browser in the reading room, and everything it complained of."""

    page: Any
    url: str
    errors: list[str] = field(factory=list)

    def enter(self, role: str) -> None:
        self.page.goto(f"{self.url}/sign-in")
        self.page.fill("[name=name]", f"the-{role}")
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_url(f"{self.url}/")

    def image(self, name: str) -> float:
        """Open an image; give the time from the request until it can be used. [s]"""
        self.page.goto(f"{self.url}/images/{SUBJECT}/{name}")
        return self.ready()

    def ready(self) -> float:
        self.page.wait_for_selector("[data-state=ready]", timeout=60_000)
        ready_ms: float = self.page.evaluate("performance.getEntriesByName('image-ready')[0].startTime")
        self.page.wait_for_timeout(400)
        return ready_ms / 1000

    def look(self, what: str = ".glass") -> Picture:
        """What is on the screen. (row, column, 3)"""
        self.page.wait_for_timeout(500)
        shown = Image.open(io.BytesIO(self.page.locator(what).screenshot())).convert("RGB")
        return np.asarray(shown).astype(np.int16)

    def send(self, form: str, reason: str, **fields: str) -> None:
        """Fill a form of the image page and send it; the page comes anew."""
        for name, value in fields.items():
            self.page.fill(f"{form} [name={name}]", value)
        self.page.fill(f"{form} [name=reason]", reason)
        with self.page.expect_navigation():
            self.page.click(f"{form} .primary")
        self.ready()


def changed(one: Picture, other: Picture) -> npt.NDArray[np.bool_]:
    return np.abs(one - other).max(axis=-1) > 30


def red(picture: Picture) -> int:
    """Pixels under a drawing."""
    return int((picture[..., 0] - picture[..., 1:].max(axis=-1) > 60).sum())


def signed(study: StudyFolder, subject: str) -> list[tuple[int, str, str]]:
    """Cycle, answer and person of every signature."""
    return [(c, s.verdict.value, s.by) for c, s, _ in signatures(study.ledger.audit_trail(), subject)]


def like(picture: Picture, red: int, green: int, blue: int) -> int:
    """Pixels of about a colour."""
    return int((np.abs(picture - [red, green, blue]).max(axis=-1) < 45).sum())


@pytest.fixture(scope="module")
def chromium() -> str:
    """Path of a browser."""
    pytest.importorskip("playwright.sync_api", reason="a browser is steered by playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium (Debian: chromium)")
    return path


@pytest.fixture(scope="module")
def root(chromium: str, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert chromium
    study = StudyFolder.create(tmp_path_factory.mktemp("room") / "study", "demo")
    for file in sorted((simulated.parent / "calibration").glob("*.toml")):
        shutil.copy(file, study.root / "calibration" / file.name)
    study.add([simulated / SUBJECT])
    import_tables(study, simulated.parent / "tables")
    study.run()
    write_study_report(study)
    write_study_report(study, for_reader=True)
    accounts = Accounts(study.root / "accounts.db")
    for role in RoleOf:
        accounts.add(f"the-{role}", [role], PASSWORD)
    return study.root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = uvicorn.Server(uvicorn.Config(create_app(root), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not serving.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    serving.should_exit = True
    thread.join(10)


@pytest.fixture
def room(chromium: str, server: str) -> Iterator[Room]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=SOFTWARE)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        made = Room(page, server)
        page.on("console", lambda m: made.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: made.errors.append(str(e)))
        page.on("response", lambda r: made.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("request", lambda r: None if r.url.startswith((server, "data:")) else made.errors.append(r.url))
        yield made
        browser.close()
    assert made.errors == [], "nothing on the console, nothing refused, nothing asked of another server"


@pytest.fixture
def images(root: Path) -> Callable[[], SubjectImages]:
    return lambda: SubjectImages(StudyFolder(root), SUBJECT)


def of_role(images: SubjectImages, role: str) -> str:
    return next(i.name for i in images.all if i.role.value == role)


def test_overlays_contours_and_projections_are_on_the_screen(room: Room, images: Callable[[], SubjectImages]) -> None:
    room.enter("physicist")
    spect = of_role(images(), "therapy-spect")
    room.image(spect)
    page = room.page

    with_contours = room.look()
    page.click("[data-regions=off]")
    bare = room.look()
    contours = changed(with_contours, bare)
    assert 200 < contours.sum() < 0.2 * contours.size
    assert like(with_contours, 79, 227, 245) > 50 > like(bare, 79, 227, 245), "lesions in the colour of contours"
    page.click("[data-regions=fill]")
    assert changed(room.look(), bare).sum() > 1.5 * contours.sum()
    page.click("[data-regions=off]")

    page.locator("#opacity").fill("0")
    anatomy = room.look()
    assert np.abs(np.diff(anatomy, axis=-1)).max() < 30, "a CT alone is grey"
    fused = changed(bare, anatomy)
    hot = bare[fused]
    assert len(hot) > 300
    assert (hot[:, 0] >= hot[:, 2]).mean() > 0.95, "a SPECT over it is hot: red before blue"

    front = room.look("#strip")
    assert (front.mean(axis=-1) < 100).sum() > 50, "uptake is dark in the projection"
    assert (front.mean(axis=-1) > 200).mean() > 0.3
    page.locator("#angle").fill("6")
    assert changed(front, room.look("#strip")).sum() > 200, "from the left it looks otherwise"

    low, high = (page.locator(f"[data-window=below][data-end={end}]") for end in ("low", "high"))
    low.fill("-1000")
    low.press("Enter")
    high.fill("3000")
    high.press("Enter")
    assert changed(anatomy, room.look()).mean() > 0.1


def draw_a_square(room: Room, x: float, y: float) -> None:
    """Encircle 80 x 80 pixels of the axial slice, erase in it and take that back; it can be seen all the while."""
    page = room.page
    before = room.look()
    page.keyboard.press("d")
    page.check("#filled")
    page.mouse.move(x - 40, y - 40)
    page.mouse.down()
    for to_x, to_y in ((40, -40), (40, 40), (-40, 40), (-40, -40)):
        page.mouse.move(x + to_x, y + to_y, steps=8)
    page.mouse.up()
    drawn = room.look()
    middle = tuple(n // 2 for n in drawn.shape[:2])
    square = changed(drawn, before)[middle[0] - 30 : middle[0] + 30, middle[1] - 30 : middle[1] + 30]
    assert square.mean() > 0.9, "the drawing covers what was encircled"
    whole = red(drawn)
    page.keyboard.press("e")
    page.mouse.move(x - 20, y - 10)
    page.mouse.down()
    page.mouse.move(x + 20, y - 10, steps=8)
    page.mouse.up()
    assert red(room.look()) < 0.95 * whole, "the eraser takes away"
    page.click("#undo")
    assert red(room.look()) == pytest.approx(whole, rel=0.03), "and what it took comes back"


def measure(room: Room, x: float, y: float) -> None:
    """Click a line of 100 pixels and one of 50 square to it."""
    page = room.page
    page.keyboard.press("m")
    bare = room.look()
    for dx, dy in ((-50, 0), (50, 0), (0, -25), (0, 25)):
        page.mouse.click(x + dx, y + dy)
        page.wait_for_timeout(300)
    assert like(room.look(), 255, 95, 162) > 100 > like(bare, 255, 95, 162), "the lines are on the screen"
    assert "mm ×" in page.text_content("#measured")
    page.select_option("form[data-for=measure] [name=lesion]", "L01")


def test_a_region_and_a_line_are_drawn_run_and_the_decision_is_signed(
    room: Room, root: Path, images: Callable[[], SubjectImages]
) -> None:
    room.enter("physicist")
    page = room.page
    page.click("main table a:text-is('images')")
    page.click("main table a >> nth=0")
    room.ready()
    ct = page.url.rsplit("/", 1)[-1]
    assert ct == of_role(images(), "ct")
    box = page.locator("#gl").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.keyboard.press("2")
    draw_a_square(room, x, y)
    room.send("form[data-for=draw]", "seen in the arterial phase", name=NEW)
    page.keyboard.press("2")
    measure(room, x, y)
    room.send("form[data-for=measure]", "edge unclear")

    study = StudyFolder(root)
    region, line = (study.store.get(e.value) for e in edits_of(study))
    assert [(e.kind.value, e.by) for e in edits_of(study)] == [(k, "the-physicist") for k in ("region", "diameter")]
    assert line.long_mm == pytest.approx(2 * line.short_mm, rel=0.05)
    across_mm = [n * mm for n, mm in zip(region.fraction.shape, region.grid.spacing_mm, strict=True)][:2]
    voxel_mm = region.grid.spacing_mm
    assert across_mm == pytest.approx([0.8 * line.long_mm] * 2, abs=voxel_mm[0]), "80 pixels, by the line of 100"
    np.testing.assert_allclose(region.centroid_lps_mm, line.long_ends_lps_mm.mean(axis=0), atol=voxel_mm[2])

    assert "2 changes since the last run" in page.text_content("aside.regions-right")
    with page.expect_navigation(timeout=240_000):
        page.click("#run .btn")
    room.ready()
    text = page.text_content("aside.regions-right")
    assert "since the last run" not in text
    assert f"{line.long_mm:.0f} × {line.short_mm:.0f} mm" in text
    view = {r.name: r for r in images().regions(images().image(ct))}[NEW]
    assert view.volume_ml == pytest.approx(region.volume_ml, rel=1e-6)
    assert view.lesion_id not in ("", "L01")
    page.click(f"[data-region='{view.number}']")
    assert like(room.look(), 255, 95, 162) > 100, "it is outlined in the colour of what is chosen"

    page.click("form.who button")
    room.enter("physician")
    page.click("main table a[href^='/decisions/']")
    page.click("[name=verdict][value=DELAY]")
    page.fill("[name=reason]", "a new lesion was drawn today")
    page.fill("form.sign [name=password]", PASSWORD)
    page.click("form.sign .btn")
    page.wait_for_selector("text=the-physician, >> visible=true")
    subject = study.records()[0].subject.subject_id
    assert [(v, by) for _, v, by in signed(study, subject)] == [("DELAY", "the-physician")]


def test_a_lesion_is_grown_from_a_point_and_shown_before_it_is_set(
    room: Room, root: Path, images: Callable[[], SubjectImages]
) -> None:
    room.enter("physicist")
    page, pet = room.page, of_role(images(), "sstr-pet")
    room.image(pet)
    number = next(r.number for r in images().regions(images().image(pet)) if r.lesion_id == "L02")
    page.click(f"[data-region='{number}']")
    page.click("[data-tool=grow]")
    page.click("[data-regions=off]")
    before = red(room.look())
    page.click("#grow .btn")
    page.wait_for_selector("#grown:has-text('mL')")
    assert red(room.look()) > before + 50, "what was found is on the screen"
    said_ml = float(page.text_content("#grown").split(" mL")[0])
    count = len(edits_of(StudyFolder(root)))
    room.send("form[data-for=draw]", "by threshold", name="lesion 2 by threshold")
    made = edits_of(StudyFolder(root))
    assert len(made) == count + 1
    region = StudyFolder(root).store.get(made[-1].value)
    assert region.volume_ml == pytest.approx(said_ml, rel=0.01)
    assert region.delineation.startswith("threshold: ")


def test_a_reader_is_not_shown_what_belongs_to_therapy(room: Room, images: Callable[[], SubjectImages]) -> None:
    room.enter("reader")
    page = room.page
    page.goto(f"{room.url}/images/{SUBJECT}")
    linked = page.eval_on_selector_all("main table a", "links => links.map(a => a.textContent)")
    assert linked == [i.label for i in images().all if i.open_to_readers]
    hidden = [i for i in images().all if not i.open_to_readers]
    assert {"therapy-spect", "ct"} <= {i.role.value for i in hidden}, "and the CT beside a SPECT"
    for i in hidden:
        for what in ("", "/volume.nii.gz", "/projections.png", "/regions.nii.gz"):
            assert page.request.get(f"{room.url}/images/{SUBJECT}/{i.name}{what}").status == 403
    open_ct = next(i for i in images().all if i.open_to_readers and i.role.value == "ct")
    room.image(open_ct.name)
    assert not any(i.label in page.text_content("main") for i in hidden)
