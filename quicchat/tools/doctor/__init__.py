"""`quicchat doctor`: why a connection fails, step by step, and what helps. (spec 12-operation)"""
