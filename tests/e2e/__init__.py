"""The gateway as clients meet it: a real process, driven by the clients people really use."""
