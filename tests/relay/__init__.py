"""The sync flow, through a real server and against real upstreams."""
