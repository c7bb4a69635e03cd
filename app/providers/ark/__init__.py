"""Seedance and Seedream on Volcengine Ark and on BytePlus ModelArk, which have the same API."""
