"""What fulfillment does: one file per verb."""
