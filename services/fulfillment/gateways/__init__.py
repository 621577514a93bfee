"""The warehouse's and the carriers' languages, kept out of the rest."""
