"""The pages: dashboard, sign-in, account, security, recovery."""
