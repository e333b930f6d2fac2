"""The generated part of the specification: all of it follows from the wire vocabulary. (spec README)

Every function here takes the vocabulary as an argument, so that a chapter added by a test shows up everywhere.
"""
