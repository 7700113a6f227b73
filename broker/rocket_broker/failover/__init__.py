"""Failover: who is a group's master, decided by a lease, and what it may acknowledge (design section 6).

The rules alone: brokers have fixed roles until a lease store and the stream with epochs are there to go by them.
"""
