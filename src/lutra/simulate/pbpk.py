r"""Whole-body kinetics of a receptor peptide: organs and single lesions, one structure for every nuclide.

Labelled and unlabelled peptide are injected together and behave alike, so the equations are solved once for the label
as a *fraction of the dose, without decay*; the peptide mass enters through the receptors it fills. Per region, with
vascular `v`, interstitial `x`, bound `B` and trapped `I` amounts, plasma `p`, and concentrations `C`:

.. math::
    V_v \dot C_v &= F (C_p - C_v) - PS\, f_u (C_v - C_x) \\
    V_x \dot C_x &= PS\, f_u (C_v - C_x) - k_{on} C_x (R - D B) + k_{off} B - (k_{trap} + k_{deg}) V_x C_x + f_{int} k_{rel} I \\
    \dot B &= k_{on} C_x (R - D B) - k_{off} B - k_{int} B \\
    \dot I &= k_{int} B + k_{trap} V_x C_x - k_{rel} I

with the receptors `R` and the peptide dose `D` in nmol; receptors recycle at once. The liver's inflow is its artery and what
leaves gut and spleen. Filtered peptide is partly reabsorbed by the tubules, which belong to the kidney; degraded peptide is a
metabolite that exchanges with the extracellular water and leaves by the urine.

All but :math:`C_x B` is linear: one matrix whose columns sum to zero, which is the conservation of the label, and which is the
Jacobian but for four diagonals. Time is in minutes, amounts are fractions of the dose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.integrate import solve_ivp

from lutra.core.errors import OutsideValidity, Undetermined
from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]

ORGANS = ("kidneys", "spleen", "liver", "gut", "endocrine", "marrow", "muscle", "fat", "rest")
KIDNEYS, SPLEEN, LIVER, GUT = range(4)
REST = ORGANS.index("rest")
END_MIN = 60e3
"""End of every solution: 1000 h, six half-lives of 177Lu and at least eight of release."""
RELATIVE, ABSOLUTE = 1e-6, 1e-10
"""Error allowed per step: of the value, and of the dose."""
MIN_CENTRAL_SHARE = 0.25
"""Least share of plasma left outside the organs, whatever they weigh."""


@frozen(eq=False)
class Parameters:
    """What the equations need of a patient at one visit; one entry per organ of `ORGANS`, then per lesion.

    Parameters
    ----------
    mass_kg, vascular_l, interstitial_l
        Mass and the two fluid volumes. (n,)
    flow_l_per_min, exchange_l_per_min
        Plasma flow, and permeability-surface product. (n,)
    receptor_nmol
        Receptors, free and filled. (n,)
    k_int_per_min, k_rel_per_min, k_trap_per_min
        Internalisation, release and non-specific trapping. (n,)
    plasma_l, haematocrit, unbound
        Plasma volume, red cells' share of blood, and share of peptide not bound to protein.
    gfr_l_per_min, reabsorbed
        Glomerular filtration, and share of filtered peptide kept by the tubules (amino acids included).
    """

    names: tuple[str, ...]
    mass_kg: Array = field(converter=float64)
    vascular_l: Array = field(converter=float64)
    interstitial_l: Array = field(converter=float64)
    flow_l_per_min: Array = field(converter=float64)
    exchange_l_per_min: Array = field(converter=float64)
    receptor_nmol: Array = field(converter=float64)
    k_int_per_min: Array = field(converter=float64)
    k_rel_per_min: Array = field(converter=float64)
    k_trap_per_min: Array = field(converter=float64)
    plasma_l: float
    haematocrit: float
    unbound: float
    k_on_l_per_nmol_min: float
    k_off_per_min: float
    k_deg_per_min: float
    intact_release: float
    k_slow_per_min: float
    k_slow_release_per_min: float
    gfr_l_per_min: float
    reabsorbed: float
    tubular_metabolite_return: float
    metabolite_clearance_l_per_min: float
    metabolite_exchange_l_per_min: float
    metabolite_volume_l: float
    metabolite_tissue_share: float

    @property
    def central_l(self) -> float:
        """Plasma outside the organs. [L]"""
        return float(max(self.plasma_l - self.vascular_l.sum(), MIN_CENTRAL_SHARE * self.plasma_l))


@frozen
class Places:
    """Where each amount stands in the state: plasma, four per region, metabolite in plasma and outside, urine, tubules, slow."""

    n: int

    @property
    def size(self) -> int:
        """Length of the state."""
        return 4 * self.n + 6

    def part(self, which: int) -> slice:
        """Places of all regions: 0 vascular, 1 interstitial, 2 bound, 3 trapped."""
        return slice(1 + which * self.n, 1 + (which + 1) * self.n)

    @property
    def metabolite(self) -> int:
        """Metabolite in plasma; outside it, urine, tubules and slowly bound peptide follow."""
        return 4 * self.n + 1


@frozen(eq=False)
class Solution:
    """Fractions of the dose over time, without decay.

    Parameters
    ----------
    times_min
        From the start of the infusion. [min] (t,)
    state, slope
        Amounts and their time derivatives. [1], [1/min] (states, t)
    """

    parameters: Parameters
    times_min: Array = field(converter=float64)
    state: Array = field(converter=float64)
    slope: Array = field(converter=float64)


def linear_part(p: Parameters) -> Array:
    """Matrix of the linear system, without infusion. [1/min] (states, states); every column sums to zero."""
    n = len(p.names)
    at = Places(n)
    plasma, met = 0, at.metabolite
    water, urine, tubules, slow = range(met + 1, met + 5)
    v, x, b, i = (np.arange(at.size)[at.part(k)] for k in range(4))
    m = np.zeros((at.size, at.size))

    def moves(source: Any, target: Any, rate: Any) -> None:
        """Let amounts go from one place to another at a rate per amount at the source."""
        np.add.at(m, (source, source), -np.asarray(rate))
        np.add.at(m, (target, source), rate)

    m[v, plasma] += p.flow_l_per_min / p.central_l
    m[plasma, plasma] -= p.flow_l_per_min.sum() / p.central_l
    target = np.zeros(n, int)  # back into plasma, but for the portal vein
    target[[GUT, SPLEEN]] = v[LIVER]
    outflow = p.flow_l_per_min.copy()
    outflow[LIVER] += outflow[GUT] + outflow[SPLEEN]
    moves(v, target, outflow / p.vascular_l)
    moves(v, x, p.exchange_l_per_min * p.unbound / p.vascular_l)
    moves(x, v, p.exchange_l_per_min * p.unbound / p.interstitial_l)
    moves(x, b, p.k_on_l_per_nmol_min * p.receptor_nmol / p.interstitial_l)
    moves(b, x, np.full(n, p.k_off_per_min))
    moves(b, i, p.k_int_per_min)
    moves(x, i, p.k_trap_per_min)
    moves(x, met, np.full(n, p.k_deg_per_min))
    moves(i, x, p.intact_release * p.k_rel_per_min)
    moves(i, met, (1 - p.intact_release) * p.k_rel_per_min)
    moves(plasma, met, p.k_deg_per_min)
    moves(plasma, slow, p.k_slow_per_min)
    moves(slow, plasma, p.k_slow_release_per_min)
    filtered = p.gfr_l_per_min * p.unbound / p.central_l
    moves(plasma, tubules, p.reabsorbed * filtered)
    moves(plasma, urine, (1 - p.reabsorbed) * filtered)
    moves(tubules, met, p.tubular_metabolite_return * p.k_rel_per_min[KIDNEYS])
    moves(tubules, urine, (1 - p.tubular_metabolite_return) * p.k_rel_per_min[KIDNEYS])
    moves(met, water, p.metabolite_exchange_l_per_min / p.plasma_l)
    moves(water, met, p.metabolite_exchange_l_per_min / p.metabolite_volume_l)
    moves(met, urine, p.metabolite_clearance_l_per_min / p.plasma_l)
    return m


def solve(p: Parameters, peptide_nmol: float, infusion_min: float) -> Solution:
    """Follow a dose from the start of its infusion for 1000 h.

    Parameters
    ----------
    p
        The patient at this visit.
    peptide_nmol
        Peptide, labelled and not; 0 leaves every receptor free. [nmol]
    infusion_min
        Duration of the constant infusion. [min]

    Raises
    ------
    OutsideValidity
        If the peptide is negative or the infusion has no duration.
    Undetermined
        If the solver stops early.
    """
    if peptide_nmol < 0 or infusion_min <= 0:
        raise OutsideValidity(f"{peptide_nmol:g} nmol of peptide in {infusion_min:g} min", required="none negative")
    at = Places(len(p.names))
    x, b = at.part(1), at.part(2)
    matrix = linear_part(p)
    bimolecular = p.k_on_l_per_nmol_min * peptide_nmol / p.interstitial_l
    rows, columns = np.arange(at.size)[x], np.arange(at.size)[b]

    def rate(_t: float, y: Array, inflow: float) -> Array:
        dy: Array = matrix @ y
        dy[0] += inflow
        filled = bimolecular * y[x] * y[b]  # binding that does not happen because the receptor is taken
        dy[x] += filled
        dy[b] -= filled
        return dy

    def jacobian(_t: float, y: Array, _inflow: float) -> Array:
        j = matrix.copy()
        by_x, by_b = bimolecular * y[b], bimolecular * y[x]
        j[rows, rows] += by_x
        j[rows, columns] += by_b
        j[columns, rows] -= by_x
        j[columns, columns] -= by_b
        return j

    during = infusion_min * np.linspace(0, 1, 9)
    after = infusion_min + np.r_[0, np.geomspace(0.5, END_MIN - infusion_min, 150)]
    start = np.zeros(at.size)
    pieces: list[tuple[Array, Array, Array]] = []
    for times, inflow in (
        (during, 1 / infusion_min),
        (after, 0.0),
    ):  # one step must not straddle the end of the infusion
        run = solve_ivp(
            rate,
            (times[0], times[-1]),
            start,
            method="LSODA",
            t_eval=times,
            args=(inflow,),
            jac=jacobian,
            rtol=RELATIVE,
            atol=ABSOLUTE,
        )
        if not run.success:
            raise Undetermined(
                f"the kinetics could not be solved: {run.message}",
                required="finite, positive parameters",
                do="look at the volumes and flows of the patient",
            )
        slopes = matrix @ run.y
        slopes[0] += inflow
        filled = bimolecular[:, None] * run.y[x] * run.y[b]
        slopes[x] += filled
        slopes[b] -= filled
        pieces.append((times, run.y, slopes))
        start = run.y[:, -1]
    # The end of the infusion stands twice, with the slope of either side.
    return Solution(p, *(np.concatenate(parts, axis=-1) for parts in zip(*pieces, strict=True)))


@frozen(eq=False)
class Nodes:
    """Where the label is at some times, with the slope there, for curves between them.

    Parameters
    ----------
    names
        Regions of the parameters, `blood` outside them, `urine` ever passed: these hold the whole label. Then `plasma` and
        `intact`: fractions per litre of plasma, in all and as intact peptide.
    times_s
        Since the start of the infusion; a time may stand twice, where the slope jumps. [s] (t,)
    fraction, slope
        Fractions of the dose, decay removed [1 or 1/L], and their derivatives [per s]. (names, t)
    valid_from_s
        Before this time the curves only join zero to the first meaningful value. [s]
    """

    names: tuple[str, ...]
    times_s: Array = field(converter=float64)
    fraction: Array = field(converter=float64)
    slope: Array = field(converter=float64)
    valid_from_s: float = 0.0


def nodes_of(solution: Solution) -> Nodes:
    """Add the amounts of a solution up to regions."""
    p = solution.parameters
    shares = np.vstack([region_shares(p), np.zeros((2, len(solution.state)))])
    shares[-2:, 0] = 1 / p.central_l
    met = Places(len(p.names)).metabolite
    shares[-2, met] = 1 / p.plasma_l
    shares[-2:, met + 4] = 1 / p.plasma_l
    names = (*p.names, "blood", "urine", "plasma", "intact")
    return Nodes(names, solution.times_min * 60, shares @ solution.state, shares @ solution.slope / 60)


def region_shares(p: Parameters) -> Array:
    """Which share of each amount belongs to which region: those of `p`, blood outside them, urine. (regions, states)"""
    n = len(p.names)
    at = Places(n)
    met = at.metabolite
    shares = np.zeros((n + 2, at.size))
    own = np.arange(n)
    for k in range(4):
        shares[own, np.arange(at.size)[at.part(k)]] = 1
    shares[KIDNEYS, met + 3] = 1
    shares[own, met] = p.vascular_l / p.plasma_l
    shares[own, met + 1] = p.metabolite_tissue_share * p.interstitial_l / p.metabolite_volume_l
    shares[REST, met + 1] += 1 - shares[own, met + 1].sum()  # water that is nobody's
    shares[n, [0, met + 4]] = 1
    shares[n, met] = 1 - shares[own, met].sum()
    shares[n + 1, met + 2] = 1
    return shares
