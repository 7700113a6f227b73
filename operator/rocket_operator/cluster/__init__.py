"""The planner's substrate on Kubernetes: observe, server-side apply, delete.

Thin, as local/ is for one machine: it observes and acts, and decides nothing. Only this package calls the Kubernetes
API (api.py), and only brokers.py talks to name servers and brokers.
"""
