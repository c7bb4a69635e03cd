"""What the maker of a film has written into it and none of our copies may lose: metadata of the whole file, and boxes beside
its pictures, which hold a C2PA manifest or XMP. Runs in a child process, like everything that opens a vendor's file.

A manifest is kept byte for byte also where a copy differs from what was signed: who reads it sees who made the film, and
that it was changed since. (Where the operator signs too, it becomes part of our own manifest instead.)
"""

from pathlib import Path

from av.container import InputContainer, OutputContainer

from app.media.frames import HEADER_BYTES, read_box

FORM_FIELDS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
"""Of the file's form, which a copy has its own of."""
BOX_FORMS = (b"ftyp", b"styp")
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
ID_BYTES = 16
LARGEST_BOX = 64 * 1024 * 1024


def copy_metadata(source: InputContainer, out: OutputContainer) -> None:
    """Call before the first packet is written. What ``out`` says already stays."""
    known = FORM_FIELDS | {name.lower() for name in out.metadata}
    fields = {name: text for name, text in source.metadata.items() if name.lower() not in known}
    out.metadata.update(fields)


def append_boxes(source: Path, target: Path, *, without: tuple[bytes, ...] = ()) -> None:
    """Append the boxes of an MP4 that carry others' words, but not those whose id is in ``without``."""
    found = [box for box in maker_boxes(source) if box[HEADER_BYTES : HEADER_BYTES + ID_BYTES] not in without]
    if found:
        with target.open("ab") as file:
            file.writelines(found)


def has_manifest(path: Path) -> bool:
    """Whether an MP4 carries a C2PA manifest."""
    return any(box[HEADER_BYTES : HEADER_BYTES + ID_BYTES] == C2PA_BOX for box in maker_boxes(path))


def mark_names(**found: bool) -> tuple[str, ...]:
    return tuple(name for name, is_there in found.items() if is_there)


def maker_boxes(path: Path) -> list[bytes]:
    """The ``uuid`` boxes beside an MP4's pictures; none for another form."""
    total, position, found = path.stat().st_size, 0, []
    with path.open("rb") as file:
        if total < HEADER_BYTES or read_box(file, 0)[1] not in BOX_FORMS:
            return []
        while position + HEADER_BYTES <= total:
            size, kind = read_box(file, position)
            if size < HEADER_BYTES or position + size > total:
                break
            if kind == b"uuid" and HEADER_BYTES + ID_BYTES <= size <= LARGEST_BOX:
                file.seek(position)
                found.append(file.read(size))
            position += size
    return found
