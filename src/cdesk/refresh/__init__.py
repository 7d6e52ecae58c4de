"""Keeps derived tables up to date with the stream: tasks in SQL, run when what they read has changed, or by the clock."""
