"""What quality control says is on the pages: beside the result, of custody and of its own."""

from playwright.sync_api import expect

from tests.server import factory
from tests.server.quality.test_records import control, person
from tests.server.running import Organisation
from tests.server.web.conftest import SignIn


def test_a_result_says_how_its_reader_stood_and_that_its_cassette_was_used_twice(
    organisation: Organisation, sign_in: SignIn
) -> None:
    reader = organisation.reader
    organisation.deliver(
        control(reader, level="positive", serial="C1"),
        control(reader, passed=False, level="negative", serial="C2"),
        person(reader, "P1"),
        person(reader, "P1"),
    )
    page = sign_in(organisation)
    page.get_by_role("link", name="S-P1").first.click()
    expect(page.get_by_text("Failed when it was tested: level negative").first).to_be_visible()
    expect(page.get_by_role("heading", name="Quality control had failed")).to_be_visible()
    expect(page.get_by_role("heading", name="The same cassette is in more than one test")).to_be_visible()
    page.get_by_role("link", name="See quality control").click()
    expect(page.get_by_role("heading", name="Quality control", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="negative Failed")).to_be_visible()
    expect(page.get_by_role("row", name="positive Passed")).to_be_visible()


def test_a_result_without_quality_control_says_that_there_is_none(organisation: Organisation, sign_in: SignIn) -> None:
    organisation.deliver(person(organisation.reader, "P1"))
    page = sign_in(organisation)
    page.get_by_role("link", name="S-P1").click()
    expect(page.get_by_text("No quality control on record when it was tested").first).to_be_visible()
    assert page.get_by_role("heading", name="Quality control had failed").count() == 0
    page.goto("/custody")
    page.get_by_role("link", name="how quality control stands").click()
    expect(page.get_by_text("No quality-control test has arrived yet.")).to_be_visible()


def test_a_failed_control_is_the_worklists_first_word_until_its_level_passes(
    organisation: Organisation, sign_in: SignIn
) -> None:
    reader = organisation.reader
    organisation.deliver(control(reader, passed=False, serial="C1"))
    page = sign_in(organisation)
    expect(page.get_by_role("heading", name="Quality control failed")).to_be_visible()
    expect(page.get_by_text("sars2-ag on").first).to_be_visible()
    page.get_by_role("link", name="See quality control").click()
    expect(page.get_by_role("row", name="positive Failed")).to_be_visible()
    organisation.deliver(control(reader, serial="C2"))
    page.goto("/")
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    assert page.get_by_role("heading", name="Quality control failed").count() == 0


def test_a_control_that_passed_on_the_reader_only_is_in_doubt_on_the_worklist_and_beside_the_results_after_it(
    organisation: Organisation, sign_in: SignIn
) -> None:
    reader = organisation.reader
    no_line = factory.strip_trace(factory.strip_samples(test=0))
    organisation.deliver(control(reader, serial="C1", trace=no_line), person(reader, "P1"))
    page = sign_in(organisation)
    banner = page.get_by_role("heading", name="Quality control is in doubt")
    while not banner.count():  # the running server recomputes by itself; the page's own time-out is what fails
        page.reload()
        page.wait_for_timeout(200)
    page.goto("/quality")
    expect(page.get_by_role("row", name="positive In doubt")).to_be_visible()
    expect(page.get_by_text("recomputed from its trace: differs")).to_be_visible()
    page.goto("/")
    page.get_by_role("link", name="S-P1").click()
    expect(page.get_by_role("heading", name="Quality control is in doubt")).to_be_visible()
    expect(page.get_by_text("In doubt: level positive").first).to_be_visible()
