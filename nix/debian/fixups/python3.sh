# nixpkgs' python3 answers to `python` too. The rest byte-compiles for Debian's maintainer scripts.
ln -s python3 bin/python
rm -rf bin/py3clean bin/py3compile bin/py3versions share/python3 share/binfmts
# Its modules are where nixpkgs has them, in a folder that Debian's does not look into. A virtual
# environment looks into neither, so it is not led by NIX_PYTHONPATH.
for folder in lib/python3.*; do site=$folder/site-packages; done
mkdir -p "$site" lib/python3
rm -rf lib/python3/dist-packages lib/python3.*/sitecustomize.py etc
ln -s "../${site#lib/}" lib/python3/dist-packages
cat >"$site/sitecustomize.py" <<'PYTHON'
# As nixpkgs has it: folders of modules by a variable, which whatever this process starts is not given.
import os
import site
import sys

# A virtual environment is told of this one. By another name than its own, such as /bin/python3, that
# would look for its prefix, for Debian's is compiled in.
if sys.prefix == sys.base_prefix:
    sys._base_executable = os.path.realpath(sys._base_executable)

for folder in os.environ.pop("NIX_PYTHONPATH", "").split(":"):
    if folder:
        site.addsitedir(folder)
PYTHON
# Where pip is that a virtual environment gets.
sed -i "s|'/usr/share/python-wheels/'|'$out/share/python-wheels/'|" lib/python3.*/_sysconfigdata_*.py
