"""The fault campaign: runs of every policy through proxies that break streams, and what must hold after each of them."""
