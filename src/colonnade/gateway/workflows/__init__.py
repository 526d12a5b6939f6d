"""Workflows on a gateway: kept in its database, led on from step to step as its jobs end."""
