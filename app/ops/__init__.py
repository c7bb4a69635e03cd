"""Operations: the outermost layer of the web process, logs, metrics, health."""
