# Debian's editors are alternatives of vim.basic; the run-time files lie under a compiled-in path.
rm -f bin/vim
mv bin/vim.basic bin/vim
wrap vim "export VIM=\"\${VIM-$out/share/vim}\""
for name in vi view ex rvim rview vimdiff; do ln -sf vim "bin/$name"; done
# Needs perl, which vim does not depend on.
rm -f bin/helpztags
