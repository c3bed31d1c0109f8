"""Notices: who was told that something waits, by mail and webhook, with a reference and no word about a person."""
