"""What notify decides, without I/O and without a clock."""
