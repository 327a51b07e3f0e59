"""The command line: its parser, and the commands that administer a data folder."""
