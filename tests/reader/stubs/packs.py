"""Other versions of this release's assay packs, for tests."""

from typing import Any

from reader import assays, packfile


def table(assay_id: str, **fields: Any) -> dict[str, Any]:
    """The table of a pack of this release with those fields changed, or taken away where the value is None.

    With other analytes, the cut-offs are those of the first for each, and there are no controls.
    """
    found = packfile.table_of((packfile.BUILT_IN / f"{assay_id}.toml").read_text(encoding="utf-8"))
    if "analytes" in fields and isinstance(fields["analytes"], list):
        count = len(fields["analytes"])
        found |= {name: found[name][:1] * count for name in ("grey_ppm", "positive_ppm") if name in found}
        found |= {"controls": [], "qc_levels": [], "qc_hours": 0, "qc_tests": 0}
        found |= {"qc_lot_change": False, "qc_after_fault": False}
    return {name: value for name, value in (found | fields).items() if value is not None}


def pack(assay_id: str, **fields: Any) -> bytes:
    """The pack of that table; PackError."""
    return packfile.pack_of(table(assay_id, **fields))


def changed(assay_id: str, **fields: Any) -> assays.StripAssay:
    """The strip of that pack."""
    found = assays.decode(pack(assay_id, **fields))
    assert isinstance(found, assays.StripAssay)
    return found
