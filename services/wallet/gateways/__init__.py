"""Licensed institutions in their own language, kept out of everything else."""
