"""Pruners, which stop trials early: a registry by name, our own two, and the study that they are shown."""
