"""What was inside the records: results, events, test times, recomputation."""
