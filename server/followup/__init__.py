"""Follow-up: every result that is not plainly negative has an owner and a due time until its outcome is recorded."""
