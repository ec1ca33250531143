"""Who may do what: accounts, credentials, roles, the journal."""
