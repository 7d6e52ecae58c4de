"""Artifacts: whole results, kept as Parquet, that an answer can be traced to, paged through and downloaded."""
