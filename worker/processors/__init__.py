"""Code for media families: a file in, findings out. No store, no Redis, no settings."""
