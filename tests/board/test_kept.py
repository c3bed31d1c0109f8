"""What is made from the circuit is fresh, whole, and the same each time."""

import csv
import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from circuit import bom, drawing, outputs, pinmap
from circuit.catalogue import CATALOGUE
from circuit.catalogue.module import BOARD, CABLES, EXTRAS
from circuit.command import app
from circuit.netlist import NetlistError, digest, is_open, read, written
from emulator import wiring

ROOT = Path(__file__).parents[2]


def test_nothing_made_from_the_circuit_is_stale(netlist):
    assert outputs.stale(netlist) == []


@pytest.mark.parametrize("path", ["firmware/board.py", "hardware/board/bom.csv", "hardware/board/README.md"])
def test_a_made_file_changed_by_hand_is_found(netlist, tmp_path, monkeypatch, path):
    for made in outputs.files(netlist):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / made, tmp_path / made)
    monkeypatch.setattr(outputs, "root", lambda: tmp_path)
    text = (tmp_path / path).read_text()
    (tmp_path / path).write_text(
        re.sub(r"(?s)(\d)(?=\D*\Z)", lambda found: str((int(found[1]) + 1) % 10), text, count=1)
    )
    if path.endswith("README.md"):
        (tmp_path / path).write_text(text.replace("<!-- figures -->", "<!-- figures -->\none more"))
    assert outputs.stale(netlist) == [path]


def test_a_changed_sheet_is_found_without_skidl(tmp_path, monkeypatch):
    shutil.copytree(outputs.SHEETS, tmp_path / "sheets")
    monkeypatch.setattr(outputs, "SHEETS", tmp_path / "sheets")
    outputs.kept()
    heat = tmp_path / "sheets" / "heat.py"
    heat.write_text(heat.read_text().replace("R360", "R180"))
    with pytest.raises(NetlistError, match="make hardware"):
        outputs.kept()
    assert digest(tmp_path / "sheets") != digest(outputs.ROOM / "circuit" / "sheets")


def test_the_emulator_reads_the_pin_map_that_the_circuit_makes(netlist, tmp_path):
    (tmp_path / "board.py").write_text(pinmap.written(netlist))
    made, used = wiring.load(tmp_path), wiring.load()
    assert vars(made) == vars(used)
    assert {signal.name for signal in pinmap.SIGNALS} <= set(vars(used))


def test_a_pin_moved_in_the_circuit_moves_in_the_pin_map(netlist, tmp_path):
    moved = netlist.moved("U8", "IO6", "unconnected-(U8-Pad6)").moved("U8", "IO10", "ARRAY_SI")
    (tmp_path / "board.py").write_text(pinmap.written(moved))
    assert wiring.load(tmp_path).ARRAY_SI == 10
    swapped = netlist.moved("U12", "SDA", "SAMPLE_SDA").moved("U12", "SCL", "CONTROL_SCL")
    with pytest.raises(NetlistError, match="different channels"):
        pinmap.written(swapped)


def test_the_multiplexers_address_is_the_one_that_it_is_strapped_to(netlist, tmp_path):
    (tmp_path / "board.py").write_text(pinmap.written(netlist.moved("U10", "A1", "1V8")))
    assert wiring.load(tmp_path).I2C_MUX == 0x72


def test_the_netlist_survives_being_written_and_read(netlist):
    again = read(written(netlist))
    assert (again.nets, again.sheets, again.digest) == (netlist.nets, netlist.sheets, netlist.digest)
    assert set(again.parts) == set(netlist.parts)
    with pytest.raises(NetlistError):
        read(written(netlist).rstrip()[:-1])


def test_every_part_is_named_with_maker_footprint_datasheet_and_second_source():
    for device in CATALOGUE.values():
        empty = [
            each.name
            for each in fields(device)
            if each.name in ("mpn", "maker", "what", "footprint", "datasheet", "second_source")
            and not getattr(device, each.name).strip()
        ]
        assert empty == [], device.mpn


def test_every_part_of_the_catalogue_is_placed(netlist):
    assert set(CATALOGUE) - {part.mpn for part in netlist.parts} == {BOARD.mpn, CABLES.mpn}


def test_the_bill_counts_every_part_and_its_totals_are_the_readmes(netlist):
    rows = list(csv.DictReader(io.StringIO((ROOT / "hardware/board/bom.csv").read_text())))
    *parts, total = rows
    refs = {ref for row in parts for ref in row["references"].split()}
    assert refs - set(EXTRAS) == {part.ref for part in netlist.parts if not part.device.bare}
    readme = (ROOT / "hardware/board/README.md").read_text()
    for band, name in zip(bom.BANDS, ("1", "100", "1,000"), strict=True):
        summed = sum(float(row[f"GBP each at {band}"]) * int(row["quantity"]) for row in parts)
        assert float(total[f"GBP a board at {band}"]) == pytest.approx(summed, abs=0.005)
        assert f"| {name} | £{summed:.2f} |" in readme
    assert float(total["GBP a board at 100"]) < bom.TARGET_AT_100
    assert all(row["price basis"].startswith("estimate: ") and row["price date"] for row in rows)


def test_no_price_rises_with_the_number_bought():
    for device in CATALOGUE.values():
        assert device.price.one >= device.price.hundred >= device.price.thousand, device.mpn


def test_the_drawings_show_every_part_and_every_net_that_goes_on(netlist):
    for sheet in netlist.sheets:
        root = ElementTree.fromstring(drawing.written(netlist, sheet))
        texts = [(each.text or "").strip() for each in root.iter("{http://www.w3.org/2000/svg}text")]
        words = {word for text in texts for word in text.split()}
        parts = [part for part in netlist.parts if part.sheet == sheet]
        assert {part.ref for part in parts} <= words
        for part in parts:
            for pin in part.device.pins:
                net = netlist.net_at((part.ref, pin.number))
                beyond = {other.sheet for other, _ in netlist.on(net or "")} != {sheet}
                assert not beyond or net in texts or is_open(net or ""), (part.ref, pin.name, net)


def test_no_text_of_a_drawing_is_cut_off_at_its_edge(netlist):
    for sheet in netlist.sheets:
        root = ElementTree.fromstring(drawing.written(netlist, sheet))
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            x, y, long = float(text.attrib["x"]), float(text.attrib["y"]), 7.2 * len((text.text or "").strip())
            left = {"start": x, "middle": x - long / 2, "end": x - long}[text.attrib["text-anchor"]]
            wide = 1.8 if text.attrib["class"] == "title" else 1.0
            inside = left >= 0 and left + long * wide <= width and 0 < y < height
            assert inside, (sheet, text.text)


def test_the_command_checks_what_is_kept_and_says_what_is_wrong(netlist, tmp_path, monkeypatch):
    done = CliRunner().invoke(app, ["check"])
    assert (done.exit_code, "nothing found" in done.output) == (0, True), done.output
    monkeypatch.setattr(outputs, "kept", lambda: netlist.without("R1"))
    done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 1
    assert "USB_CC1" in done.output


def test_the_command_writes_everything_elsewhere(netlist, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "has_skidl", lambda: False)
    done = CliRunner().invoke(app, ["generate", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for path, text in outputs.files(netlist).items():
        assert (tmp_path / path).read_text(encoding="utf-8") == text
