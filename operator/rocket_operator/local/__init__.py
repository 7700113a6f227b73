"""The planner's substrate on one machine: a name server or broker is a process with its own ports and folder.

Thin, as cluster.py is for Kubernetes: it observes and acts, and decides nothing.
"""
