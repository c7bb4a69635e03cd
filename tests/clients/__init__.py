"""Other people's programs of today: `make clients`."""
