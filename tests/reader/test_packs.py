"""Packs on the reader: the old one or the new one after any cut, never an older one by damage, never two for a code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator import image
from reader import packfile
from tests.reader.conftest import FIRMWARE, ROOT, run_micropython
from tests.reader.stubs.packs import pack

FAULTS = ROOT / "hardware" / "emulator" / "faults" / "on_micropython"
OTHER = {"id": "other-ag", "gtins": ["02000000000206"], "controls": [], "qc_levels": [], "qc_hours": 0, "qc_tests": 0,
         "qc_after_fault": False}  # fmt: skip


@pytest.fixture(scope="module")
def firmware() -> Path:
    """The image that is flashed, with its packs and their index."""
    return image.build(FIRMWARE)


def test_a_power_cut_at_any_write_leaves_the_old_pack_or_the_new_one(firmware: Path, tmp_path: Path) -> None:
    (tmp_path / "2").write_bytes(pack("sars2-ag", version=2))
    (tmp_path / "3").write_bytes(pack("sars2-ag", version=3))
    (tmp_path / "other").write_bytes(pack("sars2-ag", **OTHER))
    said = run_micropython(
        "pack_cut.py", str(FAULTS), str(tmp_path), heap="16M", timeout_s=240, firmware=firmware
    )  # fmt: skip
    assert int(said.split()[1]) > 100


def run(firmware: Path, script: str) -> Any:
    """The JSON that a script prints last, under MicroPython on a flash in memory, with the packs of the release."""
    packs = {
        "V2": pack("sars2-ag", version=2), "OTHER_V2": pack("sars2-ag", version=2, search_um=600),
        "V3": pack("sars2-ag", version=3), "OTHER": pack("sars2-ag", **OTHER),
        "TAKEN": pack("sars2-ag", **(OTHER | {"gtins": ["02000000000022"]})),
        "ONE": packfile.built_in()["sars2-ag", 1], "ONE_CHANGED": pack("sars2-ag", search_um=600),
    }  # fmt: skip
    lines = [
        "import json, os, sys",
        f"sys.path.insert(0, {str(FAULTS)!r})",
        "import nor",
        f"nor.board({str(firmware)!r})",
        "nor.mount(nor.Flash(nor.blank(64)))",
        "from reader import assays, packs",
        *(f"{name} = {content!r}" for name, content in packs.items()),
        "def version(): return packs.by_gtin('02000000000015').version",
        "def refused(pack):",
        "    try: packs.store(pack)",
        "    except assays.PackError as error: return error.why",
        "def rot(path):",
        "    with open(path, 'r+b') as file:",
        "        file.seek(9); byte = file.read(1); file.seek(9); file.write(bytes((byte[0] ^ 1,)))",
        script,
    ]
    program = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [str(program), "-X", "heapsize=8M", "-c", "\n".join(lines)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_every_assay_of_the_release_is_found_by_its_codes_and_its_controls_from_the_index(firmware: Path) -> None:
    asked = {
        assay.id: (assay.gtins[0], assay.controls[0][0], assay.controls[0][1]) for assay in packfile.every()
    }  # fmt: skip
    said = run(
        firmware,
        f"""
found = {{}}
for id, (gtin, control, level) in {asked!r}.items():
    of = packs.by_control(control)
    found[id] = [packs.by_gtin(gtin).id, of.id, of.control(control)[1] == level, packs.by_gtin(control) is None,
                 packs.by_control(gtin) is None]
print(json.dumps([found, packs.by_gtin("09506000134352"), packs.inspect()]))
""",
    )
    assert said == [{assay_id: [assay_id, assay_id, True, True, True] for assay_id in asked}, None, []]


def test_a_version_is_never_lowered_and_never_changed_under_its_number(firmware: Path) -> None:
    said = run(
        firmware,
        """
steps = [version(), refused(ONE), refused(ONE_CHANGED), refused(V3), version(), refused(V2), refused(ONE), version(),
         refused(V3)]
print(json.dumps([steps, sorted(os.listdir("/packs"))]))
""",
    )
    above = "not above the one kept"
    assert said == [
        [1, None, "not above the firmware's", None, 3, above, above, 3, None],
        ["sars2-ag.3.pack", "settled"],
    ]


def test_the_same_version_with_another_content_is_refused_and_the_first_stays(firmware: Path) -> None:
    said = run(firmware, "packs.store(V2); print(json.dumps([refused(OTHER_V2), packs.newest('sars2-ag').search_um]))")
    assert said == ["kept with another content", 700]


def test_a_pack_of_a_new_assay_is_a_new_assay_but_not_with_another_ones_code(firmware: Path) -> None:
    said = run(
        firmware,
        """
why = refused(TAKEN)
packs.store(OTHER)
print(json.dumps([why, packs.by_gtin("02000000000206").id, packs.by_gtin("02000000000022").id]))
""",
    )
    assert said == ["another assay has it: flu-ab-ag", "other-ag", "flu-ab-ag"]


def test_one_damaged_copy_is_mended_from_the_other_and_two_never_bring_back_the_firmwares_older_one(
    firmware: Path,
) -> None:
    said = run(
        firmware,
        """
packs.store(V2)
seen = []
for folder in ("/packs/", "/spare/"):
    rot(folder + "sars2-ag.2.pack")
    seen.append([version(), packs.inspect(), version()])
rot("/packs/sars2-ag.2.pack"); rot("/spare/sars2-ag.2.pack")
try: seen.append(version())
except packs.PackDamaged as error: seen.append(str(error))
seen.append(packs.inspect())
seen.append(packs.by_gtin("02000000000022").id)
seen.append(refused(V2))
seen.append([version(), packs.inspect()])
print(json.dumps(seen))
""",
    )
    assert said == [
        [2, [], 2],
        [2, [], 2],
        "sars2-ag version 2",
        [["sars2-ag", 2]],
        "flu-ab-ag",
        None,
        [2, []],
    ]


def test_the_number_of_packs_is_bounded_and_a_full_folder_still_takes_a_higher_version(firmware: Path) -> None:
    def number(nth: int) -> str:
        digits = f"020000000{3000 + nth}"
        total = sum(int(digit) * (1 if place & 1 else 3) for place, digit in enumerate(digits))
        return digits + str(-total % 10)

    many = [pack("sars2-ag", **(OTHER | {"id": f"a{nth}", "gtins": [number(nth)]})) for nth in range(25)]
    higher = pack("sars2-ag", **(OTHER | {"id": "a0", "version": 2, "gtins": [number(0)]}))
    said = run(firmware, f"print(json.dumps([[refused(one) for one in {many!r}], refused({higher!r})]))")
    assert said == [[None] * 24 + ["no room for another assay"], None]
