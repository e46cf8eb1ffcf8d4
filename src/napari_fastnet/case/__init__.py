"""The slides of one patient: their nodes, the suggested pN, and a report."""
