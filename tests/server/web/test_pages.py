"""The clinician's pages in a real browser: what is seen, by whom, with which device."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server.running import Organisation, Running
from tests.server.web import specimens
from tests.server.web.conftest import DESKTOP, PHONE, Pictures, SignIn

AXE = Path(__file__).resolve().parents[3] / "node_modules" / "axe-core" / "axe.min.js"

KINDS = {
    "POS-1": ("Positive", None),
    "NEG-1": ("Negative", None),
    "GREY-1": ("Indeterminate", "between the assay's negative and positive limits"),
    "NOCTRL-1": ("Invalid", "The control line did not appear"),
    "LOST-1": ("Error", "lost power before the test was read"),
    "AMP-POS-1": ("Positive", None),
    "AMP-NEG-1": ("Negative", None),
    "AMP-INV-1": ("Invalid", "Neither the specimen nor the internal control amplified"),
}


def listed(page: Page) -> list[str]:
    page.wait_for_load_state()  # a click ends when the next page begins
    return page.locator(".worklist__link").all_inner_texts()


def open_result(page: Page, specimen: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=specimen, exact=True).click()
    page.get_by_role("heading", name=re.compile(f"Specimen {specimen}")).wait_for()
    page.wait_for_load_state()


def fact(page: Page, name: str) -> str:
    row = page.locator(".nhsuk-summary-list__row").filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))
    return row.locator("dd").inner_text()


def test_what_needs_a_decision_comes_first(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    names = listed(page)
    assert set(names[:4]) == {"POS-1", "NOCTRL-1", "AMP-POS-1", "AMP-INV-1"}
    assert set(names[4:6]) == {"GREY-1", "LOST-1"}
    assert set(names[6:]) == {"NEG-1", "AMP-NEG-1"}
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings == ["Needs a decision", "Has to be repeated or confirmed", "Negative"]


def test_a_row_says_outcome_assay_time_and_place_in_words(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    row = page.locator("tr", has=page.get_by_role("link", name="POS-1", exact=True))
    expect(row).to_contain_text("Positive")
    expect(row.locator("svg.outcome__shape")).to_be_visible()
    expect(row).to_contain_text("SARS-CoV-2 antigen")
    expect(row).to_contain_text(re.compile(r"(Today|Yesterday) at \d"))
    expect(row).to_contain_text(re.compile(r"within \d+ (second|minute)s?"))
    expect(row).to_contain_text("Hillside village hall")
    expect(row).to_contain_text("Reader 1")


@pytest.mark.parametrize("specimen", KINDS)
def test_a_result_of_each_kind_says_what_was_found_and_why(ward: Organisation, sign_in: SignIn, specimen: str) -> None:
    page = sign_in(ward)
    open_result(page, specimen)
    word, reason = KINDS[specimen]
    expect(page.locator("h1 .outcome")).to_have_text(word)
    if reason:
        expect(page.locator(".verdict")).to_contain_text(reason)
    if word in ("Invalid", "Error"):
        expect(page.locator(".verdict")).to_contain_text("must not be read as negative")
    assert fact(page, "Specimen") == specimen
    assert "LOT1" in fact(page, "Lot")
    assert fact(page, "Operator") == "op-7"
    assert "Hillside village hall" in fact(page, "Site")
    assert "within" in fact(page, "Recorded" if specimen == "LOST-1" else "Tested")
    assert fact(page, "Reader's own clock").startswith("Not set")
    whole = "first record of its reader" if specimen == "NEG-1" else "records 1 to 8 are held, and this one follows"
    assert whole in fact(page, "Chain")
    assert fact(page, "Receipt").startswith("Issued")
    assert fact(page, "Self-check") == "Every part passed"
    if specimen == "LOST-1":
        expect(page.locator(".trace")).to_contain_text("no trace")
    else:
        expect(page.locator(".plot .u-over")).to_be_visible()


def test_the_strip_is_drawn_with_its_lines_and_cut_off(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward, java_script_enabled=False)
    open_result(page, "POS-1")
    plot = page.locator("svg.plot__svg")
    expect(plot).to_be_visible()
    assert plot.locator(".plot__label").all_text_contents() == ["T", "C"]
    assert plot.locator(".plot__rule--cutoff").count() == 1
    assert plot.locator(".plot__line--profile").get_attribute("d").count("L") == 127
    legend = page.locator(".plot__legend").inner_text()
    for words in ("Test line: SARS-CoV-2", "Control line", "Cut-off of a test line, 1.6%", "Baseline"):
        assert words in legend
    open_result(page, "NOCTRL-1")
    expect(page.locator(".plot__legend")).to_contain_text("Where the control line should be")
    expect(page.locator(".plot__caption")).to_contain_text("There is no control line")


def test_the_curves_are_drawn_with_the_time_to_positive(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward, java_script_enabled=False)
    open_result(page, "AMP-POS-1")
    assert page.locator(".plot__label").all_text_contents() == ["S", "IC", "Limit"]
    legend = page.locator(".plot__legend").inner_text()
    told = re.search(r"Time to positive, (\d+):\d\d", legend)
    assert told
    assert 10 <= int(told[1]) <= 14
    assert "Latest time that counts as positive, 40:00" in legend
    open_result(page, "AMP-INV-1")
    assert page.locator(".plot__label").all_text_contents() == ["Limit"]
    expect(page.locator(".plot__caption")).to_contain_text("The internal control did not rise.")


def test_the_numbers_are_behind_the_plot(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    open_result(page, "POS-1")
    details = page.locator("details", has_text="Every pixel of the strip")
    details.locator("summary").click()
    assert details.locator("tbody tr").count() == 128
    open_result(page, "AMP-POS-1")
    details = page.locator("details", has_text="Every sample")
    details.locator("summary").click()
    assert details.locator("tbody tr").count() == 270


def test_the_list_is_narrowed_and_the_address_keeps_it(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    page.get_by_label("Outcome").select_option("Positive")
    page.get_by_label("Assay").select_option("SARS-CoV-2 RNA (LAMP)")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?outcome=positive&assay=sars2-lamp")
    assert listed(page) == ["AMP-POS-1"]
    page.reload()
    assert listed(page) == ["AMP-POS-1"]
    page.get_by_role("link", name="Show all").click()
    assert len(listed(page)) == 8


def test_a_new_result_appears_without_reload_and_is_announced(organisation: Organisation, sign_in: SignIn) -> None:
    page = sign_in(organisation)
    expect(page.locator("#results")).to_contain_text("No results have arrived yet")
    page.evaluate("window.notReloaded = true")
    organisation.deliver(specimens.strip_body(organisation.reader, "LIVE-1", test=6_000))
    expect(page.get_by_role("link", name="LIVE-1", exact=True)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^1 new result at (\d+(:\d\d)?[ap]m|midday|midnight)$"))
    organisation.deliver(*(specimens.strip_body(organisation.reader, f"LIVE-{n}", test=0) for n in (2, 3)))
    expect(page.get_by_role("link", name="LIVE-3", exact=True)).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("2 new results")
    assert listed(page)[0] == "LIVE-1"
    assert page.evaluate("window.notReloaded") is True


def test_results_of_another_organisation_neither_show_nor_wake_the_page(
    running: Running, organisation: Organisation, sign_in: SignIn
) -> None:
    page = sign_in(organisation)
    other = running.organisation()
    other.deliver(specimens.strip_body(other.reader, "THEIRS-1", test=6_000))
    organisation.deliver(specimens.strip_body(organisation.reader, "OURS-1", test=0))
    expect(page.get_by_role("link", name="OURS-1", exact=True)).to_be_visible()
    assert listed(page) == ["OURS-1"]
    theirs = sign_in(other)
    address = theirs.get_by_role("link", name="THEIRS-1", exact=True).get_attribute("href")
    answer = page.context.request.get(address, headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "THEIRS-1" not in answer.text()


def test_everything_can_be_reached_and_read_with_the_keyboard_alone(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    wanted = page.get_by_role("link", name="POS-1", exact=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        if wanted.evaluate("link => link === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=re.compile("Specimen POS-1")).wait_for()
    summary = page.locator("details summary").first
    for _ in range(20):
        page.keyboard.press("Tab")
        if summary.evaluate("element => element === document.activeElement"):
            break
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("details table").first).to_be_visible()


def test_the_list_refreshing_itself_leaves_the_focus_where_it_was(organisation: Organisation, sign_in: SignIn) -> None:
    organisation.deliver(specimens.strip_body(organisation.reader, "FIRST-1", test=0))
    page = sign_in(organisation)
    page.get_by_role("link", name="FIRST-1", exact=True).focus()
    organisation.deliver(specimens.strip_body(organisation.reader, "SECOND-1", test=6_000))
    expect(page.get_by_role("link", name="SECOND-1", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="FIRST-1", exact=True)).to_be_focused()


def test_the_pages_work_without_script(organisation: Organisation, sign_in: SignIn) -> None:
    page = sign_in(organisation, java_script_enabled=False)
    organisation.deliver(specimens.strip_body(organisation.reader, "PLAIN-1", test=6_000))
    page.reload()
    page.get_by_role("link", name="PLAIN-1", exact=True).click()
    expect(page.locator("svg.plot__svg")).to_be_visible()
    page.get_by_role("navigation", name="Back").get_by_role("link", name="Worklist").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You have signed out.")


def test_a_page_is_turned_by_key_and_no_row_is_lost_or_shown_twice(organisation: Organisation, sign_in: SignIn) -> None:
    organisation.deliver(*(specimens.strip_body(organisation.reader, f"MANY-{n}", test=0) for n in range(60)))
    organisation.deliver(*(specimens.strip_body(organisation.reader, f"GOOD-{n}", test=6_000) for n in range(45)))
    page = sign_in(organisation)
    seen = listed(page)
    assert len(seen) == 50
    while page.get_by_role("link", name="More results").count():
        page.get_by_role("link", name="More results").click()
        page.get_by_role("link", name="Back to the start of the list").wait_for()
        seen += listed(page)
    assert len(seen) == len(set(seen)) == 105
    assert all(name.startswith("GOOD") for name in seen[:45])


def test_what_cannot_be_taken_is_announced_on_the_list_and_explained(
    organisation: Organisation, sign_in: SignIn, pictures: Pictures
) -> None:
    organisation.deliver(specimens.strip_body(organisation.reader, "HELD-1", test=0))
    altered = bytearray(organisation.reader.seal(specimens.strip_body(organisation.reader, "ALTERED-1", test=0)))
    altered[-1] ^= 1
    organisation.post([bytes(altered)])
    page = sign_in(organisation)
    expect(page.get_by_role("heading", name="One record is in quarantine")).to_be_visible()
    assert axe(page) == []
    pictures(page, "worklist-alert.png")
    page.get_by_role("link", name="See what is quarantined").click()
    expect(page.get_by_role("heading", name="Does not open: altered, damaged or invented")).to_be_visible()
    expect(page.locator(".quarantined")).to_contain_text("Reader 1")
    assert "ALTERED-1" not in page.content()
    assert axe(page) == []
    pictures(page, "quarantine-item.png")


def test_a_forked_chain_is_shown_on_the_list_and_on_the_result(
    organisation: Organisation, sign_in: SignIn, pictures: Pictures
) -> None:
    reader = organisation.reader
    before, number = reader.previous, reader.number + 1
    organisation.deliver(specimens.strip_body(reader, "TRUE-1", test=0))
    import cbor2

    other = reader.seal_at(number, before, cbor2.dumps(specimens.strip_body(reader, "OTHER-1", test=6_000)))
    organisation.post([other])
    page = sign_in(organisation)
    row = page.locator("tr", has=page.get_by_role("link", name="TRUE-1", exact=True))
    expect(row).to_contain_text("Custody conflict")
    open_result(page, "TRUE-1")
    expect(page.get_by_role("heading", name="Custody conflict")).to_be_visible()
    assert fact(page, "Chain") == "In conflict: another record claims number 1"
    assert axe(page) == []
    pictures(page, "result-conflict.png")
    page.goto("/")
    assert axe(page) == []
    pictures(page, "worklist-conflict.png")


def test_a_missing_record_is_shown_as_a_gap(organisation: Organisation, sign_in: SignIn) -> None:
    reader = organisation.reader
    reader.seal(specimens.strip_body(reader, "MISSING-1", test=0))
    later = reader.seal(specimens.strip_body(reader, "LATER-1", test=0))
    organisation.post([later])
    page = sign_in(organisation)
    expect(page.locator(".alert")).to_contain_text("Reader 1 (record 1)")
    open_result(page, "LATER-1")
    assert fact(page, "Chain") == "Not whole yet: an earlier record is missing, the first is number 1"
    assert fact(page, "Receipt").startswith("Not yet")


@pytest.mark.parametrize("address", ["/nowhere", "/results/1", "/results/00000000-0000-4000-8000-000000000000"])
def test_a_wrong_address_gets_a_page_that_says_what_to_do(ward: Organisation, sign_in: SignIn, address: str) -> None:
    page = sign_in(ward, java_script_enabled=False)
    answer = page.context.request.get(address, headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "text/html" in answer.headers["content-type"]
    assert "Go to the worklist" in answer.text() or "Sign in" in answer.text()
    assert page.context.request.get(address).headers["content-type"] == "application/problem+json"


def axe(page: Page) -> list[str]:
    """What axe-core finds wrong, one line each; evaluated, so that the pages' own policy stays as strict as it is."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',"
        " 'wcag21aa', 'wcag22aa', 'best-practice']})).violations"
    )
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_axe_finds_nothing_on_any_page(
    ward: Organisation, running: Running, sign_in: SignIn, view: str, pictures: Pictures
) -> None:
    page = sign_in(ward, viewport=DESKTOP if view == "desktop" else PHONE)
    hrefs = {name: page.get_by_role("link", name=name, exact=True).get_attribute("href") for name in KINDS}
    addresses = {"worklist": "/", "nothing": "/?outcome=error&assay=none", "quarantine": "/quarantine", **hrefs}
    wrong: dict[str, list[str]] = {}
    for name, address in addresses.items():
        page.goto(address)
        if name in ("POS-1", "AMP-POS-1"):
            for details in page.locator("details").all():
                details.locator("summary").click()
            wrong[f"{name}, opened"] = axe(page)
            page.reload()
        wrong[name] = axe(page)
        pictures(page, f"{name}-{view}.png")
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways by {width} pixels"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Doorstep").wait_for()
    wrong["sign in"] = axe(page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="There is a problem").wait_for()
    wrong["sign in, error"] = axe(page)
    pictures(page, f"sign-in-{view}.png")
    assert {name: found for name, found in wrong.items() if found} == {}


def test_a_result_prints_with_its_drawing_and_without_controls(ward: Organisation, sign_in: SignIn) -> None:
    page = sign_in(ward)
    open_result(page, "POS-1")
    page.locator(".plot .u-over").wait_for()
    page.emulate_media(media="print")
    expect(page.locator("svg.plot__svg")).to_be_visible()
    expect(page.locator(".plot__canvas")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.locator(".facts").first).to_be_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_nothing_comes_from_elsewhere_and_no_patient_page_is_kept(
    ward: Organisation, sign_in: SignIn, running: Running
) -> None:
    page = sign_in(ward)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto("/")
    href = page.get_by_role("link", name="POS-1", exact=True).get_attribute("href")
    result = page.goto(href)
    for response in (answer, result):
        assert response.headers["cache-control"] == "no-store"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
    assert all(url.startswith(running.url + "/") for url in asked)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert not any(name in kept for name in KINDS), kept
