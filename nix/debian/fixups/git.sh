# Commands and templates are looked up under compiled-in paths. Debian ships the program twice; a
# link with the name of a command (git-upload-pack) runs the wrapper and tells it by its name.
rm bin/git
wrapper git lib/git-core/git \
  "export GIT_EXEC_PATH=\"\${GIT_EXEC_PATH-$out/lib/git-core}\"" \
  "export GIT_TEMPLATE_DIR=\"\${GIT_TEMPLATE_DIR-$out/share/git-core/templates}\""
# Git's own scripts know where their programs are, as in nixpkgs. Hooks and aliases have those of the
# image.
for script in lib/git-core/*; do
  [[ -f $script && ! -L $script && -x $script ]] || continue
  IFS= read -r line <"$script" || true
  [[ $line != '#!'*/sh ]] ||
    sed -i "1a PATH=\"\${PATH:+\$PATH:}${input[coreutils]}/bin:${input[gnugrep]}/bin:${input[gnused]}/bin\"" "$script"
done
rm lib/git-core/git-shell
ln -s ../../bin/git-shell lib/git-core/git-shell
rm -rf etc share/gitweb share/git-core/contrib
