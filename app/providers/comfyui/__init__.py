"""ComfyUI: the operator's workflows as models, run by its own queue."""
