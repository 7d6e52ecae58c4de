"""Keeps the places fit: what people say about what is stored, and what time asks for."""
