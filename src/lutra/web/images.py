"""Images of a subject: what there is, each on a page of its own, its voxels, its regions, its projections."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from attrs import evolve, frozen
from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lutra.core.errors import OutsideValidity, UsageError
from lutra.core.region import Region
from lutra.core.study import Role
from lutra.export import gzipped_nifti
from lutra.imaging.colour import Scale
from lutra.imaging.projection import turning_png
from lutra.pipeline.edits import edits_of, state_of
from lutra.pipeline.image_view import ImageView, RegionView, SubjectImages
from lutra.segment import shown_mask
from lutra.store.accounts import Session
from lutra.web.access import RULES, SEES_DOSES, allowed
from lutra.web.answers import FormData, page, study_of
from lutra.web.image_edits import grown_from, make

SEGMENTATIONS = ("segment.", "response.")
"""Stages whose Findings on a region a reader of response may see."""
ANGLES = 24
PROJECTIONS_KEPT = 32
NIFTI = "application/gzip"
UNITS = {
    Role.CT: ("HU", 1.0),
    Role.THERAPY_SPECT: ("kBq/mL", 1e-3),
    Role.FDG_PET: ("SUV", 1.0),
    Role.SSTR_PET: ("SUV", 1.0),
    Role.OTHER_PET: ("SUV", 1.0),
    Role.ADC: ("10⁻³ mm²/s", 1e3),
    Role.DWI: ("10⁻³ mm²/s", 1e3),
    Role.OTHER_MR: ("", 1.0),
}
"""Unit a value is shown in, and the factor from the inside unit to it."""
LAST_EDITS = 5
HIDDEN = "hidden from response readers"

Viewer = Annotated[Session, Depends(allowed("images"))]


@frozen
class _SeenBy:
    """What a person may see of a subject's images."""

    images: SubjectImages
    everything: bool

    @property
    def open(self) -> tuple[ImageView, ...]:
        return tuple(i for i in self.images.all if self.everything or i.open_to_readers)

    def image(self, name: str) -> ImageView:
        """Find an image.

        Raises
        ------
        HTTPException
            404 where this subject has none of this name, 403 where it is hidden from this person.
        """
        try:
            image = self.images.image(name)
        except UsageError as error:
            raise HTTPException(404, str(error)) from error
        if not self.everything and not image.open_to_readers:
            raise HTTPException(403, f"{image.label} is {HIDDEN}")
        return image


def add_images(app: FastAPI) -> None:
    """Add the routes."""
    for add in (_pages, _voxels, _projections, _thresholds, _edits):
        add(app)


def _seen(app: FastAPI, subject: str, session: Session) -> _SeenBy:
    """Open the images of a subject for a person.

    Raises
    ------
    HTTPException
        404
    """
    try:
        images = SubjectImages(study_of(app), subject)
    except UsageError as error:
        raise HTTPException(404, str(error)) from error
    return _SeenBy(images, session.account.may(*SEES_DOSES))


def _pages(app: FastAPI) -> None:
    @app.get("/images/{subject}")
    def listing(request: Request, subject: str, session: Viewer) -> Response:
        found = _seen(app, subject, session)
        shown = {i.name for i in found.open}
        return page(request, "images.html", subject=subject, images=found.images.all, shown=shown, hidden=HIDDEN)

    @app.get("/images/{subject}/{series}")
    def one(request: Request, subject: str, series: str, session: Viewer, over: str = "") -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        below = found.images.beneath(image)
        laid = found.image(over) if over else (image if below != image else None)
        others = [(i, how) for i, how in found.images.others(below) if i in found.open and i != image]
        how = found.images.transform(below, laid).method if laid else ""
        regions = _regions(found, image)
        edits = edits_of(found.images.study, subject)
        may_edit, may_run, sees_edits = (session.account.may(*RULES[what]) for what in ("edit images", "run", "edits"))
        facts = {
            "at": f"/images/{quote(subject)}/{image.name}",
            "below": _layer(found, below, below),
            "over": _layer(found, laid, below) if laid else None,
            "regions": [_facts(region) for region in regions],
            "angles": ANGLES,
        }
        return page(
            request,
            "image.html",
            subject=subject,
            image=image,
            below=below,
            laid=laid,
            others=others,
            how=how,
            regions=regions,
            lesions=found.images.there.lesions,
            facts=facts,
            last_edits=[(e, state_of(e, edits)) for e in edits[::-1][:LAST_EDITS]] if sees_edits else [],
            seen=edits[-1].number if edits else 0,
            pending=found.images.changed_since_run,
            may_edit=may_edit,
            may_run=may_run,
        )


