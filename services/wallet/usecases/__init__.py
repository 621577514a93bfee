"""What wallet does: one file per verb."""
