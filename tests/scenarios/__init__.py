"""What happens to people, told by date, over all services."""
