"""Lists of quality control and of a rule's versions are whole page by page."""

from typing import Any

from reader import wire
from server.accounts.models import Role
from tests.server.api.programs import code, program
from tests.server.api.test_calls import pages
from tests.server.quality.test_records import control
from tests.server.running import Organisation, Running


def test_quality_control_goes_on_page_by_page(running: Running) -> None:
    organisation = running.organisation(readers=2)
    lead = program(organisation, Role.LEAD)
    for reader in organisation.readers:
        organisation.deliver(
            *(
                control(reader, passed, level, lot, f"C{lot}{level}")
                for lot in ("LOT1", "LOT2")
                for level, passed in (("positive", True), ("negative", lot == "LOT1"))
            ),
            control(reader, lot="LOT3", changes={wire.RES_LOT: None}),
            reader=reader,
        )
    [whole] = pages(lead, "/quality-control", limit=100)
    assert [(row["reader"], row["lot"]) for row in whole] == [
        (name, lot) for name in ("Reader 1", "Reader 2") for lot in (None, "LOT1", "LOT2")
    ]
    assert [row["standing"] for row in whole] == ["passed", "passed", "failed"] * 2
    assert [len(row["levels"]) for row in whole] == [1, 2, 2] * 2
    alone = pages(lead, "/quality-control", limit=1)
    assert [where(row) for page in alone for row in page] == [where(row) for row in whole]
    # What is tested meanwhile is neither left out nor shown twice.
    first = lead.get("/quality-control", limit=2).json()
    organisation.deliver(control(organisation.readers[0], False, "positive", "LOT2", "C9"))
    rest = pages(lead, "/quality-control", limit=2, cursor=first["next_cursor"])
    seen_too = [*first["items"], *(row for page in rest for row in page)]
    assert [where(row)[:2] for row in seen_too] == [where(row)[:2] for row in whole]


def where(row: dict[str, Any]) -> tuple[str, str | None, list[int]]:
    """Reader, lot, and the records of its levels; what recomputation says of them comes in its own time."""
    return row["reader"], row["lot"], [level["number"] for level in row["levels"]]


def test_versions_of_a_rule_go_on_page_by_page(organisation: Organisation) -> None:
    lead = program(organisation, Role.LEAD)
    rule = {"urgency": "now", "acknowledge_min": 30, "act_min": 120, "working_hours": False, "tries": 4}
    for version in range(5):
        asked = {"version": version, "rule": {**rule, "tries": version + 1}}
        assert lead.put("/policies/sars2-ag/positive", asked).status_code == 200
    path = "/policies/sars2-ag/positive/versions"
    assert [[row["policy"]["version"] for row in page] for page in pages(lead, path, limit=2)] == [[5, 4], [3, 2], [1]]
    other = lead.get(path, limit=1).json()["next_cursor"]
    refused = lead.get("/policies/sars2-ag/error/versions", cursor=other)
    assert (refused.status_code, code(refused)) == (422, "cursor-refused")
