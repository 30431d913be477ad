"""Measurements on this machine: training steps, topology updates and attribution, beside other ways to compute them."""
