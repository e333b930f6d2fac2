"""A server, its clients and what goes wrong between them, all from one seed. (spec 12-operation)"""
