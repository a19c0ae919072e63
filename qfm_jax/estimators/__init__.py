"""Circuits as scikit-learn calls them: a classifier, features, kernels."""
