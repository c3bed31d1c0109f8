"""Recalls: results that must not be relied on any more, and the people behind them."""
