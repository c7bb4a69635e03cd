"""The child process that signs films. It alone holds the key, and it decodes nothing: the process that opens foreign films to
decode them never sees a key."""

import json
import sys
from pathlib import Path
from typing import Any

from c2pa import Builder, C2paError, C2paSignerInfo, Reader, Signer

from app import __version__
from app.children.serving import SendNews, limit_memory, serve_orders

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Made by a trained model: https://cv.iptc.org/newscodes/digitalsourcetype/"""
VENDOR_PART = "xmp:iid:as-the-vendor-made-it"
WHOLE = ("Valid", "Trusted")


def run_order(order: dict[str, Any], send_news: SendNews) -> dict[str, Any]:
    """Sign ``source`` into ``target``. The answer: ``sealed``, and whether the vendor's manifest is in it; or ``refused``
    with the reason."""
    try:
        return _seal_film(order)
    except (C2paError, OSError, ValueError) as error:
        return {"refused": str(error)[:500] or type(error).__name__}


def _seal_film(order: dict[str, Any]) -> dict[str, Any]:
    source, target, vendor = (Path(order[name]) for name in ("source", "target", "vendor"))
    form: str = order["form"]
    inherits = _has_manifest(vendor, order["vendor_form"])
    first = (
        {"action": "c2pa.opened", "parameters": {"ingredientIds": [VENDOR_PART]}}
        if inherits
        else {"action": "c2pa.created"}
    )
    actions = [{**first, "digitalSourceType": SOURCE_TYPE}, *({"action": name} for name in order["actions"])]
    generator = {"name": "Filmgate", "version": __version__}
    document = {
        "claim_generator_info": [generator],
        "title": order["title"],
        "format": form,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    builder = Builder.from_json(json.dumps(document))
    if inherits:
        part = {"title": "As the vendor made it", "relationship": "parentOf", "instance_id": VENDOR_PART}
        with vendor.open("rb") as file:
            builder.add_ingredient(part, order["vendor_form"], file)
    with source.open("rb") as file, target.open("w+b") as out:
        builder.sign(_open_signer(order), form, file, out)
    with target.open("rb") as file:
        state = Reader(form, file).get_validation_state()
    if state not in WHOLE:
        return {"refused": f"What was signed is not valid: {state}"}
    return {"sealed": True, "inherits": inherits}


def _open_signer(order: dict[str, Any]) -> Signer:
    certificate, key = (Path(order[name]).read_bytes() for name in ("certificate", "key"))
    return Signer.from_info(C2paSignerInfo(order["algorithm"], certificate, key, None))


def _has_manifest(path: Path, form: str) -> bool:
    if form not in Reader.get_supported_mime_types():
        return False
    try:
        with path.open("rb") as file:
            return bool(Reader(form, file).json())
    except C2paError.ManifestNotFound:
        return False


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    serve_orders(run_order)
