"""Luma: the legacy Dream Machine API, or with ``options.api ="""
