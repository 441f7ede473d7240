"""What is known of a study: sources, receipts, results, and who did what."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import (
    Engine,
    ExceptionContext,
    RowMapping,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from lutra.core.digest import canonical
from lutra.core.edit import Edit
from lutra.core.errors import StoreError
from lutra.core.receipt import Receipt
from lutra.core.source import SourceFile
from lutra.store import schema
from lutra.store.audit_chain import CHAINED, AuditCheck, Seen, append, checked, entry_of
from lutra.store.codec import Codec


@frozen
class ResultRow:
    """A current number, where it stands and which receipt made it."""

    path: str
    subject_id: str
    quantity: str
    artifact: str
    receipt: str
    shown: str


@frozen
class LesionList:
    """How a subject's lesion list came about: digests of what it was made from, of the list before, and of the list."""

    candidates: str
    known: str
    issued: str


class Ledger:
    """The SQLite database of one study.

    Parameters
    ----------
    path
        Database file. It must exist unless `create` is set.

    Raises
    ------
    StoreError
        If there is no ledger, or another version of Lutra wrote it.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise StoreError(
                "no study here", where=str(path.parent), do=f"create one with: lutra study init {path.parent}"
            )
        self._engine = _open(path)
        self._codec = Codec()
        if not create:
            self._check_version(path)
        self._make_tables()
        self._check_version(path)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    # ---- sources ----
    def add_sources(self, files: Iterable[SourceFile]) -> int:
        """Record source files; one already known by path is updated. Return how many instances are new."""
        rows = [_as_row(file) for file in files]
        with self._engine.begin() as connection:
            before = connection.scalar(select(func.count(schema.sources.c.sop_instance_uid.distinct()))) or 0
            for row in rows:
                statement = upsert(schema.sources).values(row)
                connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=row))
            after = connection.scalar(select(func.count(schema.sources.c.sop_instance_uid.distinct()))) or 0
        return after - before

    def sources(self, subject_id: str | None = None) -> tuple[SourceFile, ...]:
        """SourceFile files, by series and path; one per SOP instance."""
        query = select(schema.sources).order_by(schema.sources.c.series_uid, schema.sources.c.path)
        if subject_id is not None:
            query = query.where(schema.sources.c.subject_id == subject_id)
        unique: dict[str, SourceFile] = {}
        for row in self._rows(query):
            unique.setdefault(row["sop_instance_uid"], SourceFile(**row))
        return tuple(unique.values())

    def sources_by_digest(self, digests: Sequence[str]) -> tuple[SourceFile, ...]:
        """SourceFile files with these SHA-256, in the order given."""
        found = {row["sha256"]: SourceFile(**row) for row in self._rows(select(schema.sources))}
        return tuple(found[digest] for digest in digests if digest in found)

    def subject_ids(self) -> tuple[str, ...]:
        """Subjects with at least one source, sorted."""
        query = select(schema.sources.c.subject_id).distinct().order_by(schema.sources.c.subject_id)
        return tuple(row["subject_id"] for row in self._rows(query))

    # ---- receipts ----
    def receipt(self, key: str) -> Receipt | None:
        """Return the receipt of a step by its cache key."""
        rows = self._rows(select(schema.receipts.c.receipt).where(schema.receipts.c.key == key))
        return self._receipt(rows[0]) if rows else None

    def receipt_of_output(self, digest: str) -> Receipt | None:
        """Return the first receipt that made this value."""
        query = select(schema.receipts.c.receipt).where(schema.receipts.c.output == digest).order_by(text("rowid"))
        rows = self._rows(query.limit(1))
        return self._receipt(rows[0]) if rows else None

    def receipts(self, step_prefix: str = "") -> tuple[Receipt, ...]:
        """Every receipt whose step begins so, in the order written."""
        query = select(schema.receipts.c.receipt).where(schema.receipts.c.step.startswith(step_prefix, autoescape=True))
        return tuple(self._receipt(row) for row in self._rows(query.order_by(text("rowid"))))

    def add_receipt(self, receipt: Receipt) -> None:
        """Write a receipt; the same key is written once."""
        row = {
            "key": receipt.made_by.key,
            "step": receipt.made_by.step,
            "output": receipt.output,
            "receipt": canonical(receipt),
        }
        with self._engine.begin() as connection:
            connection.execute(upsert(schema.receipts).values(row).on_conflict_do_nothing())

    # ---- state of the subjects ----
    def lesion_list(self, subject_id: str) -> LesionList | None:
        """How the subject's lesion list was last issued."""
        rows = self._rows(select(schema.lesion_lists).where(schema.lesion_lists.c.subject_id == subject_id))
        return LesionList(**{k: v for k, v in rows[0].items() if k != "subject_id"}) if rows else None

    def set_lesion_list(self, subject_id: str, issued: LesionList) -> None:
        """Record a newly issued lesion list."""
        row = {"subject_id": subject_id, **_as_row(issued)}
        with self._engine.begin() as connection:
            statement = upsert(schema.lesion_lists).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["subject_id"], set_=row))

    def set_current(self, subject_id: str, record: str, results: Iterable[ResultRow]) -> None:
        """Make a finished run of one subject the current one, all or nothing."""
        rows = [_as_row(result) for result in results]
        with self._engine.begin() as connection:
            row = {"subject_id": subject_id, "record": record}
            statement = upsert(schema.records).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["subject_id"], set_=row))
            connection.execute(delete(schema.results).where(schema.results.c.subject_id == subject_id))
            if rows:
                connection.execute(insert(schema.results), rows)

    def current_records(self) -> dict[str, str]:
        """Digest of the current record of each subject."""
        return {row["subject_id"]: row["record"] for row in self._rows(select(schema.records).order_by("subject_id"))}

    def results(self) -> tuple[ResultRow, ...]:
        """All current results, by path."""
        return tuple(ResultRow(**row) for row in self._rows(select(schema.results).order_by(schema.results.c.path)))

    # ---- edits ----
    def add_edit(self, edit: Edit, after: int | None = None, account: str = "") -> Edit:
        """Write what a person changed, with its entry in the audit trail, and return it with its number.

        The number given does not count.

        Parameters
        ----------
        after
            Number of the subject's last edit as the person saw it, 0 for none; None does not ask.
        account
            Account of the computer it was made under; default: the person.

        Raises
        ------
        StoreError
            If there is a later one: it may say something else about the same thing.
        """
        row = _as_row(edit)
        row.pop("number")
        last = select(func.coalesce(func.max(schema.edits.c.number), 0)).where(
            schema.edits.c.subject_id == edit.subject_id
        )
        with self._engine.begin() as connection:
            number = append(connection, "edits", row, None if after is None else last.scalar_subquery() == after)
            if number is not None:
                append(connection, "audit", _entry_of_edit(edit, number, account))
        if number is None:
            later = [e for e in self.edits(edit.subject_id) if e.number > (after or 0)]
            raise StoreError(
                f"{edit.subject_id} was edited meanwhile: "
                + "; ".join(f"{e.number} by {e.by}, {e.kind.value} {e.target}: {e.reason}" for e in later),
                required=f"{after} as the last edit",
                do="look at what changed, then make this edit again if it still holds",
            )
        return evolve(edit, number=number)

    def edits(self, subject_id: str) -> tuple[Edit, ...]:
        """Everything people changed for a subject, in the order made; see :func:`lutra.core.edit.in_force`."""
        query = select(schema.edits).where(schema.edits.c.subject_id == subject_id).order_by(schema.edits.c.number)
        return tuple(Edit(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in self._rows(query))

    # ---- audit ----
    def log(self, at: str, by: str, action: str, detail: Mapping[str, Any], seen: Seen | None = None) -> None:
        """Append to the audit trail.

        Raises
        ------
        StoreError
            If something came of the matter since it was seen.
        """
        row = {"at": at, "by": by, "action": action, "detail": dict(detail)}
        with self._engine.begin() as connection:
            number = append(connection, "audit", row, seen.nothing_later() if seen else None)
        if number is None and seen:
            later = [e for e in self.audit_trail() if e["number"] > seen.last and e["action"] in seen.actions]
            later = [e for e in later if all(e["detail"].get(k) == v for k, v in seen.about.items())]
            raise StoreError(
                "somebody was faster: "
                + "; ".join(f"{e['action']} by {e['detail'].get('by', e['by'])}" for e in later),
                required="what you saw to be the last",
                do="look at what changed, then do it again if it still holds",
            )

    def audit_trail(self) -> tuple[dict[str, Any], ...]:
        """Everything that was logged, oldest first."""
        return tuple(dict(row) for row in self._rows(select(schema.audit).order_by(schema.audit.c.number)))

    def verify_audit(self) -> AuditCheck:
        """Compute the chain of edits and audit trail anew, and compare."""
        with self._engine.connect() as connection:
            links = list(connection.execute(select(schema.chain).order_by(schema.chain.c.position)).mappings())
            rows = {
                (name, row["number"]): entry_of(row)
                for name, table in CHAINED.items()
                for row in connection.execute(select(table)).mappings()
            }
        return checked(links, rows)

    def chain_digests(self) -> tuple[str, ...]:
        """Digests of the chain, oldest first."""
        return tuple(
            row["digest"] for row in self._rows(select(schema.chain.c.digest).order_by(schema.chain.c.position))
        )

    def chained(self) -> Iterator[dict[str, Any]]:
        """Give every link with what it is of. Its digest is SHA-256 over `[digest before, of, entry]` as compact sorted JSON."""
        for link in self._rows(select(schema.chain).order_by(schema.chain.c.position)):
            table = CHAINED[link["of"]]
            entries = self._rows(select(table).where(table.c.number == link["number"]))
            yield {**link, "entry": entry_of(entries[0]) if entries else None}

    # ---- inside ----
    def _make_tables(self) -> None:
        """Make the tables that are not there yet; a ledger that is older than one of them gets it, empty."""
        schema.metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            for trigger in schema.append_only_triggers():
                connection.execute(text(trigger))
            row = {"key": "schema", "value": schema.SCHEMA_VERSION}
            connection.execute(upsert(schema.meta).values(row).on_conflict_do_nothing())

    def _rows(self, query: Any) -> list[RowMapping]:
        with self._engine.connect() as connection:
            return list(connection.execute(query).mappings())

    def _receipt(self, row: RowMapping) -> Receipt:
        receipt: Receipt = self._codec.decode(row["receipt"], _no_arrays)
        return receipt

    def _check_version(self, path: Path) -> None:
        (row,) = self._rows(select(schema.meta.c.value).where(schema.meta.c.key == "schema")) or (None,)
        if row is None or row["value"] != schema.SCHEMA_VERSION:
            raise StoreError(
                f"ledger of schema {row['value'] if row else 'unknown'}",
                where=str(path),
                required=f"schema {schema.SCHEMA_VERSION}",
                do="open it with the version of Lutra that wrote it",
            )


def _entry_of_edit(edit: Edit, number: int, account: str) -> dict[str, Any]:
    """Entry of the audit trail that tells of an edit."""
    what = "undo" if edit.undoes is not None else edit.kind.value
    detail = {"edit": number, "subject": edit.subject_id, "kind": what, "target": edit.target, "by": edit.by}
    detail |= {"undoes": edit.undoes, "value": edit.value, "reason": edit.reason}
    return {"at": edit.at.isoformat(), "by": account or edit.by, "action": "edit", "detail": detail}


def _as_row(value: Any) -> dict[str, Any]:
    row: dict[str, Any] = canonical(value)
    row.pop("@type")
    return row


def _no_arrays(name: str) -> Any:
    raise StoreError(f"a receipt refers to array {name}", do="report this as a defect")


def _open(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=30000")

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, sqlite3.OperationalError):
            do = "make room, let other commands end, or mend the permissions; then run this again"
            raise StoreError(str(context.original_exception), where=str(path), do=do) from context.original_exception

    return engine
