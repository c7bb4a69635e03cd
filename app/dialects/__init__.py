"""The client side: one file per dialect, each parses into the waist and renders from it."""
