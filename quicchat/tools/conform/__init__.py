"""A kit that holds any implementation against the specification, and shares no code with ours. (spec README)"""
