"""fal's queue (``queue.fal.run``): any model it hosts, videos, images and sound."""
