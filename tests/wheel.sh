#!/bin/sh
# Builds the wheel, installs it alone into a fresh environment, and runs it on an empty machine and on sample data.
set -eu
work=$(mktemp -d)
trap 'CDESK_HOME="$work/home" "$work/venv/bin/cdesk" down --sample >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
"$VENV/bin/python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { tail -30 "$work/build.log"; exit 1; }
"$PYTHON" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock "$work"/dist/*.whl
export CDESK_HOME="$work/home" CLAUDE_CONFIG_DIR="$work/claude"
cd "$work"
venv/bin/cdesk --version
venv/bin/cdesk up --sample --detach --port 0
CDESK_HOME="$work/home-sample" venv/bin/cdesk usage monthly
CDESK_HOME="$work/home-sample" venv/bin/cdesk sql "SELECT count(*) > 100 AS has_activities FROM CLAUDE_STREAM_V2" --json | grep -q 'true'
venv/bin/cdesk down --sample
echo "the wheel runs"
