#!/bin/sh
# Makes the plans and the state of this folder with Terraform, against a development server that
# listens on $1 (http://127.0.0.1:4566 if it is not given) and is lost for everything else. What
# Terraform needs to find the AWS provider (5.100.0) comes from the environment.
set -eu
cd "$(dirname "$0")"
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AWS_ENDPOINT_URL="${1:-http://127.0.0.1:4566}" AWS_CONFIG_FILE="$work/config" AWS_SHARED_CREDENTIALS_FILE="$work/credentials"
export AWS_ACCESS_KEY_ID=123456789012ADMIN AWS_SECRET_ACCESS_KEY=test CHECKPOINT_DISABLE=1 TF_INPUT=0 TF_IN_AUTOMATION=1
printf '[keys]\naws_access_key_id = 444455556666ADMIN\naws_secret_access_key = test\n' >"$work/credentials"
printf '[workload]\naws_access_key_id = 111122223333ADMIN\naws_secret_access_key = test\n' >>"$work/credentials"
: >"$work/config"

# plan FOLDER NAME FILE...: the plan of the files goes to FOLDER/NAME.json
plan() {
	folder=$1 name=$2
	shift 2
	mkdir "$work/$folder-$name"
	cp -r "$@" "$work/$folder-$name"
	cd "$work/$folder-$name"
	terraform init -no-color >/dev/null
	terraform plan -no-color -out plan >log 2>&1 || { cat log; exit 1; }
	terraform show -json plan >"$here/$folder/$name.json"
	cd "$here"
}

for folder in one-account two-accounts defaults principals; do
	for case in "$folder"/*.tf; do
		name=$(basename "$case" .tf)
		[ "$name" = main ] || plan "$folder" "$name" "$folder/main.tf" "$case"
	done
done
plan modules plan modules/main.tf modules/key modules/group modules/fleet
plan blocks plan blocks/main.tf blocks/key blocks/group
plan sources plan sources/main.tf
plan regions plan regions/main.tf
plan sharing plan sharing/main.tf

# The same group, there: its state, and a plan that changes nothing.
cd "$work/one-account-good"
terraform apply -no-color -auto-approve plan >log 2>&1 || { cat log; exit 1; }
terraform show -json >"$here/one-account/state.json"
terraform plan -no-color -out again >log 2>&1 || { cat log; exit 1; }
terraform show -json again >"$here/one-account/unchanged.json"
