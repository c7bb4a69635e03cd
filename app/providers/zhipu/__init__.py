"""Zhipu's video API (``/api/paas/v4/videos``), at Z.ai and open.bigmodel.cn."""
