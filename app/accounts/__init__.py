"""Credentials at providers: kept sealed, handed out to those who call upstream."""
