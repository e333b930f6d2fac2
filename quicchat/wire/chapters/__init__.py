"""The chapters of the protocol: each holds its PDUs and the rows they add to the automaton. (ARCHITECTURE)"""
