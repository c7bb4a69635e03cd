"""Updates the vendored modules of the panel and their manifest: ``python -m tests.panel.vendoring``.

Needs npm, and the command ``fonttools`` (``pip install fonttools brotli``), which takes out of the fonts what the panel
doesn't draw: light and black weights, pairs, ligatures and accented letters. They are 19 kB then instead of 75.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent.parent.parent / "admin_static" / "vendor"

# Package, version, file in the package, our name for it.
PARTS = [
    ("preact", "11.2.0", "dist/preact.mjs", "preact.js"),
    ("preact", "11.2.0", "hooks/dist/hooks.mjs", "preact-hooks.js"),
    ("@preact/signals-core", "1.14.5", "dist/signals-core.mjs", "signals-core.js"),
    ("@preact/signals", "2.11.4", "dist/signals.mjs", "signals.js"),
    ("htm", "3.1.1", "dist/htm.mjs", "htm.js"),
    ("uplot", "1.6.32", "dist/uPlot.iife.min.js", "uplot.js"),
    ("uplot", "1.6.32", "dist/uPlot.min.css", "uplot.css"),
    ("swagger-ui-dist", "5.35.0", "swagger-ui-bundle.js", "swagger-ui.js"),
    ("swagger-ui-dist", "5.35.0", "swagger-ui.css", "swagger-ui.css"),
    (
        "@fontsource-variable/hanken-grotesk",
        "5.3.0",
        "files/hanken-grotesk-latin-wght-normal.woff2",
        "hanken-grotesk.woff2",
    ),
    (
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "files/jetbrains-mono-latin-wght-normal.woff2",
        "jetbrains-mono.woff2",
    ),
]
# An import map would be an inline script, which the content security policy forbids.
REWRITES = {
    'from"preact/hooks"': 'from"./preact-hooks.js"',
    'from"preact"': 'from"./preact.js"',
    'from"@preact/signals-core"': 'from"./signals-core.js"',
}


FONT_WEIGHTS = "wght=400:700"
FONT_FEATURES = "tnum"
FONT_LETTERS = (
    "U+20-7E,U+A0,U+A3,U+A5,U+A9,U+B7,U+D7,U+2010-2014,U+2018-201D,U+2022,U+2026,U+20AC,U+2190-2193,U+2212"
)
"""Those of the panel's own texts. The system's font has those of other languages, as it has Chinese."""
SOURCE_MAP = re.compile(rb"/[/*]# sourceMappingURL=[^\n]*\n?$")


def rewrite_imports(name: str, content: bytes) -> bytes:
    if name.startswith(
        "swagger-ui"
    ):  # it imports nothing, and its strings hold line separators of every kind
        return SOURCE_MAP.sub(b"", content)
    if not name.endswith(".js"):
        return content
    text = content.decode()
    for old, new in REWRITES.items():
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")]
    if name == "uplot.js":
        lines.append("export default uPlot;")
    return ("\n".join(lines).rstrip() + "\n").encode()


def shrink_font(source: Path, folder: Path) -> bytes:
    """The font with the weights and features that the styles use."""
    instance, small = folder / "weights.ttf", folder / "small.woff2"
    run_fonttools("varLib.instancer", "-q", source, FONT_WEIGHTS, "-o", instance)
    run_fonttools(
        "subset",
        instance,
        f"--unicodes={FONT_LETTERS}",
        f"--layout-features={FONT_FEATURES}",
        "--flavor=woff2",
        f"--output-file={small}",
    )
    return small.read_bytes()


def run_fonttools(*arguments: str | Path) -> None:
    subprocess.run(["fonttools", *arguments], check=True)


def pack_package(package: str, version: str, folder: Path) -> Path:
    answer = subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    target = folder / package.replace("/", "-")
    with tarfile.open(folder / answer.stdout.split()[-1]) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    manifest: list[dict[str, str]] = []
    licences: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folders = {
            package: pack_package(package, version, Path(name))
            for package, version in {part[0]: part[1] for part in PARTS}.items()
        }
        for package, version, inside, ours in PARTS:
            folder = folders[package]
            if ours.endswith(".woff2"):
                content = shrink_font(folder / inside, Path(name))
            else:
                content = rewrite_imports(ours, (folder / inside).read_bytes())
            (VENDOR / ours).write_bytes(content)
            manifest.append(
                {
                    "file": ours,
                    "name": package,
                    "version": version,
                    "licence": json.loads((folder / "package.json").read_text())["license"],
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
            texts = [folder / name for name in ("LICENSE", "NOTICE", f"{inside}.LICENSE.txt")]
            known = [text.read_text().strip() for text in texts if text.exists()]
            kept = licences.setdefault(f"{package} {version}", [])
            kept += [text for text in known if text not in kept]
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (VENDOR / "LICENCES.txt").write_text(
        "\n\n".join(
            "\n\n".join([f"{title}\n{'=' * len(title)}", *texts]) for title, texts in licences.items()
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
