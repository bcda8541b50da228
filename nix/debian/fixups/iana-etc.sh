# Only the tables; the network set-up is the container runtime's.
find etc -mindepth 1 -maxdepth 1 ! -name protocols ! -name services ! -name rpc ! -name ethertypes \
  -exec rm -rf {} +
