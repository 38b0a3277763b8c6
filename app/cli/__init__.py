"""The command line client, `./headrace`. One file a command; stack.py and processes.py are shared with devstack/, which writes what they read."""
