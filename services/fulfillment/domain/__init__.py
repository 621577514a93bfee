"""What fulfillment decides, without I/O and without a clock."""
