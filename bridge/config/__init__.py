"""From files to rules and settings: strict, with every mistake named by file, line and path."""
