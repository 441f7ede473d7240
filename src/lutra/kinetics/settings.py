"""Settings of the kinetics stage, and how a model reads its own table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ports import Settings

EXTRAPOLATED_FRACTION_FLAG = 0.20
"""Share of the integral outside the measured times above which it is flagged; the usual limit in dosimetry."""


@frozen
class KineticsSettings:
    """Which models are tried, in order, and how.

    Parameters
    ----------
    models
        Short or qualified plugin names; the first that answers is used. The default weighs points and what is known of such curves
        together; a curve that this cannot describe is asked for a second washout, then integrated piece by piece.
    extrapolated_fraction_flag
        Share of the integral outside the measured times above which a Finding says so. [1] The usual 20 %.
    options
        One table per model, by its short or qualified name: `[kinetics.options.population-tail]`.
    """

    models: tuple[str, ...] = ("bayesian", "triexponential", "population-tail")
    extrapolated_fraction_flag: float = EXTRAPOLATED_FRACTION_FLAG
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)

    def __attrs_post_init__(self) -> None:
        unused = sorted(set(self.options) - set(self.models))
        if unused:
            raise ProtocolError(
                f"options for {', '.join(unused)}, which is not among the models",
                where="kinetics.options",
                required=f"one of: {', '.join(self.models)}",
                do="correct the name, or add the model to kinetics.models",
            )


def numbers(
    settings: Settings, defaults: Mapping[str, float], model: str, words: Sequence[str] = ()
) -> dict[str, float]:
    """Read a model's numeric options, each with its default; `words` are options of another kind.

    Raises
    ------
    ProtocolError
        If an option is not known or not a number.
    """
    read = dict(defaults)
    for key, given in settings.items():
        if key in words:
            continue
        if key not in defaults or isinstance(given, str | bool):
            raise ProtocolError(
                f"{key} = {given!r}",
                where=f"kinetics.options.{model}",
                required=f"a number for one of: {', '.join(sorted((*defaults, *words)))}",
                do="correct this setting",
            )
        read[key] = float(given)
    return read


def word(settings: Settings, name: str, choices: Sequence[str], model: str) -> str:
    """Read an option that is one of a few words; the first is the default.

    Raises
    ------
    ProtocolError
        If it is another.
    """
    given = settings.get(name, choices[0])
    if given not in choices:
        raise ProtocolError(
            f"{name} = {given!r}",
            where=f"kinetics.options.{model}",
            required=f"one of: {', '.join(choices)}",
            do="correct this setting",
        )
    return str(given)


def positive(
    options: Mapping[str, float], model: str, *names: str, at_least: Mapping[str, float] | None = None
) -> None:
    """Refuse options that are not positive, or below what they have to be at least.

    Raises
    ------
    ProtocolError
        Naming the option.
    """
    lowest = {**dict.fromkeys(names, 0.0), **(at_least or {})}
    for name, bound in lowest.items():
        if not options[name] >= bound or options[name] <= 0:
            raise ProtocolError(
                f"{name} = {options[name]:g}",
                where=f"kinetics.options.{model}",
                required=f"at least {bound:g}" if bound else "a positive number",
                do="correct this setting",
            )
