"""The local context cache: what Claude is told of a customer and project, readable by any process in microseconds."""
