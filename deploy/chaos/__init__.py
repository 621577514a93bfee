"""A billing day under fire, beside the same day in peace: the final books must be equal."""
