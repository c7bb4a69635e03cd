"""Model names: what they mean, and which accounts serve them."""
