# The module folders are compiled in. The test keeps the list from growing with every perl that a
# perl starts.
folders=
for folder in lib/perl-base lib/perl/5.*[0-9] share/perl/5.*[0-9]; do
  [[ -d $folder && ! -L $folder ]] || continue
  folders+=${folders:+:}$out/$folder
done
wrap perl \
  'case ":${PERL5LIB-}:" in' \
  "  *:$folders:*) ;;" \
  "  *) export PERL5LIB=\"\${PERL5LIB:+\$PERL5LIB:}$folders\" ;;" \
  'esac'
rm -rf etc
