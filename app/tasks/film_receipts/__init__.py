"""Signed receipts of films: what was asked, who made it, what it cost, and the hashes of what went in and came out.

Nothing of this is entered while a film is made: a receipt is put together when it is asked for.
"""
