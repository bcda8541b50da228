# nixpkgs' python3 answers to `python` too. The rest byte-compiles for Debian's maintainer scripts.
ln -s python3 bin/python
rm -rf bin/py3clean bin/py3compile bin/py3versions share/python3 share/binfmts
