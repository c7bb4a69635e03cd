"""Gateways that make videos and images through streamed ``/v1/chat/completions``."""
