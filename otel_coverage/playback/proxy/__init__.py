"""A reverse proxy on this machine, which records what a browser does with an application behind it."""
