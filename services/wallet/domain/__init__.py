"""What wallet decides, without I/O and without a clock."""
