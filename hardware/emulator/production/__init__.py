"""The production test of a reader's board: each part asked by the firmware's own driver, and told with its limits."""
