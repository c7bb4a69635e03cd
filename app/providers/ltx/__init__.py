"""Lightricks' LTX API (``api.ltx.video``), its asynchronous second version."""
