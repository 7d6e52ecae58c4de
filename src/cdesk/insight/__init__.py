"""From derived tables to what is told: insight atoms, and contexts made of statements with their sources."""
