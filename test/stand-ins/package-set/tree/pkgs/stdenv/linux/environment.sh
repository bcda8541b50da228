# Makes an environment of its tools: nothing but a note of which.
mkdir -p "$out/nix-support"
echo "$tools" > "$out/nix-support/tools"
echo "from source" > "$out/nix-support/made"
