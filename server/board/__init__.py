"""The cascade board: how many positives were acknowledged, reached and brought to an outcome, and how fast."""
