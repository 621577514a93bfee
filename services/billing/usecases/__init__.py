"""What billing does: one file per verb."""
