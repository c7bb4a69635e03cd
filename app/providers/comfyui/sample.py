"""A workflow for the table of providers."""

SAMPLE_WORKFLOW = {
    "graph": {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "2": {"class_type": "LoadImage", "inputs": {"image": ""}},
        "3": {"class_type": "WanImageToVideo", "inputs": {"positive": ["1", 0], "start_image": ["2", 0]}},
    },
    "inputs": {
        "prompt": {"node": "1", "field": "text"},
        "first_frame": {"node": "2", "field": "image"},
    },
}
