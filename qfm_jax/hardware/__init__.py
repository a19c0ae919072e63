"""Qiskit's side: backends, noise, and what a circuit costs on a quantum computer."""
