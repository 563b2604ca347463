"""How ModelScope finds this package: registration, autoload, the command modelscope i2v."""
