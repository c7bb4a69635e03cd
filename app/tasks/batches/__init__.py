"""Batches: many requests for films in one file, made as ordinary tasks, with one file of answers."""
