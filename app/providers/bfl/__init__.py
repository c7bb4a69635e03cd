"""Black Forest Labs (``api.bfl.ai``): FLUX pictures and FLUX 3 videos, polled at the address that the answer names."""