def _voxels(app: FastAPI) -> None:
    @app.get("/images/{subject}/{series}/volume.nii.gz")
    def voxels(subject: str, series: str, session: Viewer, on: str = "") -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        volume = found.images.carried(found.image(on), image) if on else found.images.volume(image)
        chunks = gzipped_nifti(volume.values, volume.grid.affine_lps_mm, volume.unit.value)
        return StreamingResponse(chunks, media_type=NIFTI)

    @app.get("/images/{subject}/{series}/regions.nii.gz")
    def labels(subject: str, series: str, session: Viewer) -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        chunks = gzipped_nifti(found.images.labels(image), image.grid.affine_lps_mm, "regions")
        return StreamingResponse(chunks, media_type=NIFTI)

    @app.get("/images/{subject}/{series}/region.nii.gz")
    def mask(subject: str, series: str, session: Viewer, name: str = "", on: str = "") -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        try:
            region = found.images.region(image, name)
        except UsageError as error:
            raise HTTPException(404, str(error)) from error
        return _mask(region, found.image(on) if on else image)


def _projections(app: FastAPI) -> None:
    strips: OrderedDict[str, bytes] = OrderedDict()

    @app.get("/images/{subject}/{series}/projections.png")
    def projections(subject: str, series: str, session: Viewer) -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        key = image.image.reference
        if key not in strips:
            shown = found.images.shown(image)
            scale: Scale = "inverted" if image.role is Role.THERAPY_SPECT else shown.scale
            try:
                strips[key] = turning_png(found.images.volume(image), (shown.low, shown.high), scale, ANGLES)
            except OutsideValidity as error:
                raise HTTPException(404, str(error)) from error
            if len(strips) > PROJECTIONS_KEPT:
                strips.popitem(last=False)
        return Response(strips[key], media_type="image/png")


def _thresholds(app: FastAPI) -> None:
    @app.get("/images/{subject}/{series}/threshold.json")
    def threshold(request: Request, subject: str, series: str, session: Viewer) -> Mapping[str, Any]:
        found = _seen(app, subject, session)
        grown = grown_from(found.images, found.image(series), dict(request.query_params))
        says = [f.text for f in grown.findings]
        if grown.value is None:
            return {"found": False, "says": says}
        return {"found": True, "volume_ml": grown.value.volume_ml, "delineation": grown.value.delineation, "says": says}

    @app.get("/images/{subject}/{series}/threshold.nii.gz")
    def grown_mask(request: Request, subject: str, series: str, session: Viewer, on: str = "") -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        grown = grown_from(found.images, image, dict(request.query_params))
        if grown.value is None:
            raise HTTPException(404, "; ".join(f.text for f in grown.findings))
        return _mask(grown.value, found.image(on) if on else image)


def _edits(app: FastAPI) -> None:
    @app.post("/images/{subject}/{series}/edits")
    def edit(
        subject: str, series: str, form: FormData, session: Annotated[Session, Depends(allowed("edit images"))]
    ) -> Response:
        found = _seen(app, subject, session)
        image = found.image(series)
        make(found.images, image, form, session.account.name)
        over = f"?over={form['over']}" if found.images.known(form.get("over", "")) else ""
        return RedirectResponse(f"/images/{quote(subject)}/{image.name}{over}", 303)


def _mask(region: Region, on: ImageView) -> Response:
    """Answer with a region as whole voxels of an image in its frame."""
    if region.grid.frame_of_reference != on.grid.frame_of_reference:
        raise HTTPException(404, f"“{region.name}” is in another frame of reference than {on.label}")
    chunks = gzipped_nifti(shown_mask(region, on.grid).astype(np.uint8), on.grid.affine_lps_mm, region.name)
    return StreamingResponse(chunks, media_type=NIFTI)


def _layer(found: _SeenBy, image: ImageView, on: ImageView) -> Mapping[str, Any]:
    """Say where an image is to be had, and how it is shown."""
    shown, same = found.images.shown(image), image.name == on.name
    return {
        "name": image.name,
        "label": image.label,
        "url": f"/images/{quote(found.images.there.subject_id)}/{image.name}/volume.nii.gz"
        + ("" if same else f"?on={on.name}"),
        "low": shown.low,
        "high": shown.high,
        "scale": shown.scale,
        "unit": UNITS[image.role][0],
        "factor": UNITS[image.role][1],
    }


def _regions(found: _SeenBy, image: ImageView) -> tuple[RegionView, ...]:
    """Regions on an image; to a reader of response without doubts that speak of uptake."""
    regions = found.images.regions(image)
    if found.everything:
        return regions
    return tuple(evolve(r, findings=tuple(f for f in r.findings if f.code.startswith(SEGMENTATIONS))) for r in regions)


def _facts(region: RegionView) -> Mapping[str, Any]:
    lines = region.diameters
    return {
        "number": region.number,
        "name": region.name,
        "lesion": region.lesion_id,
        "kind": region.kind.value,
        "centre": region.centre_lps_mm,
        "lines": [line.tolist() for line in (lines.long_ends_lps_mm, lines.short_ends_lps_mm)] if lines else [],
    }
