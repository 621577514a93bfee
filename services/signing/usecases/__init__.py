"""What signing does: one file per verb."""
