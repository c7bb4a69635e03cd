"""LightX2V's own server (``/v1/tasks``), which runs one model and keeps its tasks in memory."""
