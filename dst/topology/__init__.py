"""Topology updates: connections that drop, connections that grow, how many, and when."""
