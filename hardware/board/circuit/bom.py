"""The bill of materials: one row a device, with its second source and price bands, and the totals."""

import csv
import io
from collections import defaultdict

from .catalogue.module import EXTRAS
from .catalogue.prices import DATE
from .device import Device
from .netlist import Netlist, ordered

BANDS = (1, 100, 1000)
TARGET_AT_100 = 60.0  # pounds
HEADER = (
    "references", "quantity", "manufacturer", "manufacturer number", "description", "footprint", "datasheet",
    "second source", *(f"GBP each at {band}" for band in BANDS), *(f"GBP a board at {band}" for band in BANDS),
    "price basis", "price date",
)  # fmt: skip


def _rows(netlist: Netlist) -> list[tuple[Device, list[str]]]:
    refs: dict[str, list[str]] = defaultdict(list)
    for part in netlist.parts:
        if not part.device.bare:
            refs[part.mpn].append(part.ref)
    rows = [(netlist.by_ref[found[0]].device, sorted(found, key=ordered)) for found in refs.values()]
    return [*sorted(rows, key=lambda row: ordered(row[1][0])), *((device, [ref]) for ref, device in EXTRAS.items())]


def _prices(device: Device) -> tuple[float, float, float]:
    return device.price.one, device.price.hundred, device.price.thousand


def totals(netlist: Netlist) -> tuple[float, float, float]:
    """Pounds a board at each of BANDS, rounded to pence."""
    sums = [0.0, 0.0, 0.0]
    for device, refs in _rows(netlist):
        for at, price in enumerate(_prices(device)):
            sums[at] += price * len(refs)
    return round(sums[0], 2), round(sums[1], 2), round(sums[2], 2)


def written(netlist: Netlist) -> str:
    """The bill as CSV, with a last row of totals."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(HEADER)
    for device, refs in _rows(netlist):
        prices = _prices(device)
        table.writerow(
            (
                " ".join(refs), len(refs), device.maker, device.mpn, device.what, device.footprint, device.datasheet,
                device.second_source, *(f"{price:.3f}" for price in prices),
                *(f"{price * len(refs):.3f}" for price in prices), device.price.basis, DATE,
            )
        )  # fmt: skip
    table.writerow(("total", *[""] * 10, *(f"{total:.2f}" for total in totals(netlist)), "estimate: the sum", DATE))
    return out.getvalue()
