"""Any server with OpenAI's ``/v1/videos``, ``/v1/images`` and chat: gateways and self-hosted engines."""
