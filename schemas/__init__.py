"""The vocabulary: the types, settings and errors that every other room speaks.

This package imports nothing of ours, so that any part of the house may import it. Shapes that cross a border (a
process, the database, HTTP, a file) are Pydantic models; everything else is a plain value.
"""
