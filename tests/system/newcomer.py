"""A worker who has never seen the reader: reads the screen, does what it says, and knows nothing else of it.

What it knows is what anybody knows who is handed a reader and a bag of tests: how to hold a code before the scanner,
what a lid, a cassette and a tube are, and that the two words in the last row stand above the two buttons. It decides
by the words of its language alone, and does first what is said first; what it has just done, or sees to be so, it
does not do again.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.physics import Strip, Tube
from emulator.reader import EmulatedReader

_STILL_S = 0.08  # a person reads a picture that stands still
_PATIENCE_S = 60.0  # of ours, for a screen that answers
_ACTS = 80  # more than any test needs: a screen that leads in a circle is given up

# What each language says, and what a person then does: the method of that name. A sentence is found wherever it stands.
ENGLISH = {
    "Use another": "take_another",
    "Take a new one": "take_another",
    "Take test out": "take_out",
    "Put cassette back in": "put_in",
    "Scan specimen": "scan_specimen",
    "Scan cassette": "scan_cassette",
    "Scan badge": "scan_badge",
    "Insert cassette": "put_in",
    "Insert both tubes": "put_in",
    "Close the lid": "close_lid",
    "Press START": "press START",
    "Press NEXT": "press NEXT",
    "Keep lid closed": "wait",
    "Please wait": "wait",
    "Hold still": "wait",
}
FRENCH = {
    "Prenez-en un autre": "take_another",
    "Prenez-en une autre": "take_another",
    "Retirez le test": "take_out",
    "Remettez la cassette": "put_in",
    "Scannez l'échantillon": "scan_specimen",
    "Scannez la cassette": "scan_cassette",
    "Scannez le badge": "scan_badge",
    "Insérez-la": "put_in",
    "Insérez les deux tubes": "put_in",
    "Fermez le couvercle": "close_lid",
    "Pressez LANCER": "press LANCER",
    "Pressez SUITE": "press SUITE",
    "Laissez fermé": "wait",
    "Patientez": "wait",
    "Ne bougez pas": "wait",
}
VOCABULARY = {"en": ENGLISH, "fr": FRENCH}
OUTCOMES = {
    "en": {"POSITIVE", "NEGATIVE", "UNCLEAR", "INVALID", "ERROR"},
    "fr": {"POSITIF", "NÉGATIF", "DOUTEUX", "INVALIDE", "ERREUR"},
}


class Lost(Exception):
    """The screen did not tell what to do, or did not answer; the message is what it said."""


@dataclass
class Bag:
    """What the worker carries: the code of each cassette in the order it takes them, and what is in every pouch."""

    specimen: str
    badge: str
    cassettes: list[str]
    strip: Strip | None = None
    tubes: tuple[Tube, Tube] | None = None


@dataclass
class Newcomer:
    """`did` is what it did, in order; `surprise` is called once, when it first waits for long."""

    reader: EmulatedReader
    language: str
    bag: Bag
    surprise: Callable[[], None] | None = None
    did: list[str] = field(default_factory=list[str])
    in_reader: bool = False

    async def test(self) -> tuple[str, str]:
        """Does a whole test; the outcome's word and all that the screen said with it. Lost when it cannot go on."""
        for _ in range(_ACTS):
            text = await self._look()
            outcome = next((word for word in text.split() if word in OUTCOMES[self.language]), None)
            if outcome is not None:
                await self._press(text, "OK")
                return outcome, text
            await self._follow(text)
        raise Lost(f"after {_ACTS} acts still no outcome: {self.did}")

    async def _look(self) -> str:
        """What the screen says once it stands still; a running clock is no movement."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                text = self.reader.screen_text()
                await self.reader.let_pass(_STILL_S)
                if text.strip() and _words(self.reader.screen_text()) == _words(text):
                    return text

    async def _follow(self, text: str) -> None:
        """The first thing it says that is still to be done; failing that, OK where that is the only button."""
        said = " ".join(text.split())
        found = sorted((said.find(phrase), act) for phrase, act in VOCABULARY[self.language].items() if phrase in said)
        for _, act in found:
            if act.startswith("press "):
                await self._press(text, act.removeprefix("press "))
                return
            if act == "wait":
                await self._wait(text)
                return
            if getattr(self, act)():
                self.did.append(act)
                if act != "take_another":  # a hand that changes what it holds changes nothing on the screen
                    await self._changed(text)
                    return
        await self._acknowledge(text)

    # What hands do; False where there is nothing to do

    def take_another(self) -> bool:
        """Throw the cassette away and take the next from the bag."""
        self.bag.cassettes.pop(0)
        if not self.bag.cassettes:
            raise Lost("the bag is empty")
        return True

    def scan_specimen(self) -> bool:
        """Hold the specimen's label before the scanner."""
        self.reader.scan(self.bag.specimen)
        return True

    def scan_cassette(self) -> bool:
        """Hold the code of the cassette or of the tubes before the scanner."""
        self.reader.scan(self.bag.cassettes[0])
        return True

    def scan_badge(self) -> bool:
        """Hold the badge before the scanner."""
        self.reader.scan(self.bag.badge)
        return True

    def put_in(self) -> bool:
        """Open the lid and put in what is in the hand; the lid stays open, for nobody has said to close it."""
        if self.in_reader:
            return False
        self.in_reader = True
        self.reader.open_lid()
        if self.bag.tubes is not None:
            self.reader.insert_tube(self.bag.tubes[0], "sample")
            self.reader.insert_tube(self.bag.tubes[1], "control")
        elif self.bag.strip is not None:
            self.reader.insert_strip(self.bag.strip)
        return True

    def take_out(self) -> bool:
        """Open the lid and take out what is in the tray."""
        self.in_reader = False
        self.reader.open_lid()
        self.reader.remove_strip()
        return True

    def close_lid(self) -> bool:
        """Close the lid if it is open."""
        if not self.reader.circuit.world.lid_open:
            return False
        self.reader.close_lid()
        return True

    async def _press(self, text: str, label: str) -> None:
        row = text.splitlines()[-1]
        if label not in row.split():
            raise Lost(f"no button is marked {label}:\n{text}")
        self.did.append(f"press {label}")
        await self.reader.press("A" if row.startswith(label) else "B")
        await self._changed(text)

    async def _acknowledge(self, text: str) -> None:
        labels = text.splitlines()[-1].split()
        if labels != ["OK"]:
            raise Lost(f"the screen does not say what to do:\n{text}")
        await self._press(text, labels[0])

    async def _wait(self, text: str) -> None:
        if self.surprise is not None and re.search(r"\d\d:\d\d", text):
            self.surprise()
            self.surprise = None
            await self._changed(text)
            return
        await self._changed(text, 10 * _PATIENCE_S)

    async def _changed(self, text: str, timeout: float = _PATIENCE_S) -> None:
        await self.reader.wait_for(
            lambda: _words(self.reader.screen_text()) != _words(text), timeout, "an answer of the screen"
        )


def _words(text: str) -> str:
    """The text without the figures that run: clock, temperature, battery."""
    return re.sub(r"[\d:.%\s]+", " ", text)
