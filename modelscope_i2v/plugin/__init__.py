"""How ModelScope finds this package: registration, and autoload for programs that do not import it."""
