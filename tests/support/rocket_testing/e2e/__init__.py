"""A real Kubernetes with our images and our operator, for tests/e2e.

kubernetes     a running cluster: kubectl, helm, objects, waiting, commands inside its network
images         our images as archives, built when what they are made of changed
traffic        messages that flow while a test changes things, with a ledger
"""
