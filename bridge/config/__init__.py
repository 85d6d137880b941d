"""Configuration and rule files, checked strictly: every mistake has its file, line and path."""
