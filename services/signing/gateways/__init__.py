"""The outside's languages, kept out of the rest of signing."""
