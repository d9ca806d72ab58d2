"""What the Makefile runs besides the tests: the lock, licences, advisories and the bill of materials."""
