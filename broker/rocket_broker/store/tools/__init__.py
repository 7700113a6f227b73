"""Looks at a store's folder from outside: what is in it, whether it holds together. Looking writes nothing."""
