"""Where the prices come from: no distributor was asked, so each is an estimate with its basis."""

from ..device import Price

DATE = "30 November 2026"  # when the estimates were made

_BASES = {
    "passive": "typical distributor price breaks for chip passives of this size",
    "discrete": "typical distributor price breaks for this package and function",
    "ic": "typical distributor price breaks for this family of circuits",
    "module": "typical price of a finished module from its maker or a reseller",
    "cell": "typical price of a cell of this capacity, with leads fitted",
    "mechanical": "typical distributor price breaks for connectors and switches of this size",
    "made": "typical price of a small series made to drawing",
}


def estimate(basis: str, one: float, hundred: float, thousand: float) -> Price:
    """Pounds each at 1, 100 and 1,000 boards, before tax and carriage."""
    return Price(one, hundred, thousand, f"estimate: {_BASES[basis]}")
