"""Plans, people and agreements."""
