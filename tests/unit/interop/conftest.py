"""Makes the interop suite importable: its package lies beside its programs, outside the wheels."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "interop"))
