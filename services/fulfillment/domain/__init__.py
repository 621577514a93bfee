"""What fulfillment decides; no I/O, no await, no clock."""
