"""SiliconFlow's video API (``/v1/video``)."""
