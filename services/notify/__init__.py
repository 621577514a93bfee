"""Messages and the proof that they were sent."""
