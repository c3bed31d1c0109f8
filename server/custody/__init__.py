"""Custody of sealed records: the exchange, chains, receipts, downlink and quarantine."""
