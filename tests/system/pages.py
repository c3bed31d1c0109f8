"""A clinician's browser: signing in, reading what a page says, and what axe-core finds wrong with it."""

import re
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_DESKTOP = {"width": 1280, "height": 900}


class Pages:
    """Every page in a browser context of its own; `complaints` is what the browser wrote to its console."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []

    async def sign_in(self, email: str, password: str) -> Page:
        """The worklist of that person."""
        context = await self._browser.new_context(base_url=self._address, viewport=_DESKTOP)
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto("/sign-in")
        await page.get_by_label("Email address").fill(email)
        await page.get_by_label("Password", exact=True).fill(password)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Worklist", level=1).wait_for()
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


async def open_result(page: Page, specimen: str) -> None:
    """Follow the worklist's link to a specimen's result."""
    await page.goto("/")
    await page.get_by_role("link", name=specimen, exact=True).click()
    await page.get_by_role("heading", name=re.compile(f"Specimen {re.escape(specimen)}")).wait_for()


async def fact(page: Page, name: str) -> str:
    """What a result says beside a name."""
    row = page.locator(".nhsuk-summary-list__row").filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))
    return await row.locator("dd").inner_text()


async def axe(page: Page) -> list[str]:
    """What axe-core finds wrong, one line each; evaluated, so that the pages' own policy stays as strict as it is."""
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',"
        " 'wcag21aa', 'wcag22aa', 'best-practice']})).violations"
    )
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]
