"""Seedance and Seedream on Volcengine Ark and on BytePlus ModelArk, which speak the same API."""
