#!/bin/sh
# Runs the policy tests of TESTS and checks FILES, with annotations. What fails is told after all was
# run: the step ends with the exit code of the check, or 1 if only a test failed.
set -eu
set -f # FILES and TESTS are names with spaces between them, not patterns
code=0
tests=0
if [ -n "${TESTS:-}" ]; then
	# shellcheck disable=SC2086
	kagimori test --format github --lang "$LANGUAGE_OF_TEXTS" $TESTS || tests=$?
fi
if [ -n "${FILES:-}" ]; then
	set --
	[ -z "${BASELINE:-}" ] || set -- "$@" --baseline "$BASELINE"
	[ -z "${SARIF:-}" ] || set -- "$@" --output "sarif=$SARIF"
	[ -z "${JUNIT:-}" ] || set -- "$@" --output "junit=$JUNIT"
	[ -z "${COMMENT:-}" ] || set -- "$@" --output "markdown=$COMMENT"
	[ -z "${GITHUB_STEP_SUMMARY:-}" ] || set -- "$@" --output "markdown=$GITHUB_STEP_SUMMARY"
	# shellcheck disable=SC2086
	kagimori check --format github --lang "$LANGUAGE_OF_TEXTS" --fail-on "$FAIL_ON" "$@" ${ARGS:-} $FILES || code=$?
elif [ -z "${TESTS:-}" ]; then
	echo "::error::kagimori: neither files nor tests were given"
	exit 3
fi
echo "exit-code=$code" >> "$GITHUB_OUTPUT"
[ "$code" -ne 0 ] || code=$tests
exit "$code"
