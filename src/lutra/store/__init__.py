"""SHELF: content-addressed artifacts and the ledger of a study on disk.

Artifacts are values, found by digest and never changed. The ledger (SQLite) knows the source files, the receipts, the
current results and who did what. Nothing here computes.
"""

from lutra.store.artifacts import ArtifactStore
from lutra.store.audit_chain import AuditCheck, Seen
from lutra.store.ledger import Ledger

__all__ = ["ArtifactStore", "AuditCheck", "Ledger", "Seen"]
