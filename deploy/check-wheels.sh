#!/usr/bin/env bash
# Before a release: has every locked package a wheel for each machine that Filmgate is installed on? Asks the package
# registry, installs nothing. Versions of Python as arguments, say: deploy/check-wheels.sh 3.11 3.14
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
failed=0

# What `--platform` names is not extended by pip to older systems, so each is named; the newest is Debian 12's glibc.
platforms() {
  local version
  for version in 2_36 2_35 2_34 2_31 2_28 2_27 2_26 2_24 2_17; do printf -- '--platform manylinux_%s_%s ' "$version" "$1"; done
  printf -- '--platform manylinux2014_%s' "$1"
}

for python in "${@:-3.11}"; do
  for machine in x86_64 aarch64; do
    # shellcheck disable=SC2046
    if "${PIP:-pip}" install --quiet --dry-run --ignore-installed --no-deps --only-binary :all: --require-hashes \
      --python-version "$python" --implementation cp $(platforms "$machine") --target "$folder/$machine" \
      --report "$folder/report.json" -r requirements.lock 2>"$folder/errors"; then
      echo "Python $python, $machine: $(grep -c '"is_direct"' "$folder/report.json") packages, all as wheels"
    else
      echo "Python $python, $machine: $(grep ERROR "$folder/errors" | tail -n 1)"
      failed=1
    fi
  done
done
exit "$failed"
