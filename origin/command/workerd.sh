#!/bin/sh
# Starts the runtime so that it ends with the process that started it, even one that is killed: an
# orphan would keep the port, and the storage open. Where setpriv is missing it is started plainly.
if command -v setpriv >/dev/null 2>&1; then
  exec setpriv --pdeathsig KILL -- "$NIXPORT_WORKERD" "$@"
fi
exec "$NIXPORT_WORKERD" "$@"
