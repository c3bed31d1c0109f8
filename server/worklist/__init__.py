"""What waits for a clinician."""
