"""A document's text cut into chunks for retrieval (ADR 24). Called in the process that lives for this one document."""
