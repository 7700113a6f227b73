"""Our images as archives for the test cluster, built anew when what they are made of changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[4]
NAMES = ("broker", "namesrv", "operator")
PREFIX = "localhost"

_FOLDER = PROJECT / ".build" / "e2e"
_SOURCES = (
    "Dockerfile.*", "requirements*.lock", "pyproject.toml", ".dockerignore", "README.md",
    *(f"{part}/**/*" for part in ("wire", "net", "client", "namesrv", "broker", "operator", "cli")),
)  # fmt: skip


@cache
def tag() -> str:
    """The tag of what the checkout gave when it was first asked for; what is edited during a run is not in it."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def archives() -> dict[str, Path]:
    """Name → archive, each with the image localhost/rocket-NAME:tag(). Builds what is missing; needs buildah."""
    folder = _FOLDER / tag()
    found = {name: folder / f"{name}.tar" for name in NAMES}
    if not all(path.exists() for path in found.values()):
        for old in _FOLDER.glob("*"):  # each is most of a gigabyte
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        _build()
        for name, path in found.items():
            _save(name, path)
    return found


def _build() -> None:
    _run(str(PROJECT / "tests" / "kubernetes" / "base-images.sh"))
    flags = "--layers --isolation chroot --volume /etc/ssl/certs:/etc/ssl/certs:ro"
    _run(
        "make", "images", "BUILDER=buildah", "BASE_IMAGE=localhost/python-run:1",
        "BUILD_IMAGE=localhost/python-build:1", f"BUILD_FLAGS={flags}", f"IMAGE_PREFIX={PREFIX}", f"IMAGE_TAG={tag()}",
    )  # fmt: skip


def _save(name: str, path: Path) -> None:
    image, half = f"{PREFIX}/rocket-{name}:{tag()}", path.with_suffix(".half")
    half.unlink(missing_ok=True)
    _run("buildah", "push", image, f"docker-archive:{half}:{image}")
    os.replace(half, path)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
