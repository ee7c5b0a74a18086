#!/bin/sh
# Make the profiles beside this folder again, each by the tool whose format it is.
#   sh make.sh FOLDER    FOLDER is outside the repository, so that no path of a checkout gets into a file
# Needs: python3.11 with memray, moto and boto3 (PYTHONPATH), memray 1.19 in $OLD_MEMRAY, gdb, go, cargo, node,
# Debian's libjemalloc2 in $JEMALLOC, cc and valgrind 3.19.
set -eu
recipes=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cp -r "$recipes"/. "$1" && cd "$1"
PYTHONPATH="$PYTHONPATH:$PWD"; export PYTHONPATH
for kind in normal native aggregated; do rm -f memray-$kind.bin; python3.11 -m orders memray-$kind.bin $kind; done
rm -f memray-killed.bin; python3.11 -m orders memray-killed.bin killed || true
rm -f memray-1.19.bin; PYTHONPATH="$OLD_MEMRAY:$PYTHONPATH" python3.11 -m orders memray-1.19.bin aggregated
(sleep 10 | python3.11 attached.py & sleep 2
 python3.11 -m memray attach --trace-python-allocators --aggregate --duration 2 -o memray-attach.bin "$(pgrep -n -f attached.py)"
 wait)
(cd go && go run -trimpath main.go && mv ./*.pb.gz ..)
(cd rust && RUSTFLAGS="--remap-path-prefix=$HOME=/home/builder" CARGO_TARGET_DIR="$PWD/../target" cargo run --quiet --release && mv dhat-heap.json ../dhat-heap.json)
(cd node && node --heap-prof --heap-prof-interval=65536 --heap-prof-name=node.heapprofile retain.js && mv node.heapprofile ..)
LD_PRELOAD=$JEMALLOC MALLOC_CONF=prof:true,lg_prof_sample:17,prof_prefix:jemalloc python3.11 jemalloc/retain.py
mv jemalloc.*.m0.heap jemalloc.heap
cc -g -no-pie c/retain.c -o retain && valgrind -q --tool=dhat --dhat-out-file=dhat-valgrind.json ./retain
mkdir -p lib && cp "$JEMALLOC" lib/libjemalloc.so.2
cc -g -no-pie c/retain.c lib/libjemalloc.so.2 -Wl,-rpath,"\$ORIGIN/lib" -o retain-jemalloc
MALLOC_CONF=prof:true,prof_final:true,lg_prof_sample:12,prof_prefix:c ./retain-jemalloc && mv c.*.f.heap jemalloc-c.heap
