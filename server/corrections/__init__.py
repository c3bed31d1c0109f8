"""What people say of a result after the reader: corrected, withdrawn, restored, version on version."""
