"""Jimeng's video API, a service of Volcengine that wants its requests signed (AK|SK)."""
