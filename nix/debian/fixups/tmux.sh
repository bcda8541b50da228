# tmux refuses to start without a UTF-8 locale.
wrap tmux "export LOCPATH=\"\${LOCPATH-${input[glibc-locales]}/usr/lib/locale}\""
