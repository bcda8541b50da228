# Commands and templates are looked up under compiled-in paths. Debian ships the program twice; a
# link with the name of a command (git-upload-pack) runs the wrapper and tells it by its name.
rm bin/git
wrapper git lib/git-core/git \
  "export GIT_EXEC_PATH=\"\${GIT_EXEC_PATH-$out/lib/git-core}\"" \
  "export GIT_TEMPLATE_DIR=\"\${GIT_TEMPLATE_DIR-$out/share/git-core/templates}\"" \
  "export PATH=\"\${PATH:+\$PATH:}${input[coreutils]}/bin:${input[gnugrep]}/bin:${input[gnused]}/bin\""
rm lib/git-core/git-shell
ln -s ../../bin/git-shell lib/git-core/git-shell
rm -rf etc share/gitweb share/git-core/contrib
