"""What holds for all tests: no example of a property has a deadline of its own, each test has pytest's.

Hypothesis' 200 ms for an example say something about how busy the machine is, not about the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
