"""Veo on Google Cloud (Vertex AI, now Gemini Enterprise Agent Platform); the secret is a service account's JSON."""
