# Included by the Makefile.
.PHONY: test
test:
	tests/peers/run.sh
