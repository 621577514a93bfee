"""The pet wallet and its ledger."""
