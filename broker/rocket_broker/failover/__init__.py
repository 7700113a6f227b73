"""Failover: who is a group's master, decided by a lease, and what it may acknowledge (design section 6)."""
