"""A channel's sockets, cheap: a protocol class for uvicorn, and three tiers behind one endpoint (docs/adr/0010-cheap-sockets.md).

parked      plain TCP on Linux: no transport, no task; a descriptor in one epoll object, and a record
handed off  the endpoint has returned, the transport stays: TLS in the process, or no epoll
plain       the endpoint stays in its receive loop: another server than uvicorn with our class
"""
