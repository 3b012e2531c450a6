#!/bin/sh
# Installs kagimori for the steps that follow: VERSION with Go, or what is in SOURCE.
set -eu
bin="${RUNNER_TEMP:-/tmp}/kagimori-bin"
mkdir -p "$bin"
if [ -n "${VERSION:-}" ]; then
	GOBIN="$bin" go install -trimpath "github.com/kagimori/kagimori/cmd/kagimori@$VERSION"
else
	(cd "$SOURCE" && go build -trimpath -o "$bin/kagimori" ./cmd/kagimori)
fi
echo "$bin" >> "$GITHUB_PATH"
