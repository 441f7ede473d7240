"""Runs a step once, keeps its value, writes its receipt.

A step is a pure function that returns an Outcome. What determines it (inputs, settings, code, seed) is hashed first; if a
receipt with that key exists and its output is on the shelf, the function is not called and its inputs are not even loaded.
The output is stored before the receipt, so whenever a run is killed, every receipt speaks of a complete value.
"""

from __future__ import annotations

import getpass
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from lutra import __version__
from lutra.core.digest import digest
from lutra.core.errors import InputError, LutraError, PluginError, StoreError, Undetermined
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.receipt import Receipt, StepKey
from lutra.core.source import SourceFile
from lutra.pipeline.code import code_digest
from lutra.store import ArtifactStore, Ledger


@frozen
class Made:
    """A step that was done.

    Parameters
    ----------
    output
        Digest of its value; None if it could not be determined.
    receipt
        Key of its receipt.
    index
        Which item, where the value is a tuple and one of it is meant.
    """

    output: str | None
    receipt: str
    index: int | None = None

    def item(self, index: int) -> Made:
        """One value of a tuple."""
        return evolve(self, index=index)

    @property
    def reference(self) -> str:
        """Digest, with the item's index behind it where there is one."""
        return (self.output or "") + ("" if self.index is None else f"[{self.index}]")

    def __bool__(self) -> bool:
        return self.output is not None


@frozen
class Files:
    """Source files as the input of a step; identified by content, handed over as paths."""

    sources: tuple[SourceFile, ...]


@frozen
class OneFile:
    """A single source file as the input of a step, handed over as a path."""

    source: SourceFile


Input = Made | Files | OneFile | tuple[Made, ...] | Any

GIVEN = "="
"""Before the digest of a value given as it is, which no step made: an equal result of some step is not where it came from."""

VALUES_IN_MEMORY = 6
"""Loaded values kept: a volume is used by every region in it, right after one another."""


class Conductor:
    """Runs steps against a store and a ledger.

    Parameters
    ----------
    on_step
        Called with the name of each step and whether it was computed (True) or found (False).
    protocol
        Digest of the protocol, for the receipts.
    """

    def __init__(
        self,
        store: ArtifactStore,
        ledger: Ledger,
        on_step: Callable[[str, bool], None] | None = None,
        protocol: str = "",
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.receipts: list[str] = []
        self.computed = 0
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._protocol = protocol
        self._on_step = on_step or (lambda _name, _computed: None)

    def step(
        self,
        name: str,
        function: Callable[..., Outcome[Any]],
        inputs: Mapping[str, Input],
        settings: Any = None,
        seed: int | None = None,
        code: str | None = None,
    ) -> Made:
        """Do a step, or find that it was done.

        Parameters
        ----------
        name
            `stage.what`, as receipts show it.
        function
            Called with the inputs by name, and with `settings` and `seed` where given.
        inputs
            Earlier steps, tuples of them, source files, or small values.
        code
            Module whose program text determines the result, where `function` is only the wiring.
        """
        key = StepKey(
            step=name,
            inputs=FrozenMap({argument: _input_digests(given) for argument, given in inputs.items()}),
            settings=digest(settings),
            code=code_digest(code or _module_of(function)),
            seed=seed,
        )
        known = self.ledger.receipt(key.key)
        found = known is not None and (known.output is None or known.output in self.store)
        if not found:
            arguments = {argument: self._load(given) for argument, given in inputs.items()}
            if settings is not None:
                arguments["settings"] = settings
            if seed is not None:
                arguments["seed"] = seed
            known = self._compute(key, function, arguments)
        self.computed += not found
        self._on_step(name, not found)
        self.receipts.append(key.key)
        assert known is not None  # noqa: S101  (found, or just computed)
        return Made(known.output, key.key)

    def value(self, made: Made) -> Any:
        """Load what a step made."""
        if made.output is None:
            raise Undetermined("this step has no value", where=made.receipt, do="see its Findings")
        if made.output not in self._values:
            self._values[made.output] = self.store.get(made.output)
        self._values.move_to_end(made.output)
        value = self._values[made.output]
        if len(self._values) > VALUES_IN_MEMORY:
            self._values.popitem(last=False)
        return value if made.index is None else value[made.index]

    def findings(self, keys: Iterable[str]) -> tuple[Finding, ...]:
        """Every Finding of these steps, without repeats, in order."""
        unique: dict[Finding, None] = {}
        for key in keys:
            receipt = self.ledger.receipt(key)
            unique.update(dict.fromkeys(receipt.findings if receipt else ()))
        return tuple(unique)

    def _compute(self, key: StepKey, function: Callable[..., Outcome[Any]], arguments: dict[str, Any]) -> Receipt:
        try:
            outcome = function(**arguments)
        except (StoreError, PluginError):
            raise  # the study or the installation is broken: no result of this step
        except LutraError as error:
            severity = Severity.ERROR if isinstance(error, InputError) else Severity.UNDETERMINED
            outcome = Outcome(None, (Finding(severity, "pipeline.step-refused", f"{key.step}: {error}"),))
        receipt = Receipt(
            made_by=key,
            output=None if outcome.value is None else self.store.put(outcome.value),
            findings=outcome.findings,
            by=user(),
            at=datetime.now(UTC),
            program=f"lutra {__version__}",
            protocol=self._protocol,
        )
        self.ledger.add_receipt(receipt)
        return receipt

    def _load(self, given: Input) -> Any:
        if isinstance(given, Made):
            return self.value(given)
        if isinstance(given, Files):
            return tuple(Path(source.path) for source in given.sources)
        if isinstance(given, OneFile):
            return Path(given.source.path)
        if _is_many(given):
            return tuple(self.value(item) for item in given)
        return given


def user() -> str:
    """Name of the account the program runs under, for receipts and the audit trail."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _input_digests(given: Input) -> tuple[str, ...]:
    if isinstance(given, Made):
        return (given.reference,)
    if isinstance(given, Files):
        return tuple(source.sha256 for source in given.sources)
    if isinstance(given, OneFile):
        return (given.source.sha256,)
    if _is_many(given):
        return tuple(item.reference for item in given)
    return (GIVEN + digest(given),)


def _is_many(given: Input) -> bool:
    return isinstance(given, tuple) and bool(given) and all(isinstance(item, Made) for item in given)


def _module_of(function: Callable[..., Any]) -> str:
    """Find the module a step is defined in, through partials."""
    inner = getattr(function, "func", function)
    module: str = inner.__module__
    return module
