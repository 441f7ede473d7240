"""Values on disk, found by the digest of their content.

`artifacts/ab/cdef.../value.json` is the canonical text whose SHA-256 is the digest. Large arrays stand beside it as zarr,
named by their own hash; small ones share one `small.npz`. A value is written into a temporary folder and renamed, so a
folder under its digest is always complete.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lutra.core.digest import array_digest, canonical, canonical_json, text_digest
from lutra.core.errors import StoreError
from lutra.store.codec import Codec

SMALL_ARRAY_BYTES = 1 << 16
"""Below this a zarr array costs more in files than it saves."""


class ArtifactStore:
    """Content-addressed shelf of values.

    Parameters
    ----------
    root
        Folder; created if needed.
    extra_types
        See :class:`lutra.store.codec.Codec`.
    """

    def __init__(self, root: Path, extra_types: Iterable[type] = ()) -> None:
        self.root = root
        self._codec = Codec(extra_types)
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, digest: str) -> Path:
        """Where a value with this digest is, or would be."""
        return self.root / digest[:2] / digest[2:]

    def __contains__(self, digest: str) -> bool:
        return self.folder(digest).is_dir()

    def put(self, value: Any) -> str:
        """Store a value unless it is there, and return its digest. [hex]"""
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        text = canonical_json(canonical(value, arrays))
        digest = text_digest(text)
        target = self.folder(digest)
        if target.is_dir():
            return digest
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
        try:
            (building / "value.json").write_text(text, encoding="utf-8")
            small = {name: array for name, array in arrays.items() if array.nbytes < SMALL_ARRAY_BYTES}
            if small:
                np.savez(building / "small.npz", **small)  # type: ignore[arg-type]
            for name, array in arrays.items():
                if name not in small:
                    _write_zarr(building / f"{name}.zarr", array)
            try:
                building.rename(target)
            except OSError:
                if not target.is_dir():  # somebody else finished the same value first: that one is as good
                    raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return digest

    def get(self, digest: str) -> Any:
        """Read a value.

        Raises
        ------
        StoreError
            If it is missing, or its text does not hash to its name any more.
        """
        folder = self.folder(digest)
        try:
            text = (folder / "value.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise StoreError(f"artifact {digest} is missing", where=str(self.root), do="run the study again") from None
        if text_digest(text) != digest:
            raise StoreError(
                f"artifact {digest} was changed on disk",
                where=str(folder),
                do="delete that folder and run the study again",
            )
        return self._codec.decode(json.loads(text), _ArrayReader(folder))

    def damage(self, digest: str) -> str | None:
        """Check text and arrays of one artifact against their hashes; say what is wrong, or None."""
        try:
            self.get(digest)
        except (StoreError, OSError, ValueError, KeyError) as error:
            return str(error)
        reader = _ArrayReader(self.folder(digest))
        return next(
            (f"array {name} was changed" for name in reader.names() if array_digest(reader(name)) != name), None
        )


class _ArrayReader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        small = folder / "small.npz"
        if small.exists():
            with np.load(small) as arrays:
                self._small = {name: arrays[name] for name in arrays.files}
        else:
            self._small = {}

    def names(self) -> list[str]:
        return [*self._small, *(path.stem for path in self._folder.glob("*.zarr"))]

    def __call__(self, name: str) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any]
        if name in self._small:
            array = self._small[name]
        else:
            import zarr  # noqa: PLC0415  (0.3 s: only when a large array is wanted)

            array = np.asarray(zarr.open_array(self._folder / f"{name}.zarr", mode="r")[...])
        array.flags.writeable = False
        return array


def _write_zarr(path: Path, array: np.ndarray[Any, Any]) -> None:
    import zarr  # noqa: PLC0415
    from zarr.codecs import BloscCodec  # noqa: PLC0415

    target = zarr.create_array(
        store=path,
        shape=array.shape,
        dtype=array.dtype,
        chunks=_chunks(array.shape),
        compressors=[BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")],
    )
    target[...] = array


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole slabs along the last axis: few files, and one slice of a volume is cheap."""
    return (*shape[:-1], min(shape[-1], 32)) if len(shape) == 3 else shape
