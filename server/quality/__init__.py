"""Quality control: tests of control material on each reader, and what they say of the results beside them."""
