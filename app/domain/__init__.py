"""The words and rules of Headrace: standard library and pydantic only, no I/O. See docs/glossary.md."""
