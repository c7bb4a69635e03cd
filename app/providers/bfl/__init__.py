"""Black Forest Labs (``api.bfl.ai``): FLUX pictures and FLUX 3 videos, looked at where the answer says."""
