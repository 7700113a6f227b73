"""From a spec to what shall exist, by pure functions, one file a kind."""
