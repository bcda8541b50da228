module nixport/test/bench/baseline

go 1.19
