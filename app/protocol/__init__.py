"""The protocol of a source: its steps over the object store, each in one file, used by the API and by the fleet.

Accept (inbox) → commit → announce → inbox away; and erase. docs/architecture.md says why each step stands where it stands.
All of it is synchronous and sees ports only.
"""
