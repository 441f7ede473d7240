"""Tables of the ledger."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = "1"

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

sources = Table(
    "sources",
    metadata,
    Column("path", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("sop_instance_uid", String, nullable=False),
    Column("sop_class_uid", String, nullable=False),
    Column("series_uid", String, nullable=False),
    Column("study_uid", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("modality", String, nullable=False),
    Index("sources_by_digest", "sha256"),
    Index("sources_by_instance", "sop_instance_uid"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("step", String, nullable=False),
    Column("output", String(64)),
    Column("receipt", JSON, nullable=False),
    Index("receipts_by_output", "output"),
)

lesion_lists = Table(
    "lesion_lists",
    metadata,
    Column("subject_id", String, primary_key=True),
    Column("candidates", String(64), nullable=False),
    Column("known", String(64), nullable=False),
    Column("issued", String(64), nullable=False),
)
"""Per subject: what the list was made from and the list itself, so that an id, once issued, is never reused."""

records = Table(
    "records",
    metadata,
    Column("subject_id", String, primary_key=True),
    Column("record", String(64), nullable=False),
)
"""The current state of each subject: digest of the conductor's record."""

results = Table(
    "results",
    metadata,
    Column("path", Text, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("quantity", String, nullable=False),
    Column("artifact", String(64), nullable=False),
    Column("receipt", String(64), nullable=False),
    Column("shown", Text, nullable=False),
)

edits = Table(
    "edits",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("subject_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("target", Text, nullable=False),
    Column("value", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("undoes", Integer),
    Index("edits_by_subject", "subject_id"),
)
"""What people changed: locks of lesions, corrected transforms, redrawn lines."""

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    Column("by", String, nullable=False),
    Column("action", String, nullable=False),
    Column("detail", JSON, nullable=False),
)

chain = Table(
    "chain",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("of", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
)
"""Digests of every edit and entry of the audit trail, each over the one before: what was changed behind Lutra's back shows."""

APPEND_ONLY = ("receipts", "edits", "audit", "chain")


def append_only_triggers() -> list[str]:
    """SQLite triggers that refuse to change or delete what was written."""
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in APPEND_ONLY
        for verb in ("UPDATE", "DELETE")
    ]
