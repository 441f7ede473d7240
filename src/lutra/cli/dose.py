"""Commands of dosimetry that need no study: what a decay does in a homogeneous medium."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutra.cli import show

app = typer.Typer(no_args_is_help=True, help="Absorbed dose without a study: spheres, voxel kernels, maps.")
MGY_PER_MBQ_S = 1e9
"""Gy/(Bq.s) as mGy/(MBq.s)."""

Nuclide = Annotated[str, typer.Option(help="Such as Lu-177, or “Ac-225 chain”.", show_default=False)]
MediumOption = Annotated[str, typer.Option(help="water, soft_tissue, adipose, lung, bone or air.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def sphere(
    nuclide: Nuclide,
    mass_g: Annotated[float, typer.Option(help="Mass. [g]", show_default=False)],
    density: Annotated[float | None, typer.Option(help="Density, default the material's own. [g/mL]")] = None,
    material: MediumOption = "water",
    json: Json = False,
) -> None:
    """Mean dose of a uniform sphere to itself per decay, in an endless medium of its own kind."""
    from lutra.physics.homogeneous_dose import sphere_s
    from lutra.physics.materials import material as known
    from lutra.physics.point_kernel import point_kernel

    with show.reported():
        density = known(material).density_g_per_ml if density is None else density
        s = sphere_s(point_kernel(nuclide, material), mass_g, density)
    values = {
        "s_mgy_per_mbq_s": s.s_gy_per_bq_s * MGY_PER_MBQ_S,
        "electrons_mgy_per_mbq_s": s.electrons * MGY_PER_MBQ_S,
        "photons_mgy_per_mbq_s": s.photons * MGY_PER_MBQ_S,
    }
    if json:
        show.print_json(
            {"nuclide": nuclide, "mass_g": mass_g, "density_g_per_ml": density, "material": material, **values}
        )
    else:
        show.out.print(
            f"S = {values['s_mgy_per_mbq_s']:.5g} mGy/(MBq s): electrons {values['electrons_mgy_per_mbq_s']:.5g}, "
            f"photons {values['photons_mgy_per_mbq_s']:.4g}"
        )


@app.command()
def kernel(
    nuclide: Nuclide,
    voxel_mm: Annotated[tuple[float, float, float], typer.Option(help="Edges along x, y, z. [mm]", show_default=False)],
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels along x, y, z; odd.", show_default=False)],
    out: Annotated[Path, typer.Option(help="NumPy archive (.npz) to write.", show_default=False)],
    density: Annotated[float | None, typer.Option(help="Density, default the material's own. [g/mL]")] = None,
    material: MediumOption = "soft_tissue",
    json: Json = False,
) -> None:
    """Write the dose per decay in voxels around one voxel of uniform activity, and print where the energy went."""
    import numpy as np

    from lutra.physics.homogeneous_dose import voxel_kernel
    from lutra.physics.materials import material as known
    from lutra.physics.point_kernel import point_kernel
    from lutra.reference.emissions import emission

    with show.reported():
        density = known(material).density_g_per_ml if density is None else density
        of_point, emitted = point_kernel(nuclide, material), emission(nuclide)
        electrons, photons = (
            voxel_kernel(kev, voxel_mm, density, size) for kev in (of_point.electron_kev, of_point.photon_kev)
        )
        audit = {
            "emitted_kev": emitted.electron_kev + emitted.photon_kev + emitted.alpha_kev,
            "electrons_in_kernel_kev": electrons.energy_kev,
            "electrons_beyond_kev": float(of_point.electron_kev.sum()) - electrons.energy_kev,
            "photons_in_kernel_kev": photons.energy_kev,
            "photons_beyond_kev": of_point.emitted_photon_kev - photons.energy_kev,
        }
        audit["unaccounted_kev"] = audit["emitted_kev"] - sum(list(audit.values())[1:])
        np.savez_compressed(
            out,
            mgy_per_mbq_s=(electrons.gy_per_bq_s + photons.gy_per_bq_s) * MGY_PER_MBQ_S,
            electrons_mgy_per_mbq_s=electrons.gy_per_bq_s * MGY_PER_MBQ_S,
            photons_mgy_per_mbq_s=photons.gy_per_bq_s * MGY_PER_MBQ_S,
            voxel_mm=np.array(voxel_mm),
            density_g_per_ml=density,
            material=material,
            nuclide=nuclide,
        )
    if json:
        show.print_json({"out": str(out), "energy_audit": audit})
    else:
        for name, kev in audit.items():
            show.out.print(f"{name.removesuffix('_kev').replace('_', ' ')}: {kev:.5g} keV per decay")
        show.out.print(str(out))


@app.command("map")
def map_(
    tia: Annotated[
        Path, typer.Option(help="NIfTI: time-integrated activity of each voxel. [MBq s]", show_default=False)
    ],
    nuclide: Nuclide,
    out: Annotated[Path, typer.Option(help="NIfTI to write: absorbed dose. [mGy]", show_default=False)],
    ct: Annotated[Path | None, typer.Option(help="NIfTI on the same grid: CT. [HU]")] = None,
    *,
    density: Annotated[
        Path | None, typer.Option(help="NIfTI on the same grid: density, in place of a CT. [g/mL]")
    ] = None,
    engine: Annotated[str, typer.Option(help="hybrid, fft, full-mc or local.")] = "hybrid",
    histories: Annotated[
        int, typer.Option(min=1000, help="Photons (and electrons) followed by hybrid and full-mc.")
    ] = 2_000_000,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 1,
    sigma: Annotated[
        bool, typer.Option("--sigma", help="Write the standard error beside it, as OUT with -sigma.")
    ] = False,
    json: Json = False,
) -> None:
    """Absorbed dose of a map of decays in a body given as CT or density."""
    import numpy as np
    from attrs import evolve

    from lutra.core.errors import UsageError
    from lutra.core.units import Unit
    from lutra.export import write_nifti
    from lutra.ingest import read_nifti
    from lutra.physics.voxel_dose import body_of_ct, body_of_density, voxel_dose

    with show.reported():
        if (ct is None) == (density is None):
            raise UsageError("the body is not given, or twice", required="either --ct or --density")
        decays = read_nifti(tia, Unit.BQ_S)
        tissue = read_nifti(ct, Unit.HU) if ct else read_nifti(density or Path(), Unit.G_PER_ML)
        decays.grid.require_match(tissue.grid, "body and time-integrated activity")
        body = (body_of_ct if ct else body_of_density)(tissue.values, decays.grid.spacing_mm)
        dose = voxel_dose(engine, decays.values.astype(np.float64) * 1e6, body, nuclide, histories, seed)
        what = f"absorbed dose [mGy] {nuclide} {engine}"
        mgy = evolve(decays, values=dose.gy * 1e3, unit=Unit.GY)
        write_nifti(out, mgy, description=what)
        written = {"out": str(out)}
        if sigma and dose.sd_gy is not None:
            name = out.name.removesuffix(".gz").removesuffix(".nii")
            beside = out.with_name(f"{name}-sigma{out.name.removeprefix(name)}")
            write_nifti(beside, evolve(mgy, values=dose.sd_gy * 1e3), description=f"standard error of {what}")
            written["sigma"] = str(beside)
    audit = dict(dose.audit_kev)
    if json:
        show.print_json({**written, "energy_audit_kev": audit, "emitted_kev": sum(audit.values())})
    else:
        for name, kev in audit.items():
            show.out.print(f"{name}: {kev:.5g} keV per decay")
        show.out.print("\n".join(written.values()))


@app.command()
def marrow(
    nuclide: Annotated[str, typer.Option(help="Such as Lu-177.")] = "Lu-177",
    blood: Annotated[
        Path | None, typer.Option(help="Table as of `lutra fit`, one curve, in MBq per mL of blood.")
    ] = None,
    body: Annotated[
        tuple[float, float] | None, typer.Option(help="Time-integrated activity of the body [MBq h] and its mass [kg].")
    ] = None,
    image: Annotated[
        tuple[float, float] | None, typer.Option(help="Dose of a region in L2 to L4, and its part by photons. [Gy]")
    ] = None,
    *,
    rmblr: Annotated[float, typer.Option(help="Concentration in marrow over that in blood.")] = 1.0,
    recovery: Annotated[float, typer.Option(help="Recovery of the region, if it is not corrected.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the draws behind the interval.")] = 20130518,
    json: Json = False,
) -> None:
    """Dose of red marrow by blood and by image, each with what the body sends; advisory, blood counts decide."""
    from lutra.dose.marrow import MarrowSettings
    from lutra.pipeline.marrow_table import marrow_of_tables, rows

    with show.reported():
        settings = MarrowSettings(rmblr=rmblr, image_recovery=recovery)
        outcome = marrow_of_tables(nuclide, settings, seed, blood, body, image)
    found = [] if outcome.value is None else rows(outcome.value)
    if json:
        ratio = None if outcome.value is None else outcome.value.ratio
        show.print_json({"methods": found, "ratio": ratio, "findings": show.finding_json(outcome.findings)})
    else:
        table = show.table("method", "own, Gy", "from elsewhere, Gy", "total, Gy", "not evaluated")
        for row in found:
            cross = "not known" if row["cross_gy"] is None else f"{row['cross_gy']:.3g}"
            doubt = str(row["not_evaluated"])
            table.add_row(str(row["method"]), f"{row['own_gy']:.3g}", cross, f"{row['total_gy']:.3g}", doubt)
        show.out.print(table)
        show.print_findings(outcome.findings)
    raise typer.Exit(show.exit_code(outcome.findings))
