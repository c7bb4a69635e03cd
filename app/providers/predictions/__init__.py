"""Services whose work is a "prediction": WaveSpeed, Atlas Cloud and MuAPI."""
