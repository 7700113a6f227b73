"""The message store: files and positions, synchronous. It imports no network and no event loop; clock and logger are
passed in. `MessageStore` in store.py is the face, everything else is behind it.
"""
